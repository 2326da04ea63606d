"""A small site that can break: it answers 503 while the file /tmp/broken is there, as one does whose database is gone."""

import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site(BaseHTTPRequestHandler):
    rendered = 0

    def do_GET(self):
        if os.path.exists("/tmp/broken"):
            self.answer(503, "the database is gone\n")
            return
        Site.rendered += 1
        self.answer(200, f"page {self.path}, rendered {Site.rendered} times, last at {time.strftime('%H:%M:%S')}\n")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print(f"{status} {self.path}", flush=True)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True


# Only the pod itself sees this port.
Server(("127.0.0.1", 12000), Site).serve_forever()
