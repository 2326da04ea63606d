"""One of three services. It tells who it is, and whom it finds by name on the network of the stack.

/         who answers
/view     who answers, and all tasks of its peers
/of/NAME  the /view of the service NAME
"""

import os
import socket
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME, PEERS = os.environ["NAME"], os.environ["PEERS"].split()
PORT = 8080


def addresses(service):
    # `tasks.<service>` has the address of every task, with virtual addresses and without.
    try:
        found = socket.getaddrinfo(f"tasks.{service}", PORT, socket.AF_INET, socket.SOCK_STREAM)
    except socket.gaierror:
        return []
    return sorted({address[4][0] for address in found})


def get(address, path):
    with urllib.request.urlopen(f"http://{address}:{PORT}{path}", timeout=5) as answer:
        return answer.read().decode().strip()


def me():
    return f"{os.environ['TASK'].rsplit('.', 1)[0].split('_')[-1]} on {os.environ['NODE']}"


def view():
    lines = [f"{NAME}: I am {me()}"]
    for peer in PEERS:
        found = sorted(get(address, "/") for address in addresses(peer))
        lines.append(f"{NAME}: {peer} is {', '.join(found) or 'nowhere'}")
    return "\n".join(lines)


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            if self.path == "/view":
                text = view()
            elif self.path.startswith("/of/"):
                text = get(f"tasks.{self.path[4:]}", "/view")
            else:
                text = me()
            status = 200
        except OSError as error:
            status, text = 502, f"{NAME}: {error}"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(f"{text}\n".encode())

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True


Server(("0.0.0.0", PORT), Hello).serve_forever()
