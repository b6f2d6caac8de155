"""Wedged: deaf to its input and to every signal that it can be deaf to."""

import contextlib
import os
import signal
import time
import tty

for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    with contextlib.suppress(OSError):
        signal.signal(number, signal.SIG_IGN)
tty.setraw(0)
print(f"deaf {os.getpid()}", flush=True)
while True:
    time.sleep(3600)
