"""Sends SIGHUP to the application whenever its settings change. Both see the same processes: the pod has one PID namespace."""

import os
import signal
import time


def changed(path):
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return None


settings, pid_file = os.environ["SETTINGS"], os.environ["PID_FILE"]
while changed(settings) is None or changed(pid_file) is None:
    time.sleep(0.1)
known = changed(settings)
print("watching", flush=True)
while True:
    time.sleep(0.2)
    now = changed(settings)
    if now not in (known, None):
        known = now
        with open(pid_file) as file:
            pid = int(file.read())
        os.kill(pid, signal.SIGHUP)
        print(f"sent SIGHUP to process {pid}", flush=True)
