"""Ending a supervisor from outside: politely, or, where it does not answer, for certain."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cc_ci_orch.cli.compose import Instance
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.errors import TryAgain
from cc_ci_orch.guardian import RECORD
from cc_ci_orch.shell import control
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.procs import ProcFs

ANSWER = 5.0
"""Seconds in which a supervisor that does not hang says that it is there."""

LEAVING = 15.0
"""Seconds in which a supervisor that got TERM must be gone; it gives its last tick 10."""


def end_supervisor(call: Call) -> bool:
    """End a running supervisor, the agents untouched; False where none ran."""
    lock = Lock(call.config.state / "lock")
    pid = lock.held_by()
    if pid is None:
        return False
    try:
        control.call(call.config.state, {"do": "alive"}, ANSWER)
        _signal(pid, signal.SIGTERM)
        leaves = wait_until_free(lock, LEAVING)
    except CannotTell:
        leaves = False
    if not leaves:
        call.say(f"supervisor {pid} does not leave, so it is killed")
        kill_supervisor(call, pid)
    return True


def kill_supervisor(call: Call, pid: int) -> None:
    """End one that does not answer: its guardian first, or that would bring it back."""
    state = call.config.state
    end_guardian(state)
    _signal(pid, signal.SIGKILL)
    if not wait_until_free(Lock(state / "lock"), LEAVING):
        raise TryAgain(f"can't end the supervisor: {pid}: it does not die")
    (state / RECORD).unlink(missing_ok=True)


def end_guardian(state: Path) -> None:
    """End the guardian of a supervisor that can't do it, and wait until it is gone."""
    guardian = _record(state).get("guardian")
    if not isinstance(guardian, int) or not guards(guardian, state):
        return
    _signal(guardian, signal.SIGSTOP)  # it starts nobody any more
    processes = ProcFs()
    known = processes.identify(guardian)
    tree = processes.snapshot().tree(known) if known else []
    # A supervisor that it has just started waits for the lock; what that started is another's.
    started = [info.id for info in tree if info.parent == guardian]
    for process in (*([known] if known else []), *started):
        processes.signal(process, signal.SIGKILL)
    deadline = time.monotonic() + LEAVING
    while any(map(processes.alive, started)) or guards(guardian, state):
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    processes.close()


def end_empty_server(call: Call) -> None:
    """End the terminal server that nobody has a session in any more, where nothing of the
    instance is meant to run."""
    instance = Instance(call.config, call.program_root)
    memory = instance.memory_file.peek()
    theirs = call.config.unit_socket is not None
    if not theirs and (memory is None or memory.stopped) and instance.lock.held_by() is None:
        with suppress(CannotTell):
            if not instance.terminal.panes():
                instance.terminal.end_server()
    instance.forget_socket()


def guards(pid: int, state: Path) -> bool:
    """Whether that process is a guardian of this instance: pids are reused."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"guard" in words and os.fsencode(state) in words


def _signal(pid: int, number: int) -> None:
    """To one that may have gone by itself; 0 is one of which nobody knows the pid."""
    if pid > 0:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def wait_until_free(lock: Lock, seconds: float) -> bool:
    """Whether nobody holds the lock within that time."""
    deadline = time.monotonic() + seconds
    while lock.held_by() is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _record(state: Path) -> Mapping[str, Any]:
    try:
        value = json.loads((state / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
