"""Whoever posts a text here changes what nginx answers: the server's configuration is generated again, into a directory that both see."""

import os
import pathlib
import signal
from http.server import BaseHTTPRequestHandler, HTTPServer

TARGET = "/out/default.conf"
CONFIG = """server {
    listen 80;
    location / {
        default_type text/plain;
        return 200 "%s\\n";
    }
}
"""


def generate(text):
    # A mistake for a demonstration: a quotation mark in the text ends the string, and nginx understands nothing of what follows.
    with open(TARGET + ".new", "w") as file:
        file.write(CONFIG % text)
    # Whoever looks sees all of it, or the last one.
    os.replace(TARGET + ".new", TARGET)


def tell_nginx():
    """Sends SIGHUP to nginx's master process, which is one of the pod's processes."""
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes().startswith(b"nginx: master process"):
                os.kill(int(entry.parent.name), signal.SIGHUP)
                return f"nginx, process {entry.parent.name}, was told"
        except FileNotFoundError:
            pass  # it has just ended
    return "there is no nginx"


class Control(BaseHTTPRequestHandler):
    def do_POST(self):
        generate(self.rfile.read(int(self.headers["Content-Length"])).decode())
        answer = "written"
        if "TELL_NGINX" in os.environ:
            answer += "; " + tell_nginx()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{answer}\n".encode())

    def log_message(self, *_):
        pass


generate("good morning")
HTTPServer(("0.0.0.0", 5000), Control).serve_forever()
