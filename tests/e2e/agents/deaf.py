"""Wedged: deaf to its input and to every signal that it can be deaf to."""

import os
import signal
import time
import tty

for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass
tty.setraw(0)
print(f"deaf {os.getpid()}", flush=True)
while True:
    time.sleep(3600)
