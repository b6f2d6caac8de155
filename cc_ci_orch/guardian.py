"""The guardian: brings the supervisor back where no systemd does.

It watches one process through a pidfd and does nothing else. When the supervisor has ended
and its record still names it, it died without meaning to: the guardian starts the next one.
A supervisor that ends on purpose removes its record first, and the guardian goes too.
The supervisor watches the guardian in turn, and replaces it.

Run as `python cc_ci_orch guard STATE PID`; it imports next to nothing, to stay small.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time

RECORD = "supervisor.json"
FIRST_DELAY = 0.2
LONGEST_DELAY = 60.0
"""Seconds between attempts to bring a supervisor back; doubled while it keeps dying young."""

RAN_WELL = 30.0
"""Seconds after which a supervisor's death is a new matter."""


def main(argv: list[str]) -> int:
    """Guard the supervisor `PID` of the instance in `STATE` until it ends on purpose."""
    state, pid = argv[0], int(argv[1])
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    guarded = {pid}
    delay = FIRST_DELAY
    while True:
        begun = time.monotonic()
        _wait_for_end(pid)
        if time.monotonic() - begun >= RAN_WELL:
            delay = FIRST_DELAY
        if not _should_run(state, guarded):
            return 0
        time.sleep(delay)
        delay = min(delay * 2, LONGEST_DELAY)
        if not _should_run(state, guarded):
            return 0
        pid = _start(state)
        guarded.add(pid)


def _wait_for_end(pid: int) -> None:
    """Until the process is dead; a child of ours leaves no zombie."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    select.select([fd], [], [])
    os.close(fd)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _should_run(state: str, guarded: set[int]) -> bool:
    """Whether a supervisor of ours should be running.

    No record: it ended on purpose. Another's record: that one has its own guardian. A record
    that can't be read says neither; the next supervisor's lock keeps two from running.
    """
    try:
        with open(os.path.join(state, RECORD), encoding="utf-8") as file:
            return int(json.load(file)["pid"]) in guarded
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _start(state: str) -> int:
    """Start the next supervisor, with our own environment; it resumes what it finds."""
    package = os.path.dirname(os.path.abspath(__file__))
    null = os.open(os.devnull, os.O_RDWR)
    log = _log(state, null)
    try:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, package, "supervise", "--guardian", str(os.getpid())],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(null)
        if log != null:
            os.close(log)


def _log(state: str, otherwise: int) -> int:
    """The watchdog's log; a full disk must not keep a supervisor down."""
    path = os.path.join(state, "logs", "watchdog.log")
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return otherwise
