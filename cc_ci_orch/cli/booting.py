"""start, where a systemd unit runs the instance: only systemd starts its supervisor."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from cc_ci_orch.cli import ending, talk
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.errors import TryAgain
from cc_ci_orch.installed import Unit
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.systemd import unit_of
from cc_ci_orch.supervisor import REPLACE

BACK = 60.0
"""Seconds in which systemd has brought up another supervisor. It waits a moment before it tries."""


def require_running(call: Call, unit: Unit) -> None:
    """TryAgain unless a supervisor runs; `--takeover` replaces it, by another of the unit's."""
    pid = Lock(call.config.state / "lock").held_by()
    if pid is None:
        raise how_to_start(unit)
    if not call.args.takeover:
        return
    if unit_of(pid) != unit.name:
        ending.end_supervisor(call)
        raise how_to_start(unit)
    call.say(f"supervisor {pid} is replaced by another one of {unit.name}")
    with suppress(ProcessLookupError):
        os.kill(pid, REPLACE)
    deadline = time.monotonic() + BACK
    while not _answers(call, other_than=pid):
        if time.monotonic() > deadline:
            hint = f"systemctl status {unit.name}"
            raise TryAgain(f"can't replace the supervisor: {unit.name}: none is back", hint)
        time.sleep(0.05)


def how_to_start(unit: Unit) -> TryAgain:
    """What a start says that is not systemd's."""
    return TryAgain(
        f"can't start: {unit.name}: systemd starts this instance, and it is not running",
        f"sudo systemctl start {unit.name}",
    )


def _answers(call: Call, *, other_than: int) -> bool:
    holder = Lock(call.config.state / "lock").held_by()
    if holder in (None, other_than):
        return False
    with suppress(CannotTell):
        return talk.query(call.config.state, "status") is not None
    return False
