"""A small shop: answers every request, and logs who asked, as real applications do."""

import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Shop(BaseHTTPRequestHandler):
    orders = 0

    def do_GET(self):
        Shop.orders += 1
        body = f"order {Shop.orders} received\n".encode()
        # Nobody meant to keep customers' addresses in the log. The plugin `redact` sees to it that nobody does.
        print(f"order {Shop.orders} for ada.lovelace@example.com, card 4111111111111111: {self.path}", flush=True)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Quick(ThreadingHTTPServer):
    daemon_threads = True


# An orderly end within the grace period, instead of the default one by the signal itself.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("the shop is open", flush=True)
Quick(("127.0.0.1", 5000), Shop).serve_forever()
