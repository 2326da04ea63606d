"""The figures behind scripts/bench: standard library only, the engine by its API over the unix socket.

Every time is taken from the engine's own events, or from this process's clock around one call. What is compared is interleaved, round by
round, and compared as a ratio of medians: this machine's speed drifts, the ratio does not.
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time

from engine_api import Engine, EngineError, Events, in_parallel, say

PREFIX = f"outrigger-bench-{os.getpid()}"
MIB = 1024 * 1024
PLUGINS = """
- reload: {watch: /config/app.conf, component: c1, target: /tmp/app.conf, signal: SIGHUP}
- signal: {map: {SIGHUP: {to: [c1]}}}
- redact: {patterns: [email, card]}
"""
REDACT = "- redact: {patterns: [email, card]}\n"
# Lives until SIGTERM; in a shared PID namespace it is not PID 1, so the signal's default holds.
SLEEP = ["sleep", "1000000"]
# Seconds after which the first health probes have been answered, and what start-up needed has been given back.
SETTLE = 6


class Rendezvous:
    """Where several threads meet between two phases, and how long each phase took."""

    def __init__(self, parties):
        self.times = []
        self.barrier = threading.Barrier(parties, action=lambda: self.times.append(time.monotonic_ns()), timeout=300)

    def meet(self):
        self.barrier.wait()

    def phase(self, number):
        return (self.times[number + 1] - self.times[number]) / 1e6


class Bench:
    def __init__(self, options):
        self.options = options
        self.engine = Engine()
        self.made = []
        self.numbers = itertools.count(1)
        self.rows = []

    # --- pods -----------------------------------------------------------------------------------------------------------

    def controller_body(self, components, plugins=None, command=SLEEP, arguments=(), binds=()):
        labels = {f"pod.component.c{n}": json.dumps({"image": self.options.busybox, "command": command}) for n in range(1, components + 1)}
        if plugins:
            labels["pod.plugins"] = plugins
        return {
            "Image": self.options.image,
            "Cmd": list(arguments) or None,
            "Labels": labels,
            "HostConfig": {"Binds": [f"{self.engine.path}:/var/run/docker.sock", *binds]},
        }

    def name(self):
        return f"{PREFIX}-{next(self.numbers)}"

    def create(self, name, body):
        container = self.engine.create(name, body)
        self.made.append(container)
        return container

    def run_pod(self, components, **keys):
        """Starts a pod; answers its id, the time before its creation, and when each of its components was started."""
        body = self.controller_body(components, **keys)
        events = Events(self.engine)
        try:
            before = time.time_ns()
            pod = self.create(self.name(), body)
            self.engine.start(pod)
            mine = lambda _, attributes: attributes.get("outrigger.pod") == pod and attributes.get("outrigger.role") == "component"
            try:
                started = events.wait("start", components, mine)
            except TimeoutError as error:
                log = b"".join(self.engine.log(pod, tail=40)).decode(errors="replace")
                sys.exit(f"error: the pod does not start: {error}\n{log}")
            return pod, before, started, list(events.seen)
        finally:
            events.close()

    def end_pod(self, pod):
        """Stops and removes a pod; answers how long the stop took, in ms."""
        before = time.monotonic_ns()
        self.engine.stop(pod)
        took = (time.monotonic_ns() - before) / 1e6
        left = self.engine.owned(pod)
        code = self.engine.inspect(pod)["State"]["ExitCode"]
        self.engine.remove(pod)
        if left:
            sys.exit(f"error: the pod left {[c['Names'] for c in left]}")
        if code == 137:
            sys.exit("error: the pod had to be killed")
        return took

    def clean_up(self):
        for pod in self.made:
            with contextlib.suppress(EngineError, OSError):
                for container in self.engine.owned(pod):
                    self.engine.remove(container["Id"])
                self.engine.remove(pod)

    # --- the engine's own floor -----------------------------------------------------------------------------------------

    def recipe(self, components):
        """What the controller makes, read off a real run, so that bare calls can make the same: bodies of the containers with the controller's id left open."""
        pod, _, started, seen = self.run_pod(components)
        owned = [self.engine.inspect(container["Id"]) for container in self.engine.owned(pod)]
        helpers = [c for c in owned if c["Config"]["Labels"].get("outrigger.role") != "component"]
        first_create = min(at for action, container, at, _ in seen if action == "create" and container in started)
        last_helper = max((at for action, container, at, _ in seen if action == "start" and container in {h["Id"] for h in helpers}), default=0)
        name = self.engine.inspect(pod)["Name"][1:]
        text = json.dumps([self.body(c) for c in helpers]), json.dumps([self.body(c) for c in owned if c not in helpers])
        names = {h["Id"]: f"@HELPER{n}@" for n, h in enumerate(helpers)}

        def opened(raw):
            for identity, place in names.items():
                raw = raw.replace(identity, place)
            return raw.replace(pod, "@POD@").replace(name, "@NAME@")

        self.end_pod(pod)
        # Whether the controller creates the components while its helper container is still being started.
        return {"helpers": opened(text[0]), "components": opened(text[1]), "overlap": first_create < last_helper}

    @staticmethod
    def body(inspected):
        config = {key: value for key, value in inspected["Config"].items() if value is not None and key not in ("Hostname", "Domainname", "Image")}
        # The engine refuses those of a container that joins another's network.
        config.pop("ExposedPorts", None)
        host = {key: value for key, value in inspected["HostConfig"].items() if value not in (None, "", [], {})}
        return {**config, "Image": inspected["Config"]["Image"], "HostConfig": host}

    def floor(self, components, recipe, together=None):
        """The same containers by bare engine calls; answers start and stop in ms. Of several at once, `together` times each phase as a whole."""
        meet = together.meet if together else lambda: None
        events = Events(self.engine)
        name = self.name()
        held = self.controller_body(components, arguments=("pause",))
        held["Labels"] = {}
        ids = {}
        try:
            meet()
            before = time.time_ns()
            pod = self.create(name, held)
            self.engine.start(pod)

            def filled(raw):
                return json.loads(raw.replace("@POD@", pod).replace("@NAME@", name))

            helpers = [f"{name}.helper{n}" for n, _ in enumerate(filled(recipe["helpers"]))]

            def make(item):
                place, body = item
                ids[place] = self.create(place, body)

            def helper_made(n):
                raw = recipe["helpers"]
                make((helpers[n], filled(raw)[n]))

            bodies = recipe["components"]
            for n, helper in enumerate(helpers):
                bodies = bodies.replace(f"@HELPER{n}@", helper)
            parts = [(f"{name}.part{n}", body) for n, body in enumerate(filled(bodies))]
            # The engine wants the helper to exist before another container is created that joins it.
            for n, _ in enumerate(helpers):
                helper_made(n)
            if recipe["overlap"]:
                started = [lambda helper=helper: self.engine.start(ids[helper]) for helper in helpers]
                in_parallel(lambda work: work(), [*started, *(lambda part=part: make(part) for part in parts)])
                in_parallel(lambda part: self.engine.start(ids[part[0]]), parts)
            else:
                for helper in helpers:
                    self.engine.start(ids[helper])

                def whole(part):
                    make(part)
                    self.engine.start(ids[part[0]])

                in_parallel(whole, parts)
            mine = {ids[place] for place, _ in parts}
            last = max(events.wait("start", components, lambda container, _: container in mine).values())
            started = (last - before) / 1e6
            meet()

            before = time.monotonic_ns()

            def ended(place):
                self.engine.stop(ids[place])
                self.engine.remove(ids[place])

            in_parallel(ended, [place for place, _ in parts])
            for helper in helpers:
                ended(helper)
            self.engine.stop(pod)
            stopped = (time.monotonic_ns() - before) / 1e6
            self.engine.remove(pod)
            meet()
            return started, stopped
        finally:
            events.close()

    # --- what /proc says ------------------------------------------------------------------------------------------------

    def process(self, pod):
        return self.engine.inspect(pod)["State"]["Pid"]

    @staticmethod
    def resident(process, field="VmRSS"):
        with open(f"/proc/{process}/status", encoding="utf-8") as status:
            return int(re.search(rf"^{field}:\s+(\d+) kB", status.read(), re.MULTILINE)[1]) * 1024

    @staticmethod
    def split(process):
        """User time and system time so far, in seconds."""
        with open(f"/proc/{process}/stat", encoding="utf-8") as stat:
            fields = stat.read().rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        return int(fields[11]) / ticks, int(fields[12]) / ticks

    @staticmethod
    def precise_cpu(process):
        """CPU time of its threads that live, in seconds: finer than the clock ticks of `split`."""
        total = 0
        for task in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{task}/schedstat", encoding="utf-8") as stat:
                total += int(stat.read().split()[0])
        return total / 1e9

    # --- the parts ------------------------------------------------------------------------------------------------------

    def row(self, what, measured, unit, target=None, detail=""):
        held = None if target is None else measured <= target
        self.rows.append({"what": what, "measured": round(measured, 3), "unit": unit, "target": target, "held": held, "detail": detail})
        say(f"{what}: {measured:.2f} {unit} {detail}")

    def memory(self):
        figures = {}
        for plugins, label, target in ((None, "without plugins", 6.0), (PLUGINS, "with reload, signal, redact", 11.0)):
            rss, detail = [], ""
            for _ in range(3):
                pod, *_ = self.run_pod(2, plugins=plugins)
                time.sleep(SETTLE)
                process = self.process(pod)
                rss.append(self.resident(process) / MIB)
                detail = f"(anonymous {self.resident(process, 'RssAnon') / MIB:.2f}, peak {self.resident(process, 'VmHWM') / MIB:.2f})"
                self.end_pod(pod)
            figures[label] = statistics.median(rss)
            self.row(f"resident, idle, two components, {label}", figures[label], "MiB", target, detail)

    def plugins(self):
        """What each further idle plugin costs: eight more of the same, from a file, compiled by an earlier controller into a cache that they share."""
        wasm = self.options.wasm
        cache = tempfile.mkdtemp(prefix="outrigger-bench-")
        binds = (f"{os.path.abspath(wasm)}:/plugin.wasm:ro", f"{cache}:/var/cache/outrigger")
        try:
            resident = {}
            for number in (1, 1, 9):
                entries = [{f"p{n}": {"source": "/plugin.wasm", "config": {"map": {"SIGHUP": {"to": ["c1"]}}}, "grants": {"on-signals": True, "signals": ["c1"]}}} for n in range(number)]
                pod, *_ = self.run_pod(1, plugins=json.dumps(entries), binds=binds)
                time.sleep(SETTLE)
                resident[number] = self.resident(self.process(pod)) / MIB
                self.end_pod(pod)
            self.row("resident, each further idle plugin", (resident[9] - resident[1]) / 8, "MiB", 0.5, f"({resident[1]:.2f} with one, {resident[9]:.2f} with nine)")
        finally:
            shutil.rmtree(cache, ignore_errors=True)

    def before_main(self):
        """CPU in ms that a container's first process is charged with before its program runs: the runtime's own work, on the same process."""
        container = self.create(self.name(), {"Image": self.options.busybox, "Cmd": SLEEP})
        try:
            self.engine.start(container)
            return self.precise_cpu(self.process(container)) * 1e3
        finally:
            self.engine.remove(container)

    def start(self):
        recipe = self.recipe(2)
        say(f"containers for each pod: 1 controller, {len(json.loads(recipe['helpers']))} helper, 2 components")
        ours, floors, stops, floor_stops, own = [], [], [], [], []
        for n in range(self.options.rounds):
            pod, before, started, _ = self.run_pod(2)
            ours.append((max(started.values()) - before) / 1e6)
            own.append(self.precise_cpu(self.process(pod)) * 1e3 - self.before_main())
            stops.append(self.end_pod(pod))
            start, stop = self.floor(2, recipe)
            floors.append(start)
            floor_stops.append(stop)
            say(f"round {n + 1} of {self.options.rounds}: start {ours[-1]:.0f} ms, floor {start:.0f} ms; stop {stops[-1]:.0f} ms, floor {stop:.0f} ms")
        mid = statistics.median
        self.row("start of two components, times the engine's floor", mid(ours) / mid(floors), "x", 1.15, f"({mid(ours):.0f} ms to {mid(floors):.0f} ms)")
        self.row("controller's own share of the start, CPU without the runtime's", mid(own), "ms", 15.0, f"(start less floor: {mid(ours) - mid(floors):.0f} ms)")
        self.row("stop of two components, times the engine's floor", mid(stops) / mid(floor_stops), "x", 1.15, f"({mid(stops):.0f} ms to {mid(floor_stops):.0f} ms)")

    def scale(self):
        mid = statistics.median
        whole, bare = {}, {}
        for components in (1, 10, 50):
            recipe = self.recipe(components)
            ours, floors, stops, floor_stops, resident = [], [], [], [], []
            for n in range(max(1, self.options.rounds // 4)):
                pod, before, started, _ = self.run_pod(components)
                ours.append((max(started.values()) - before) / 1e6)
                if n == 0:
                    time.sleep(SETTLE)
                    resident.append(self.resident(self.process(pod)) / MIB)
                stops.append(self.end_pod(pod))
                start, stop = self.floor(components, recipe)
                floors.append(start)
                floor_stops.append(stop)
            whole[components], bare[components] = mid(ours), mid(floors)
            self.row(f"start of {components}, times the floor", mid(ours) / mid(floors), "x", 1.15, f"({mid(ours):.0f} ms to {mid(floors):.0f} ms, {mid(ours) / components:.1f} ms each)")
            self.row(f"stop of {components}, times the floor", mid(stops) / mid(floor_stops), "x", 1.15, f"({mid(stops):.0f} ms to {mid(floor_stops):.0f} ms)")
            self.row(f"resident, idle, {components} component(s)", resident[0], "MiB", 6.0)
        # Less what one pod costs whatever is in it, and beside what the engine itself takes longer for with every container.
        more, floor = (whole[50] - whole[10]) / 40, (bare[50] - bare[10]) / 40
        self.row("each component from the 11th to the 50th, times the floor", more / floor, "x", 1.15, f"({more:.1f} ms to {floor:.1f} ms; the 2nd to the 10th: {(whole[10] - whole[1]) / 9:.1f} ms)")

    def log_cost(self, components, lines, plugins=None):
        """CPU in µs for each of `lines` lines that so many components write together: of the user, of the system; lines each second; peak in MiB."""
        # 100 bytes with the newline.
        text = "2026-01-01T00:00:00Z INFO shop: order 1234567 accepted, 3 items, total 42.00, warehouse north, ok.".ljust(99, "x")
        each = lines // components
        script = f"until [ -e /tmp/go ]; do sleep 0.1; done; yes '{text}' | head -n {each}; echo bench-end; exec sleep 1000000"
        pod, _, started, _ = self.run_pod(components, plugins=plugins, command=["sh", "-c", script])
        time.sleep(2)
        process = self.process(pod)
        before, begun = self.split(process), time.monotonic()
        in_parallel(lambda container: self.execute(container, ["touch", "/tmp/go"]), list(started))
        arrived = ended = 0
        # The end of every component is its last line, so one of them is the last of all; those before it may be far from the end, and are counted then.
        while ended < components:
            if time.monotonic() - begun > 300:
                sys.exit(f"error: after 300 s {arrived} of {each * components} lines, and the ends of {ended} of {components} components, have arrived")
            time.sleep(0.2)
            if any(b"bench-end" in piece for piece in self.engine.log(pod, tail=1)):
                arrived = ended = 0
                for piece in self.engine.log(pod):
                    arrived += piece.count(b"shop: order")
                    ended += piece.count(b"bench-end")
        took = time.monotonic() - begun
        user, system = (now - then for now, then in zip(self.split(process), before))
        if arrived != each * components:
            sys.exit(f"error: {arrived} of {each * components} lines arrived")
        peak = self.resident(process, "VmHWM") / MIB
        self.end_pod(pod)
        return user / arrived * 1e6, system / arrived * 1e6, arrived / took, peak

    def logs(self):
        for plugins, label, target in ((None, "without plugins", 1.0), (REDACT, "with redact", 2.0)):
            user, system, rate, peak = self.log_cost(1, self.options.lines, plugins)
            self.row(f"CPU for each log line, {label}", user + system, "us", target, f"({user:.2f} of it in user space; {rate:,.0f} lines/s through the engine, all arrived, peak {peak:.1f} MiB)")
        # Beside one component: the cost for each line must not grow with their number.
        costs = {components: sum(self.log_cost(components, self.options.lines // 4)[:2]) for components in (1, 10, 50)}
        for components in (10, 50):
            self.row(f"CPU for each log line, {components} components, times one's", costs[components] / costs[1], "x", 1.15, f"({costs[components]:.2f} us to {costs[1]:.2f} us)")

    def fleet(self):
        """Twenty pods of two components at once on one engine, beside the same containers by bare calls."""
        pods, components = 20, 2
        recipe = self.recipe(components)
        mid = statistics.median
        ours, floors, stops, floor_stops, resident = [], [], [], [], []
        for n in range(max(2, self.options.rounds // 6)):
            ids = []
            before = time.monotonic_ns()
            in_parallel(lambda _: ids.append(self.run_pod(components)[0]), range(pods))
            ours.append((time.monotonic_ns() - before) / 1e6)
            if n == 0:
                time.sleep(SETTLE)
                resident = [self.resident(self.process(pod)) / MIB for pod in ids]
            before = time.monotonic_ns()
            in_parallel(self.end_pod, ids)
            stops.append((time.monotonic_ns() - before) / 1e6)
            barrier = Rendezvous(pods)
            in_parallel(lambda _: self.floor(components, recipe, barrier), range(pods))
            floors.append(barrier.phase(0))
            floor_stops.append(barrier.phase(1))
            say(f"twenty pods: start {ours[-1]:.0f} ms, floor {floors[-1]:.0f} ms; stop {stops[-1]:.0f} ms, floor {floor_stops[-1]:.0f} ms")
        self.row("start of 20 pods, times the floor", mid(ours) / mid(floors), "x", 1.15, f"({mid(ours):.0f} ms to {mid(floors):.0f} ms)")
        self.row("stop of 20 pods, times the floor", mid(stops) / mid(floor_stops), "x", 1.15, f"({mid(stops):.0f} ms to {mid(floor_stops):.0f} ms)")
        self.row("resident, each of 20 controllers", max(resident), "MiB", 6.0, f"(the largest; the median {mid(resident):.2f})")

    # --- idle -----------------------------------------------------------------------------------------------------------

    @staticmethod
    def busy():
        """CPU time of the whole machine so far, in seconds: all but idle and waiting for a disk."""
        with open("/proc/stat", encoding="utf-8") as stat:
            user, nice, system, _idle, _iowait, irq, softirq = (int(field) for field in stat.readline().split()[1:8])
        return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")

    def engines(self):
        """CPU time of the engine's own processes so far, in seconds: dockerd, containerd and the shims, with what they started and what has ended. The commands of health checks
        are children of the shims."""
        total = 0
        for process in self.engine_processes():
            with contextlib.suppress(OSError), open(f"/proc/{process}/stat", encoding="utf-8") as stat:
                total += sum(int(field) for field in stat.read().rpartition(")")[2].split()[11:15])
        return total / os.sysconf("SC_CLK_TCK")

    def engine_processes(self, *names):
        """Those in the namespace of the process that listens on the engine's socket: there may be other engines on the machine."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
            asked.connect(self.engine.path)
            engine = int.from_bytes(asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)
        own = os.readlink(f"/proc/{engine}/ns/pid")
        for process in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{process}/comm", encoding="utf-8") as comm:
                    name = comm.read().strip()
                if name.startswith(names or ("dockerd", "containerd")) and os.readlink(f"/proc/{process}/ns/pid") == own:
                    yield process

    @staticmethod
    def proportional(process):
        """Resident memory in MiB; what several processes share counts in parts."""
        with contextlib.suppress(OSError), open(f"/proc/{process}/smaps_rollup", encoding="utf-8") as rollup:
            return int(re.search(r"^Pss:\s+(\d+) kB", rollup.read(), re.MULTILINE)[1]) / 1024
        return 0.0

    def shim(self, container):
        """The process of the engine's runtime that a container has beside its own."""
        for process in self.engine_processes("containerd-shim"):
            with contextlib.suppress(OSError), open(f"/proc/{process}/cmdline", "rb") as line:
                if container.encode() in line.read():
                    return process
        return None

    def bodies(self, kind):
        """What makes one idle pod of two components."""
        if kind == "podlike":
            labels = {f"pod.component.c{n}": json.dumps({"image": self.options.busybox, "command": SLEEP}) for n in (1, 2)}
            # Its components can't join the controller's namespace for IPC where that is private, as it is on every engine since 2019.
            return {
                "Image": self.options.podlike,
                "Cmd": ["-ipc=false"],
                "Labels": labels,
                "HostConfig": {"Binds": [f"{self.engine.path}:/var/run/docker.sock"]},
            }
        body = self.controller_body(2)
        if kind == "unchecked":
            body["Healthcheck"] = {"Test": ["NONE"]}
        return body

    def idle_pods(self, kind, pods):
        """Starts pods and waits until the engine calls them healthy; answers their ids, and the median time from a pod's last start of a component to that, in ms."""
        ids = []
        events = Events(self.engine)
        try:
            for _ in range(pods):
                pod = self.create(self.name(), self.bodies(kind))
                ids.append(pod)
                self.engine.start(pod)
            if kind == "unchecked":
                events.wait("start", pods * 2, lambda _, attributes: attributes.get("outrigger.pod") in ids)
                return ids, None
            healthy = events.wait("health_status: healthy", pods, lambda container, _: container in ids)
            parts = {pod: f"{self.engine.inspect(pod)['Name'][1:]}." for pod in ids}
            waits = []
            for pod, prefix in parts.items():
                started = [at for action, _, at, attributes in events.seen if action == "start" and attributes.get("name", "").startswith(prefix)]
                waits.append((healthy[pod] - max(started)) / 1e6)
            return ids, statistics.median(waits)
        finally:
            events.close()

    def end_idle(self, ids):
        def end(pod):
            name = self.engine.inspect(pod)["Name"][1:]
            self.engine.stop(pod)
            self.engine.remove(pod)
            # podlike's have no labels.
            for left in self.engine.call("GET", "/containers/json", all="true", filters={"name": [f"^/{re.escape(name)}\\."]}):
                self.engine.remove(left["Id"])

        in_parallel(end, ids)

    def price(self, pod):
        """The resident memory of an idle pod, by what has it."""
        owned = self.engine.owned(pod)
        donors = [c["Id"] for c in owned if c["Labels"].get("outrigger.role") == "ipc"]
        components = [c["Id"] for c in owned if c["Labels"].get("outrigger.role") == "component"]
        checks = [process for process in self.engine.call("GET", f"/containers/{pod}/top", ps_args="-eo pid,args")["Processes"] if "healthcheck" in process[1]]
        shims = [self.proportional(self.shim(container)) for container in (pod, *donors, *components)]
        parts = {
            "controller": self.proportional(self.process(pod)),
            "check": sum(self.proportional(process[0]) for process in checks),
            "donor": sum(self.proportional(self.process(donor)) for donor in donors),
            f"{len(shims)} shims": sum(shims),
        }
        self.row("resident, an idle pod of two without its components", sum(parts.values()), "MiB", None, f"({', '.join(f'{name} {value:.2f}' for name, value in parts.items())})")

    def idle(self):
        """What idle pods cost the whole machine. Nothing else should run on it meanwhile: what the engine itself used is beside it."""
        kinds = [("outrigger", 1), ("outrigger", 20), ("unchecked", 20)]
        if self.options.podlike:
            kinds += [("podlike", 1), ("podlike", 20)]
        seconds = self.options.seconds
        whole, engine, waits = {}, {}, {}

        def measured(key):
            busy, engines = self.busy(), self.engines()
            began = time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - began
            whole.setdefault(key, []).append((self.busy() - busy) / took)
            engine.setdefault(key, []).append((self.engines() - engines) / took)
            say(f"{key[1]} x {key[0]}: the machine {whole[key][-1]:.3f} of a core, the engine {engine[key][-1]:.3f}")

        for n in range(max(1, self.options.rounds // 6)):
            measured(("nothing", 0))
            for kind, pods in kinds:
                ids, wait = self.idle_pods(kind, pods)
                time.sleep(SETTLE * 2)
                if (kind, pods, n) == ("outrigger", 1, 0):
                    self.price(ids[0])
                measured((kind, pods))
                waits.setdefault((kind, pods), []).append(wait)
                self.end_idle(ids)
                time.sleep(SETTLE)
        mid = statistics.median
        nothing, quiet = mid(whole["nothing", 0]), mid(engine["nothing", 0])
        self.row("the whole machine without a pod", nothing, "core", None, f"(the engine {quiet:.4f})")
        names = {"outrigger": "idle pod", "unchecked": "idle pod without a health check", "podlike": "idle pod of podlike"}
        for kind, pods in kinds:
            key = kind, pods
            each, own = (mid(whole[key]) - nothing) / pods, (mid(engine[key]) - quiet) / pods
            target = 0.01 if kind == "outrigger" else None
            self.row(f"each {names[kind]} of {pods}, more of the machine", each, "core", target, f"({each:.4f}; of it the engine {own:.4f})")
        for kind, pods in kinds:
            if kind != "unchecked" and pods == 1:
                self.row(f"`healthy` after the last component's start, {names[kind]}", mid(waits[kind, pods]), "ms")

    def execute(self, container, command):
        identity = self.engine.call("POST", f"/containers/{container}/exec", {"Cmd": command})["Id"]
        self.engine.call("POST", f"/exec/{identity}/start", {"Detach": True})

    # --- the table ------------------------------------------------------------------------------------------------------

    def report(self):
        print()
        print(f"| {'figure':<60} | {'measured':>11} | {'target':>10} |      | detail")
        print(f"| {'-' * 60} | {'-' * 11} | {'-' * 10} | ---- | ---")
        for row in self.rows:
            target = "" if row["target"] is None else f"<= {row['target']:g} {row['unit']}"
            held = {True: "ok", False: "MISS", None: ""}[row["held"]]
            print(f"| {row['what']:<60} | {row['measured']:>7.2f} {row['unit']:<3} | {target:>10} | {held:<4} | {row['detail']}")
        if self.options.json:
            with open(self.options.json, "w", encoding="utf-8") as file:
                json.dump(self.rows, file, indent=2)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures what the project promises, beside the engine's own floor.")
    parser.add_argument("--image", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--busybox", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--wasm", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=12, help="pairs of runs that are compared (%(default)s)")
    parser.add_argument("--lines", type=int, default=1_000_000, help="log lines (%(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="length of each measurement of idle pods (%(default)s)")
    parser.add_argument("--podlike", metavar="IMAGE", help="measure idle pods of podlike beside ours; scripts/podlike-image makes its image")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a target is missed")
    parser.add_argument("parts", nargs="*", metavar="PART", help="memory, plugins, start, scale, logs, fleet, idle; all by default")
    options = parser.parse_args()
    known = ("memory", "plugins", "start", "scale", "logs", "fleet", "idle")
    for part in options.parts:
        if part not in known:
            parser.error(f"unknown part `{part}`: one of {', '.join(known)}")
    bench = Bench(options)
    try:
        for part in options.parts or known:
            say(f"--- {part}")
            getattr(bench, part)()
    finally:
        bench.clean_up()
    bench.report()
    if options.strict and any(row["held"] is False for row in bench.rows):
        sys.exit(1)


main()
