"""Leaves processes behind in every way there is, deaf to all but KILL, and tells their pids.

A child; one in a session of its own; an orphan of an orphan; the same without environment,
in another folder. Each carries this file's name on its command line, for the test to find it.
"""

import subprocess
import sys
import time

SLEEP = (
    "import signal, time\n"
    "for n in (1, 2, 3, 13, 15): signal.signal(n, signal.SIG_IGN)\n"
    "time.sleep(3600)"
)
ARGV = [sys.executable, "-I", "-S", "-c", SLEEP, __file__]
FORK = f"import subprocess; subprocess.Popen({ARGV!r}, start_new_session=True)"

subprocess.Popen(ARGV)
subprocess.Popen(ARGV, start_new_session=True)
subprocess.run([sys.executable, "-I", "-S", "-c", FORK], start_new_session=True, check=True)
subprocess.run([sys.executable, "-I", "-S", "-c", FORK], env={}, cwd="/", check=True)
print("scattered", flush=True)
while True:
    time.sleep(0.25)
    print("working", flush=True)
