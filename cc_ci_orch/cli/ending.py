"""Ending a supervisor from outside: politely, or, where it does not answer, for certain."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cc_ci_orch.cli.compose import PACKAGE
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.errors import TryAgain
from cc_ci_orch.guardian import RECORD
from cc_ci_orch.shell.lock import Lock

LEAVING = 20.0
"""Seconds in which a supervisor that got TERM must be gone."""


def end_supervisor(call: Call) -> None:
    """End a running supervisor, the agents untouched; nothing running is no error."""
    lock = Lock(call.config.state / "lock")
    pid = lock.held_by()
    if not pid:
        return
    os.kill(pid, signal.SIGTERM)
    if not wait_until_free(lock, LEAVING):
        call.say(f"supervisor {pid} does not leave, so it is killed")
        kill_supervisor(call, pid)


def kill_supervisor(call: Call, pid: int) -> None:
    """End one that does not answer: its guardian first, or that would bring it back."""
    state = call.config.state
    guardian = _record(state).get("guardian")
    for victim in (guardian, pid):
        if isinstance(victim, int) and is_ours(victim):
            os.kill(victim, signal.SIGKILL)
    if not wait_until_free(Lock(state / "lock"), LEAVING):
        raise TryAgain(f"can't end the supervisor: {pid}: it does not die")
    (state / RECORD).unlink(missing_ok=True)


def is_ours(pid: int) -> bool:
    """Whether the pid is a process of this program: pids are reused."""
    try:
        return os.fsencode(PACKAGE) in Path(f"/proc/{pid}/cmdline").read_bytes() or (
            b"launch.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
    except OSError:
        return False


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
