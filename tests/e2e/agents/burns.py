"""Works in silence: a child of it computes, as a test run without output does."""

import subprocess
import sys
import time
import tty

tty.setraw(0)
print("hello", flush=True)
subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass", __file__])
while True:
    time.sleep(3600)
