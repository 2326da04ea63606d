"""The faults behind scripts/faults: standard library only, the engine by its API over the unix socket.

Every fault is counted, never sampled: a round that left something, touched something of others, or ended otherwise than promised is named.
"""

import argparse
import contextlib
import datetime
import itertools
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from engine_api import Engine, EngineError, say

PREFIX = f"outrigger-faults-{os.getpid()}"
SLEEP = ["sleep", "1000000"]
OWNER = "outrigger.pod"
# How long the engine may take for anything here.
PATIENCE = 90


def until(what, holds, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


class Pods:
    """Pods on one engine."""

    numbers = itertools.count(1)

    def __init__(self, engine, image, busybox, socket=None):
        self.engine, self.image, self.busybox = engine, image, busybox
        self.socket = socket or f"{engine.path}:/var/run/docker.sock"
        self.made = []

    def create(self, labels, arguments=("--keep-failed=0",), environment=(), restart=None, stop_timeout=20):
        name = f"{PREFIX}-{next(self.numbers)}"
        body = {
            "Image": self.image,
            "Cmd": list(arguments) or None,
            "Env": list(environment),
            "Labels": labels,
            "StopTimeout": stop_timeout,
            "HostConfig": {"Binds": [self.socket], "RestartPolicy": {"Name": restart or "no"}},
        }
        pod = self.engine.create(name, body)
        self.made.append(pod)
        return pod

    def component(self, command, **settings):
        return json.dumps({"image": self.busybox, "command": command, **settings})

    def usual(self):
        """Init components, waves, a health check, a copy: a pod that makes every kind of call."""
        healthy = {"test": ["CMD", "true"], "interval": "200ms", "retries": 3}
        return {
            "pod.init.components": json.dumps([{"image": self.busybox, "command": ["true"]}]),
            "pod.component.db": self.component(SLEEP, healthcheck=healthy),
            "pod.component.app": self.component(SLEEP, depends_on={"db": {"condition": "service_healthy"}}),
            "pod.component.web": self.component(SLEEP, depends_on=["app"]),
            "pod.copy.web": "/etc/hostname:/tmp/made/hostname",
        }

    def owned(self, pod=None):
        label = OWNER if pod is None else f"{OWNER}={pod}"
        return self.engine.call("GET", "/containers/json", all="true", filters={"label": [label]})

    def running(self, pod):
        """Names of the components that run and belong to this run of the controller."""
        generation = self.engine.inspect(pod)["State"]["StartedAt"]
        mine = (c for c in self.owned(pod) if c["State"] == "running" and c["Labels"].get("outrigger.generation") == generation)
        return {c["Labels"].get("outrigger.component") for c in mine if c["Labels"].get("outrigger.role") == "component"}

    def runs(self, pod, names):
        with contextlib.suppress(EngineError, OSError):
            return self.running(pod) == set(names)
        return False

    def ended(self, pod):
        with contextlib.suppress(EngineError, OSError):
            return not self.engine.inspect(pod)["State"]["Running"]
        return False

    def log(self, pod, tail=30):
        with contextlib.suppress(EngineError, OSError):
            return b"".join(self.engine.log(pod, tail=tail)).decode(errors="replace")
        return ""

    def remove(self, pod):
        self.engine.remove(pod)
        self.made.remove(pod)

    def clean_up(self):
        for pod in list(self.made):
            with contextlib.suppress(EngineError, OSError):
                for container in self.owned(pod):
                    self.engine.remove(container["Id"])
                self.engine.remove(pod)


class Bystanders:
    """Containers of others, named and labelled as if somebody wanted them to be mistaken."""

    def __init__(self, pods):
        engine, busybox = pods.engine, pods.busybox
        self.engine = engine
        plain = {"Image": busybox, "Cmd": SLEEP}
        wanted = {
            f"{PREFIX}-other": plain,
            f"{PREFIX}-1.podlike.old": plain,
            f"{PREFIX}-labelled": {**plain, "Labels": {"outrigger": "yes", "outrigger.component": "app", "pod.component.x": "{image: x}"}},
            # The ownership labels, but not in anybody's network: not one of a pod's containers.
            f"{PREFIX}-forged": {**plain, "Labels": {OWNER: "0" * 64, "outrigger.generation": "x", "outrigger.role": "component", "outrigger.component": "app"}},
        }
        self.ids = [engine.create(name, body) for name, body in wanted.items()]
        for container in self.ids:
            engine.start(container)
        self.before = self.seen()

    def seen(self):
        def state(container):
            try:
                found = self.engine.inspect(container)["State"]
                return found["StartedAt"], found["Running"]
            except EngineError:
                return "gone"
        return [state(container) for container in self.ids]

    def touched(self):
        return sum(now != then for now, then in zip(self.seen(), self.before))

    def remove(self):
        for container in self.ids:
            self.engine.remove(container)


class Faults:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.rows = []

    def row(self, what, rounds, bad, detail=""):
        self.rows.append({"what": what, "rounds": rounds, "bad": bad, "detail": detail})
        say(f"{what}: {bad} bad of {rounds} {detail}")

    # --- SIGKILL of the controller ---------------------------------------------------------------------------------------

    def kills(self):
        engine = Engine()
        pods = Pods(engine, self.options.image, self.options.busybox)
        bystanders = Bystanders(pods)
        names = ("db", "app", "web")
        orphans = touched = stuck = 0
        phases = {}
        try:
            whole, up = self.one_life(pods, names)
            say(f"a life takes {whole:.1f} s, {up:.1f} s of it to start")
            for n in range(1, self.options.rounds + 1):
                at = self.random.uniform(0, whole)
                pod = pods.create(pods.usual())
                asked = threading.Timer(up, lambda pod=pod: engine.kill(pod, "TERM"))
                begun = time.monotonic()
                engine.start(pod)
                asked.start()
                time.sleep(max(0.0, at - (time.monotonic() - begun)))
                alive = engine.kill(pod)
                asked.join()
                until("the killed controller to be gone", lambda pod=pod: pods.ended(pod))
                left = len(pods.owned(pod))
                phase = "after its end" if not alive else "while stopping" if at > up else "while starting"
                phases[phase] = phases.get(phase, 0) + 1
                # The next start: of the same container, or of another that knows nothing of it.
                following = pod if n % 2 else pods.create(pods.usual())
                try:
                    engine.start(following)
                    until("the next pod to run", lambda f=following: pods.runs(f, names))
                except TimeoutError as error:
                    stuck += 1
                    say(f"round {n}, killed at {at:.2f} s: {error}\n{pods.log(following)}")
                generation = engine.inspect(following)["State"]["StartedAt"]
                foreign = lambda c, f=following, g=generation: c["Id"] not in bystanders.ids and (c["Labels"][OWNER] != f or c["Labels"].get("outrigger.generation") != g)
                wrong = [c["Names"] for c in pods.owned() if foreign(c) and c["Labels"][OWNER] in pods.made]
                engine.stop(following)
                wrong += [c["Names"] for c in pods.owned() if c["Id"] not in bystanders.ids and c["Labels"][OWNER] in pods.made]
                if wrong:
                    orphans += 1
                    say(f"round {n}, killed at {at:.2f} s: left {wrong}")
                touched = max(touched, bystanders.touched())
                if n % 10 == 0:
                    say(f"round {n}: {orphans} with orphans, {touched} of others touched; this one left {left} for the next to clean up")
                for done in {pod, following}:
                    for container in pods.owned(done):
                        engine.remove(container["Id"])
                    pods.remove(done)
        finally:
            pods.clean_up()
            bystanders.remove()
        told = ", ".join(f"{count} {phase}" for phase, count in sorted(phases.items()))
        self.row("SIGKILL of the controller: rounds with orphans after the next start", self.options.rounds, orphans, f"({told})")
        self.row("the same: rounds in which the next pod did not run", self.options.rounds, stuck)
        self.row("the same: containers of others touched", len(bystanders.ids), touched)

    def one_life(self, pods, names):
        """How long a pod lives that is told to stop as soon as it runs, and how long it takes to run: the slower of two."""
        lives = []
        for _ in range(2):
            pod = pods.create(pods.usual())
            begun = time.monotonic()
            pods.engine.start(pod)
            until("the pod to run", lambda pod=pod: pods.runs(pod, names))
            up = time.monotonic() - begun + 0.2
            time.sleep(0.2)
            pods.engine.stop(pod)
            lives.append((time.monotonic() - begun, up))
            pods.remove(pod)
        return max(lives)

    # --- restarts of the engine --------------------------------------------------------------------------------------------

    def engines(self):
        if os.geteuid() != 0:
            sys.exit("error: an engine of its own needs root")
        for live in (True, False):
            rounds = self.options.restarts // 2
            with OwnEngine(live, (self.options.image, self.options.busybox)) as own:
                self.restarts(own, live, rounds)

    def restarts(self, own, live, rounds):
        engine = own.connect()
        pods = Pods(engine, self.options.image, self.options.busybox, socket=f"{own.sockets}:/engine")
        labels = {"pod.component.a": pods.component(SLEEP), "pod.component.b": pods.component(SLEEP, depends_on=["a"])}
        pod = pods.create(labels, environment=["DOCKER_HOST=unix:///engine/docker.sock"], restart="always")
        engine.start(pod)
        names = {"a", "b"}
        until("the pod to run", lambda: pods.runs(pod, names))
        down = orphans = restarted = 0
        for n in range(1, rounds + 1):
            before = engine.inspect(pod)["State"]["StartedAt"]
            how = signal.SIGKILL if n % 2 else signal.SIGTERM
            own.stop(how)
            time.sleep(self.random.uniform(0, 1.5))
            own.start()
            engine = pods.engine = own.connect()
            try:
                until("the pod to run again", lambda: pods.runs(pod, names))
                time.sleep(1)
                if not pods.runs(pod, names):
                    raise TimeoutError("the pod did not keep running")
            except TimeoutError as error:
                down += 1
                say(f"restart {n} ({how.name}): {error}\n{pods.log(pod)}\n" + json.dumps([[c["Names"], c["State"], c["Status"]] for c in pods.owned()]))
            generation = engine.inspect(pod)["State"]["StartedAt"]
            restarted += generation != before
            stale = [c["Names"] for c in pods.owned() if c["Labels"].get("outrigger.generation") != generation]
            if stale:
                orphans += 1
                say(f"restart {n} ({how.name}): left {stale}")
        engine.stop(pod)
        left = [c["Names"] for c in pods.owned()]
        pods.clean_up()
        kind = "with live-restore" if live else "without live-restore"
        self.row(f"engine restarts {kind}: the pod does not run afterwards", rounds, down, f"(its controller was started anew in {restarted})")
        self.row(f"engine restarts {kind}: orphans", rounds, orphans + bool(left))

    # --- shutdowns of the engine --------------------------------------------------------------------------------------------

    def shutdowns(self):
        if os.geteuid() != 0:
            sys.exit("error: an engine of its own needs root")
        rounds = self.options.shutdowns
        with OwnEngine(False, (self.options.image, self.options.busybox)) as own:
            floor = {n: statistics.median(self.plain(own, n) for _ in range(3)) for n in (1, 3, 10)}
            for n in floor:
                self.shutdown(own, f"pods of {n}", n, rounds, floor[n])
            self.shutdown(own, "pods of 3 with `--pids=false`", 3, rounds, floor[3], arguments=("--pids=false",))
            self.shutdown(own, "pods of 3 with a grace period of 60 s", 3, rounds, floor[3], stop_timeout=60)
            self.shutdown(own, "pods of 3 that are being started", 3, rounds, floor[3], early=True)
            self.shutdown(own, "pods of 3 with a drain of 10 s", 3, rounds, floor[3], labels={"pod.options": '{"drain": "10s"}'})
            self.shutdown(own, "pods of 3 after a crash of the engine", 3, rounds, floor[3], crash=True)

    # Heeds SIGTERM, as an application does.
    HEEDS = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]

    def plain(self, own, n):
        """How long the engine takes to end with so many containers, and one more in the place of the controller."""
        engine = own.connect()
        made = [engine.create(f"{PREFIX}-plain-{i}", {"Image": self.options.busybox, "Cmd": self.HEEDS}) for i in range(n + 1)]
        for container in made:
            engine.start(container)
        time.sleep(1)
        took = self.ends(own)
        own.start()
        engine = own.connect()
        for container in made:
            engine.remove(container)
        return took

    def ends(self, own):
        begun = time.monotonic()
        own.stop(signal.SIGTERM)
        return time.monotonic() - begun

    def shutdown(self, own, what, n, rounds, floor, arguments=(), stop_timeout=30, early=False, crash=False, labels=None):
        """Engines that are told to end, as a reboot does it, or that start again after a crash: neither waits for the pod, which is there again afterwards."""
        names = {f"c{i}" for i in range(n)}
        late = down = orphans = wrong = 0
        times = []
        for number in range(1, rounds + 1):
            engine = own.connect()
            pods = Pods(engine, self.options.image, self.options.busybox, socket=f"{own.sockets}:/engine")
            parts = {f"pod.component.{name}": pods.component(self.HEEDS, stop_grace_period="20s") for name in names}
            pod = pods.create(
                {**parts, **(labels or {})},
                arguments=("--keep-failed=0", *arguments),
                environment=["DOCKER_HOST=unix:///engine/docker.sock"],
                restart="always",
                stop_timeout=stop_timeout,
            )
            engine.start(pod)
            if early:
                time.sleep(self.random.uniform(0.2, 1.0))
            else:
                until("the pod to run", lambda pods=pods, pod=pod: pods.runs(pod, names))
                until("the pod to say so", lambda pods=pods, pod=pod: "the pod runs" in pods.log(pod))
            if crash:
                own.stop(signal.SIGKILL)
                time.sleep(1)
                begun = time.monotonic()
                own.start()
                # The start of an engine takes its own time, and now and then a second try.
                pods.engine = own.connect()
                took = stopped_in(pods.log(pod, tail=200)) or time.monotonic() - begun
            else:
                took = self.ends(own)
                own.start()
            times.append(took)
            engine = pods.engine = own.connect()
            if took > floor + 2:
                late += 1
                say(f"round {number}: {took:.1f} s instead of {floor:.1f} s\n{pods.log(pod, tail=60)}")
            try:
                until("the pod to run again", lambda pods=pods, pod=pod: pods.runs(pod, names))
            except TimeoutError as error:
                down += 1
                say(f"round {number}: {error}\n{pods.log(pod)}")
            log = pods.log(pod, tail=200)
            code = 143 if early and "exit_code=143" in log else 0
            if f"the pod has ended exit_code={code}" not in log and not early:
                wrong += 1
                say(f"round {number}: it did not end with {code}\n{log}")
            generation = engine.inspect(pod)["State"]["StartedAt"]
            stale = [c["Names"] for c in pods.owned() if c["Labels"].get("outrigger.generation") != generation]
            if stale:
                orphans += 1
                say(f"round {number}: left {stale}")
            engine.stop(pod)
            pods.clean_up()
        told = f"({statistics.median(times):.1f} s, at most {max(times):.1f}; plain containers {floor:.1f})"
        bad = late + down + orphans + wrong
        self.row(f"engine shut down under {what}: too late, wrong code, not there afterwards, or an orphan", rounds, bad, told)

    # --- components that misbehave ------------------------------------------------------------------------------------------

    def components(self):
        engine = Engine()
        pods = Pods(engine, self.options.image, self.options.busybox)
        try:
            self.forks(pods)
            self.deaf(pods)
            self.short(pods)
            self.late(pods)
        finally:
            pods.clean_up()

    def over(self, pods, pod, code):
        """Why this pod did not end as promised; empty where it did."""
        state = pods.engine.inspect(pod)["State"]
        left = [c["Names"] for c in pods.owned(pod)]
        wrong = []
        if state["Running"]:
            wrong.append("it still runs")
        elif state["ExitCode"] != code:
            wrong.append(f"its exit code is {state['ExitCode']}, not {code}")
        if left:
            wrong.append(f"it left {left}")
        if wrong:
            say("; ".join(wrong) + "\n" + pods.log(pod))
            for container in pods.owned(pod):
                pods.engine.remove(container["Id"])
        pods.remove(pod)
        return wrong

    def forks(self, pods, rounds=10):
        """Daemons that leave their parents: in the pod's PID namespace they fall to the controller, which must reap them."""
        bad = 0
        for _ in range(rounds):
            script = "i=0; while [ $i -lt 200 ]; do (sleep 0.0$((i % 10)) & ) ; i=$((i+1)); done; (setsid sleep 1000000 &); exec sleep 1000000"
            pod = pods.create({"pod.component.forks": pods.component(["sh", "-c", script])})
            pods.engine.start(pod)
            until("the pod to run", lambda pod=pod: pods.runs(pod, {"forks"}))
            controller = pods.engine.inspect(pod)["State"]["Pid"]
            try:
                until("the dead to be reaped", lambda c=controller: zombies(c) == 0 and children(c) <= 2, 20)
            except TimeoutError:
                bad += 1
                say(f"{zombies(controller)} dead and {children(controller)} children of the controller remain")
            pods.engine.stop(pod)
            bad += bool(self.over(pods, pod, 0))
        self.row("components that fork: not reaped, or something left", rounds, bad)

    def deaf(self, pods, rounds=10):
        """One that ignores every signal that can be ignored: it is killed when its own grace is over, well within the pod's."""
        bad = 0
        script = "trap '' TERM INT HUP QUIT USR1 USR2; while :; do sleep 1; done"
        labels = {
            "pod.component.deaf": pods.component(["sh", "-c", script], stop_grace_period="1s"),
            "pod.component.good": pods.component(SLEEP, depends_on=["deaf"]),
        }
        for _ in range(rounds):
            pod = pods.create(labels)
            pods.engine.start(pod)
            until("the pod to run", lambda pod=pod: pods.runs(pod, {"deaf", "good"}))
            before = time.monotonic()
            pods.engine.stop(pod)
            took = time.monotonic() - before
            late = took > 8
            if late:
                say(f"the stop took {took:.1f} s")
            bad += bool(self.over(pods, pod, 137)) or late
        self.row("components that ignore signals: not killed after their grace, or something left", rounds, bad)

    def short(self, pods, rounds=20):
        """One that exits at once: its code is the pod's, whether it ends before, while or after the others start."""
        bad = 0
        for n in range(rounds):
            code = n % 4 * 7
            labels = {"pod.component.short": pods.component(["sh", "-c", f"exit {code}"])}
            labels |= {f"pod.component.c{i}": pods.component(SLEEP, **({"depends_on": ["short"]} if i % 2 else {})) for i in range(4)}
            pod = pods.create(labels)
            pods.engine.start(pod)
            until("the pod to end", lambda pod=pod: pods.ended(pod))
            bad += bool(self.over(pods, pod, code))
        self.row("components that exit at once: other exit code, or something left", rounds, bad)

    def late(self, pods, rounds=20):
        """Several that exit by themselves at the moment when they are being stopped."""
        bad = 0
        for _ in range(rounds):
            pause = self.random.uniform(0, 0.6)
            labels = {f"pod.component.c{i}": pods.component(["sh", "-c", f"sleep {1 + pause + i / 50:.2f}; exit 0"]) for i in range(4)}
            pod = pods.create(labels)
            pods.engine.start(pod)
            time.sleep(1 + self.random.uniform(0.2, 0.9))
            pods.engine.stop(pod)
            bad += bool(self.over(pods, pod, self.code(pods, pod)))
        self.row("components that exit while being stopped: not ended cleanly, or something left", rounds, bad)

    def code(self, pods, pod):
        """0, whoever was quicker; 143 where the stop came while the pod was still starting."""
        found = pods.engine.inspect(pod)["State"]["ExitCode"]
        return found if found == 143 and "during its start" in pods.log(pod) else 0

    # --- the table -----------------------------------------------------------------------------------------------------------

    def report(self):
        print()
        print(f"| {'fault':<82} | {'counted':>7} | {'bad':>4} | detail")
        print(f"| {'-' * 82} | {'-' * 7} | {'-' * 4} | ---")
        for row in self.rows:
            print(f"| {row['what']:<82} | {row['rounds']:>7} | {row['bad']:>4} | {row['detail']}")
        if self.options.json:
            with open(self.options.json, "w", encoding="utf-8") as file:
                json.dump(self.rows, file, indent=2)


