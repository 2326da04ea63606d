"""An application that can log to a file only, as some can: LOG_FILE names it. It logs whose orders it takes, which it should not."""

import itertools
import os
import time

with open(os.environ["LOG_FILE"], "a", buffering=1) as log:
    for order in itertools.count(1):
        log.write(f"order {order} of ada.lovelace@example.com taken\n")
        time.sleep(0.5)
