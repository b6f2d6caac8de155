"""The agent's terminal, and the few notes that it keeps in its clone (`.git/demo/`).

Lines that are typed arrive at any time and are read between two tasks. One that starts with
a hand-off's number counts once: the numbers seen are kept in a file, which outlives the
process. Anything else that is typed makes the agent look at the repository again.
"""

from __future__ import annotations

import io
import json
import os
import re
import select
import signal
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path

PACE = 0.3
"""Seconds between two steps of a task, so that a person can follow."""

WIDTH = 96
"""Longest line that is printed."""

_HANDOFF = re.compile(r"(H-[0-9]+):")


class Gone(Exception):
    """The terminal has been closed."""


class Desk:
    """One agent's terminal and notes."""

    def __init__(self, notes: Path, name: str) -> None:
        self._notes = notes
        self._name = name
        self._rest = b""
        notes.mkdir(parents=True, exist_ok=True)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # tmux takes it so, whatever the locale
        if sys.stdin.isatty():
            modes = termios.tcgetattr(0)
            modes[3] &= ~termios.ECHO  # what is typed shows when it has been read
            termios.tcsetattr(0, termios.TCSANOW, modes)

    # ------------------------------------------------------------------ speaking

    def say(self, text: str) -> None:
        """Print one line."""
        line = "".join(c for c in " ".join(text.split()) if c.isprintable())
        shown = line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
        print(f"{time.strftime('%H:%M:%S')} {self._name}: {shown}", flush=True)

    def work(self, text: str) -> None:
        """Print what is done now, and take some time for it."""
        self.say(text)
        time.sleep(PACE)
        self._hang_if_asked()

    def _hang_if_asked(self) -> None:
        """Whoever makes the file `hang` in the notes can see an agent hang, once."""
        try:
            (self._notes / "hang").unlink()
        except FileNotFoundError:
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(3600)

    # ------------------------------------------------------------------ listening

    def hear(self, text: str) -> bool:
        """Take in what was typed; whether it is a reason to look at the repository."""
        news = False
        for line in filter(None, (line.strip() for line in text.splitlines())):
            number = _HANDOFF.match(line)
            if number and not self._is_new(number[1]):
                self.say(f"< {number[1]}: seen before, ignored")
                continue
            if number:
                self.say(f"< {line}")
            news = True
        return news

    def read(self) -> bool:
        """Read what has been typed so far, without waiting; as `hear`."""
        news = False
        while select.select([0], [], [], 0)[0]:
            news = self._read() or news
        return news

    def wait(self) -> None:
        """Wait until something is typed that is a reason to look."""
        while not self._read():
            pass

    def _read(self) -> bool:
        data = os.read(0, 65536)
        if not data:
            raise Gone
        *lines, self._rest = (self._rest + data).split(b"\n")
        text = b"\n".join(lines).decode("utf-8", "replace")
        words = "".join(c for c in text if c.isprintable() or c == "\n")
        if lines and not words.strip():
            return True  # Enter alone
        if words.strip() and not _HANDOFF.match(words):
            self.say(f"< {words.strip().splitlines()[0]}")
        return self.hear(words)

    def _is_new(self, number: str) -> bool:
        """Whether the hand-off was never seen; it is from now on."""
        path = self._notes / "seen"
        if path.exists() and number in path.read_text(encoding="utf-8").split():
            return False
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{number}\n")
        return True

    # ------------------------------------------------------------------ notes

    def note(self, name: str, value: Mapping[str, object]) -> None:
        """Keep a value for the processes after this one."""
        new = self._notes / f"{name}.new"
        new.write_text(json.dumps(value), encoding="utf-8")
        new.replace(self._notes / name)

    def noted(self, name: str) -> Mapping[str, object]:
        """A value kept before; empty where there is none."""
        try:
            value = json.loads((self._notes / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}
