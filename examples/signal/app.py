"""An application that reads its settings again on SIGHUP, and says so. It writes its process id to a file, as servers do."""

import os
import signal

reads = 0


def read_settings(*_):
    global reads
    reads += 1
    with open(os.environ["SETTINGS"]) as file:
        print(f"settings, read {reads} times: {file.read().strip()}", flush=True)


signal.signal(signal.SIGHUP, read_settings)
if "PID_FILE" in os.environ:
    # Beside it and renamed: whoever reads it finds a whole number.
    with open(os.environ["PID_FILE"] + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.replace(os.environ["PID_FILE"] + ".new", os.environ["PID_FILE"])
print(f"the application is process {os.getpid()}", flush=True)
if not os.path.exists(os.environ["SETTINGS"]):
    with open(os.environ["SETTINGS"], "w") as file:
        file.write("colour=red\n")
read_settings()
while True:
    signal.pause()
