"""Ends by itself: `dies.py SECONDS STATUS`."""

import os
import sys
import time

print(f"started as {os.getpid()}", flush=True)
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
