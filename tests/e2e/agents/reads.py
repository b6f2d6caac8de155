"""Reads what is typed into it and keeps every byte: `reads.py FILE [echo|quiet|raw]`.

`echo` and `quiet` read whole lines, as a shell script would; `raw` is a full-screen client
that asks for bracketed paste, and for which Enter is a CR of its own.
"""

import os
import sys
import termios
import tty

path, mode = sys.argv[1:3]
if mode == "raw":
    tty.setraw(0)
    os.write(1, b"\x1b[?2004h")
if mode == "quiet":
    modes = termios.tcgetattr(0)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSANOW, modes)
os.write(1, b"ready\r\n")
with open(f"{path}.{os.environ['ORCH_ROLE']}", "ab", buffering=0) as file:
    while data := os.read(0, 65536):
        file.write(data)
        if mode == "raw":
            os.write(1, b"." * data.count(b"\r"))
        elif mode == "quiet":
            os.write(1, b"got it\n")
