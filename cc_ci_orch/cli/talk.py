"""Talking to the supervisor; and doing what a person asks where there is none."""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cc_ci_orch import places
from cc_ci_orch.cli.compose import Instance
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.core.actions import Reply
from cc_ci_orch.core.codec import encode
from cc_ci_orch.core.model import Memory, Request
from cc_ci_orch.errors import TryAgain, UsageError
from cc_ci_orch.settings import SINGLES
from cc_ci_orch.shell import control
from cc_ci_orch.shell.ports import CannotTell

ANSWER = 15.0
"""Seconds in which a supervisor that is well answers anything but a stop or a nudge."""

ORCHESTRATOR = ("orchestrator",)
OWN_ROLES = ("watchdog", *ORCHESTRATOR, "upgrader")


def check_roles(call: Call, roles: Sequence[str], also: Sequence[str] = ()) -> None:
    """UsageError for a role that this instance doesn't have."""
    known = [role.name for role in call.config.roles]
    for role in roles:
        if role in SINGLES and role not in also:
            own = f"./launch-{role}.sh --help"
            raise UsageError(f"{role} is none of the loops: {role} has a command of its own", own)
        if role not in known and role not in also:
            raise UsageError(
                f"no such role: {role!r}: accepted: {', '.join([*known, *also])}",
                "./launch.sh status",
            )


def ask(call: Call, request: Request, timeout: float = ANSWER) -> Mapping[str, Any] | None:
    """Hand a request to the supervisor; None where none runs, CannotTell if it doesn't answer.

    One that hangs is asked for nothing: it would do it when nobody wants it any more.
    """
    if query(call.config.state, "alive") is None:
        return None
    by = time.monotonic() + timeout
    request = replace(request, id=0, by=by if request.kind == "nudge" else None)
    message = {"do": "request", "request": encode(request), "by": by}
    return control.call(call.config.state, message, timeout)


def query(state: Path, what: str, timeout: float = 5.0, **more: object) -> Mapping[str, Any] | None:
    """Ask the supervisor about the state."""
    return control.call(state, {"do": what, **more}, timeout)


def carry_out(call: Call, request: Request) -> Reply:
    """Do what was asked under the supervisor's lock, since no supervisor runs."""
    if request.everything and not call.config.state.is_dir():
        return Reply(0, 0, "nothing is running")
    places.prepare_state(call.config.state)
    instance = Instance(call.config, call.program_root)
    if not instance.lock.acquire(wait=2.0):
        raise TryAgain("can't do it now: a supervisor is starting or ending", "./launch.sh status")
    try:
        replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        memory = instance.memory_file.load() or Memory(stopped=True)
        watchdog = instance.watchdog(memory, replies.put, lambda text: None, supervising=False)
        watchdog.recover()
        watchdog.ask(replace(request, id=1))
        while replies.empty():
            instance.waiter.wait(watchdog.run_once())
        return replies.get()
    finally:
        instance.last_notes()
        instance.lock.release()


def answer_of(value: Mapping[str, Any]) -> tuple[int, str]:
    """The exit code and the words of an answer."""
    try:
        return int(value["code"]), str(value["text"])
    except (KeyError, TypeError, ValueError):
        raise CannotTell("the supervisor's answer can't be read") from None
