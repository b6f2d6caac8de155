"""Works: prints a line now and then, and leaves when it is asked to."""

import os
import time

print(f"{os.environ['ORCH_ROLE']} started as {os.getpid()}", flush=True)
while True:
    time.sleep(0.25)
    print("working", flush=True)
