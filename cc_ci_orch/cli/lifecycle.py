"""start, stop, restart."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cc_ci_orch.cli import ending, looking, phases, supervising, talk
from cc_ci_orch.cli.compose import PACKAGE, Instance, child_env
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.core.model import Memory, Request
from cc_ci_orch.errors import OrchError, TryAgain
from cc_ci_orch.guardian import RECORD
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.run import spawn_daemon

COMING_UP = 20.0
"""Seconds in which a supervisor must have made its first tick."""

SESSIONS_UP = 30.0
"""Seconds that `start` waits for its sessions before it shows what there is."""


# ------------------------------------------------------------------------------------ start


def start(call: Call) -> int:
    """Start whatever isn't running, and show it."""
    talk.check_roles(call, call.args.roles)
    instance = Instance(call.config, call.program_root)
    instance.require_programs()
    instance.prepare(call.say)
    if call.args.foreground:
        return supervising.run_supervisor(call, instance, begin=True, guardian=None, guarded=False)
    with Lock(call.config.state / "start.lock"):
        if call.args.takeover:
            ending.end_supervisor(call)
        already = talk.query(call.config.state, "status")
        if already is None:
            memory = instance.memory_file.peek() or Memory()
            phases.choose(call, instance, memory.course)
            _launch(call, begin=not call.args.takeover)
        else:
            request = Request(0, "start", tuple(call.args.roles))
            answer = talk.ask(call, request) or {"code": 75, "text": "the supervisor has ended"}
            code, text = talk.answer_of(answer)
            if code:
                raise OrchError(f"can't start: {text}")
            call.say(f"already running (supervisor {already['supervisor']['pid']})")
    state = _wait_for_sessions(call)
    call.out(looking.render(state, sys.stdout), end="")
    return 0


def _launch(call: Call, *, begin: bool) -> None:
    """Start a supervisor of its own, and wait for its first tick."""
    log = call.config.state / "logs" / "watchdog.log"
    argv = [sys.executable, str(PACKAGE), "supervise", *call.args.roles]
    if begin:
        argv.append("--begin")
    pid = spawn_daemon(argv, env=child_env(call.config), cwd=Path("/"), log_path=log)
    deadline = time.monotonic() + COMING_UP
    while talk.query(call.config.state, "status") is None:
        if not _exists(pid) or time.monotonic() > deadline:
            raise OrchError(f"the supervisor did not start: {_last_line(log)}", f"see {log}")
        time.sleep(0.02)


def _wait_for_sessions(call: Call) -> Mapping[str, Any]:
    """The state once every wanted session runs, or has failed to."""
    deadline = time.monotonic() + SESSIONS_UP
    told = 0.0
    while True:
        state = talk.query(call.config.state, "status") or looking.offline_state(call)
        starting = [
            s["role"]
            for s in state["sessions"]
            if s["wanted"] == "up" and s["pid"] is None and not s["restarts"] and not s["held"]
            and not s["gave_up"]
        ]  # fmt: skip
        now = time.monotonic()
        if not starting or now > deadline:
            return state
        if now - told > 2.0:
            told = now
            call.say(f"waiting for {', '.join(starting)}")
        time.sleep(0.05)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it left no word"


# --------------------------------------------------------------------------- stop, restart


def stop(call: Call) -> int:
    """End the agents, and with them the supervisor; or keep one role down."""
    roles = tuple(call.args.roles)
    talk.check_roles(call, roles)
    request = Request(0, "stop", roles, grace=call.args.grace, everything=not roles)
    patience = call.args.grace + ending.LEAVING
    try:
        answer = talk.ask(call, request, patience)
    except CannotTell as error:
        call.say(f"{error}; ending it, and going on without it")
        pid = Lock(call.config.state / "lock").held_by()
        if pid:
            ending.kill_supervisor(call, pid)
        answer = None
    if answer is None:
        reply = talk.carry_out(call, request)
        code, text = reply.code, reply.text
        (call.config.state / RECORD).unlink(missing_ok=True)
    else:
        code, text = talk.answer_of(answer)
        if not roles and code == 0 and not ending.wait_until_free(Lock(call.config.state / "lock"), ending.LEAVING):
            raise TryAgain("the agents have ended, but the supervisor has not", "try again")
    call.say(text)
    return code


def restart(call: Call) -> int:
    """The same conversation, or a fresh one, in a new process."""
    roles = tuple(call.args.roles)
    talk.check_roles(call, roles)
    request = Request(0, "restart", roles, fresh=call.args.fresh)
    answer = talk.ask(call, request, request.grace + SESSIONS_UP)
    if answer is None:
        raise TryAgain("can't restart: no supervisor runs", "./launch.sh start")
    code, text = talk.answer_of(answer)
    call.say(text)
    return code