def stopped_in(log):
    """Seconds from the controller's signal to its end, by its own log; none where it has not both."""
    def when(what):
        lines = [line for line in log.splitlines() if what in line]
        return datetime.datetime.fromisoformat(lines[-1].split()[0].replace("Z", "+00:00")) if lines else None
    begun, over = when("received a signal"), when("the pod has ended")
    return (over - begun).total_seconds() if begun and over else None


def below(process):
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8") as stat:
                fields = stat.read().rpartition(")")[2].split()
                if int(fields[1]) == process:
                    yield fields[0]


def zombies(process):
    return sum(state == "Z" for state in below(process))


def children(process):
    return sum(1 for _ in below(process))


class OwnEngine:
    """A dockerd with directories and a network namespace of its own; it and its containers are ended on exit."""

    def __init__(self, live_restore, images):
        self.live, self.images = live_restore, images
        self.root = tempfile.mkdtemp(prefix="outrigger-faults-")
        self.sockets = os.path.join(self.root, "sockets")
        self.daemon = None

    def path(self, name):
        return os.path.join(self.root, name)

    def connect(self):
        return Engine(f"unix://{self.sockets}/docker.sock")

    def __enter__(self):
        os.makedirs(self.sockets)
        self.start()
        for image in self.images:
            saved = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
            subprocess.run(["docker", "-H", f"unix://{self.sockets}/docker.sock", "load", "-q"], stdin=saved.stdout, stdout=subprocess.DEVNULL, check=True)
            saved.wait()
        return self

    def start(self):
        command = ["unshare", "--net", "--", "dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false"]
        command += [f"--host=unix://{self.sockets}/docker.sock", f"--data-root={self.path('data')}", f"--exec-root={self.path('exec')}", f"--pidfile={self.path('pid')}"]
        command += ["--live-restore"] if self.live else []
        # After a SIGKILL the first start may fail on what the killed one left; whatever supervises an engine starts it again.
        for attempt in range(1, 6):
            with contextlib.suppress(OSError):
                os.remove(self.path("pid"))
            with open(self.path("log"), "ab") as log:
                self.daemon = subprocess.Popen(command, stdout=log, stderr=log)
            until("the engine to answer, or to end", lambda: self.daemon.poll() is not None or self.answers())
            if self.daemon.poll() is None:
                return
            say(f"dockerd ended with {self.daemon.returncode} at start {attempt}")
        with open(self.path("log"), encoding="utf-8", errors="replace") as log:
            sys.exit("error: dockerd does not start:\n" + "".join(log.readlines()[-15:]))

    def answers(self):
        with contextlib.suppress(OSError, EngineError, ValueError, KeyError):
            self.connect().call("GET", "/info")
            return True
        return False

    def stop(self, how=signal.SIGTERM):
        self.daemon.send_signal(how)
        self.daemon.wait(PATIENCE)

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            engine = self.connect()
            for container in engine.call("GET", "/containers/json", all="true"):
                engine.remove(container["Id"])
        with contextlib.suppress(Exception):
            self.stop()
        # A killed one's containerd outlives it.
        self.end_containerd()
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            inside = [line.split()[1] for line in mounts if line.split()[1].startswith(self.root)]
        for mount in reversed(inside):
            subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def end_containerd(self):
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as line:
                    if self.root.encode() in line.read() and int(name) != os.getpid():
                        os.kill(int(name), signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser(prog="scripts/faults", description="Breaks pods in every way that is promised to be survived.")
    parser.add_argument("--image", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--busybox", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=100, help="controllers that are killed (%(default)s)")
    parser.add_argument("--restarts", type=int, default=20, help="restarts of an engine (%(default)s)")
    parser.add_argument("--shutdowns", type=int, default=5, help="shutdowns of an engine, of each kind (%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="of the random moments")
    parser.add_argument("--json", metavar="FILE", help="write the counts there, too")
    known = ("kills", "engines", "shutdowns", "components")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(known)}; all by default")
    options = parser.parse_args()
    for part in options.parts:
        if part not in known:
            parser.error(f"unknown part `{part}`: one of {', '.join(known)}")
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    say(f"seed {options.seed}")
    faults = Faults(options)
    for part in options.parts or known:
        say(f"--- {part}")
        getattr(faults, part)()
    faults.report()
    if any(row["bad"] for row in faults.rows):
        sys.exit(1)


main()
