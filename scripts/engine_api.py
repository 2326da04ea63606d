"""The engine's API over its unix socket, for scripts/bench and scripts/faults: standard library only."""

import contextlib
import http.client
import json
import os
import socket
import sys
import threading
import time
import urllib.parse


class EngineError(Exception):
    def __init__(self, status, message):
        super().__init__(f"the engine answered {status}: {message}")
        self.status = status


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=120):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    """The engine's API; each thread has a connection of its own, kept open as a client would."""

    def __init__(self, host=None):
        host = host or os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        if not host.startswith("unix://"):
            sys.exit(f"error: DOCKER_HOST={host}: an engine on this machine is needed")
        self.path = host[len("unix://"):]
        self.local = threading.local()
        self.version = json.loads(self._raw("GET", "/version"))["ApiVersion"]

    def _raw(self, method, path, body=None):
        connection = getattr(self.local, "connection", None)
        if connection is None:
            connection = self.local.connection = UnixConnection(self.path)
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body), headers={"Content-Type": "application/json"})
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self.local.connection = None
            raise
        if response.status >= 400:
            with contextlib.suppress(ValueError):
                data = json.loads(data)["message"]
            raise EngineError(response.status, data)
        return data

    def call(self, method, path, body=None, **query):
        query = {key: json.dumps(value) if isinstance(value, (dict, list)) else value for key, value in query.items()}
        data = self._raw(method, f"/v{self.version}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else ""), body)
        return json.loads(data) if data[:1] in (b"{", b"[") else data

    def create(self, name, body):
        return self.call("POST", "/containers/create", body, name=name)["Id"]

    def start(self, container):
        self.call("POST", f"/containers/{container}/start")

    def stop(self, container, seconds=20):
        with contextlib.suppress(EngineError):
            self.call("POST", f"/containers/{container}/stop", t=seconds)

    def inspect(self, container):
        return self.call("GET", f"/containers/{container}/json")

    def kill(self, container, signal="KILL"):
        """Sends a signal; answers whether there was a process to get it."""
        try:
            self.call("POST", f"/containers/{container}/kill", signal=signal)
            return True
        except EngineError as error:
            if error.status in (404, 409):
                return False
            raise

    def remove(self, container):
        try:
            self.call("DELETE", f"/containers/{container}", force="true", v="true")
        except EngineError as error:
            # Gone already, or on its way.
            if error.status not in (404, 409):
                raise

    def owned(self, controller):
        return self.call("GET", "/containers/json", all="true", filters={"label": [f"outrigger.pod={controller}"]})

    def log(self, container, tail="all"):
        """The output, without the frames' headers, in pieces."""
        connection = UnixConnection(self.path)
        connection.request("GET", f"/v{self.version}/containers/{container}/logs?stdout=1&stderr=1&tail={tail}")
        response = connection.getresponse()
        while True:
            header = response.read(8)
            if len(header) < 8:
                break
            yield response.read(int.from_bytes(header[4:], "big"))
        connection.close()


class Events:
    """The engine's container events, from now on, with the engine's own time stamps."""

    def __init__(self, engine):
        self.seen = []
        self.more = threading.Condition()
        self.connection = UnixConnection(engine.path, timeout=None)
        self.connection.request("GET", f"/v{engine.version}/events?filters=" + urllib.parse.quote('{"type":["container"],"event":["create","start","die","destroy","health_status"]}'))
        self.response = self.connection.getresponse()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            while line := self.response.readline():
                event = json.loads(line)
                with self.more:
                    self.seen.append((event["Action"], event["Actor"]["ID"], event["timeNano"], event["Actor"]["Attributes"]))
                    self.more.notify_all()

    def wait(self, what, count, matches, seconds=180):
        """The times of the first `count` events `what` whose id and attributes match, by id."""
        deadline = time.monotonic() + seconds
        with self.more:
            while True:
                found = {}
                for action, container, at, attributes in self.seen:
                    if action == what and matches(container, attributes):
                        found.setdefault(container, at)
                if len(found) >= count:
                    return found
                if not self.more.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise TimeoutError(f"{len(found)} of {count} `{what}` events after {seconds} s")

    def close(self):
        with contextlib.suppress(OSError):
            self.connection.sock and self.connection.sock.shutdown(socket.SHUT_RDWR)


def say(text):
    print(f"  · {text}", file=sys.stderr, flush=True)


def in_parallel(work, items):
    failures = []

    def guarded(item):
        try:
            work(item)
        except BaseException as error:  # noqa: BLE001: told by the thread that waits, an exit too
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
