"""start, stop, restart: what a person wants to run, and what not."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cc_ci_orch import installed, places
from cc_ci_orch.cli import booting, ending, looking, phases, preparing, supervising, talk
from cc_ci_orch.cli.compose import Instance, child_env
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.cli.versions import PACKAGE
from cc_ci_orch.core.model import Memory, Request
from cc_ci_orch.errors import TRY_AGAIN, OrchError, TryAgain
from cc_ci_orch.guardian import RECORD
from cc_ci_orch.installed import Unit
from cc_ci_orch.settings import SINGLES
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.run import spawn_daemon

COMING_UP = 20.0
"""Seconds in which a supervisor must have made its first tick."""

STOPPING = 45.0
"""Seconds beyond the agents' grace that a stop may take, where tmux doesn't answer either."""

TAKEOVER = "./launch.sh start --takeover"

SESSIONS_UP = 30.0
"""Seconds that `start` waits for its sessions before it shows what there is."""


# ------------------------------------------------------------------------------------ start


def start(call: Call) -> int:
    """Start whatever isn't running, and show it."""
    talk.check_roles(call, call.args.roles)
    unit = None if call.args.foreground else installed.find(call.config.name, call.config.state)
    if unit is not None:
        booting.require_running(call, unit)
    instance = Instance(call.config, call.program_root)
    if unit is None:
        instance.require_plan()
        preparing.require_programs(instance)
        preparing.require_prompts(instance)
    places.prepare_state(call.config.state)
    with Lock(call.config.state / "start.lock"):
        if unit is None:  # what its supervisor needs, its own start has made
            preparing.prepare(instance, call.say)
        replaced = call.args.takeover and unit is None and ending.end_supervisor(call)
        begin = bool(call.args.roles) or not replaced
        if not call.args.foreground:
            _start_behind(call, instance, unit, begin=begin)
    if call.args.foreground:
        return supervising.run_supervisor(call, instance, begin=begin, guardian=None, guarded=False)
    state = _wait_for_sessions(call)
    for text in _left_alone(state):
        call.say(text)
    call.out(looking.render(state, sys.stdout), end="")
    return 0


def _start_behind(call: Call, instance: Instance, unit: Unit | None, *, begin: bool) -> None:
    """Start a supervisor of its own, or ask the one that runs for what it isn't running."""
    try:
        running = talk.query(call.config.state, "status")
        request = Request(0, "start", tuple(call.args.roles))
        answer = None if running is None else talk.ask(call, request)
    except CannotTell as error:
        raise TryAgain(f"can't start: {call.config.state}: {error}", TAKEOVER) from None
    if running is None:
        if unit is not None:
            raise booting.how_to_start(unit)
        if begin and not call.args.takeover:
            memory = instance.memory_file.peek() or Memory()
            phases.choose(call, instance, memory.course)
        ending.end_guardian(call.config.state)  # one that is about to bring the last one back
        _launch(call, begin=begin)
        return
    if answer is None:
        raise TryAgain("can't start: the supervisor has just ended", "./launch.sh start")
    code, text = talk.answer_of(answer)
    if code:
        raise (
            TryAgain(f"can't start: {text}")
            if code == TRY_AGAIN
            else OrchError(f"can't start: {text}")
        )
    call.say(f"already running (supervisor {_pid_of(running)})")


def _pid_of(state: Mapping[str, Any]) -> int | None:
    supervisor = state.get("supervisor")
    return supervisor.get("pid") if isinstance(supervisor, dict) else None


def _launch(call: Call, *, begin: bool) -> None:
    """Start a supervisor of its own, and wait for its first tick."""
    log = call.config.state / "logs" / "watchdog.log"
    said = _size(log)
    argv = [sys.executable, str(PACKAGE), "supervise", *call.args.roles]
    if begin:
        argv.append("--begin")
    if call.args.takeover:
        argv.append("--takeover")
    pid = spawn_daemon(argv, env=child_env(call.config), cwd=Path("/"), log_path=log)
    deadline = time.monotonic() + COMING_UP
    while talk.query(call.config.state, "status") is None:
        if not _exists(pid) or time.monotonic() > deadline:
            raise OrchError(f"can't start the supervisor: {_last_words(log, said)}", f"see {log}")
        time.sleep(0.02)


def _wait_for_sessions(call: Call) -> Mapping[str, Any]:
    """The state once every wanted session runs, or has failed to."""
    deadline = time.monotonic() + SESSIONS_UP
    told = time.monotonic()
    while True:
        state = looking.current_state(call)
        runs = state["phase"]["state"] == "running"
        at = state["time"]
        starting = [s["role"] for s in state["sessions"] if runs and _is_starting(s, at)]
        now = time.monotonic()
        if not starting or now > deadline:
            return state
        if now - told > 2.0:
            told = now
            call.say(f"waiting for {', '.join(starting)}")
        time.sleep(0.05)


def _is_starting(session: Mapping[str, Any], now: str) -> bool:
    """Whether it has not run yet, and is about to."""
    tried = session["restarts"] or (session["next_attempt"] or "") > now
    return session["wanted"] == "up" and not (session["pid"] or tried or session["held"])


def _left_alone(state: Mapping[str, Any]) -> list[str]:
    """What a start did not start, and what would."""
    told = []
    for session in state["sessions"]:
        role = session["role"]
        if role in SINGLES:
            continue
        if session["wanted"] == "down":
            told.append(f"{role} stays down, until ./launch.sh start {role}")
        elif session["held"]:
            told.append(f"{role} is held, so left alone, until ./launch.sh release {role}")
    return told


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _last_words(log: Path, since: int) -> str:
    """What the supervisor said last, before it ended."""
    try:
        text = log.read_bytes()[since:].decode("utf-8", "replace")
    except OSError:
        text = ""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("hint: ")]
    return lines[-1].removeprefix("cc-ci-orch: ") if lines else "it left no word"


# --------------------------------------------------------------------------- stop, restart


def stop(call: Call) -> int:
    """End the agents, and with them the supervisor; or keep one role down."""
    roles = tuple(call.args.roles)
    talk.check_roles(call, roles)
    request = Request(0, "stop", roles, grace=call.args.grace, everything=not roles)
    if not roles and call.config.state.is_dir():
        _end_upgrader(call)
    answer = _ask_to_stop(call, request)
    if answer is None:
        if not roles:
            ending.end_guardian(call.config.state)
        reply = talk.carry_out(call, request)
        code, text = reply.code, reply.text
        if not roles:
            (call.config.state / RECORD).unlink(missing_ok=True)
            Instance(call.config, call.program_root).forget_socket()
    else:
        code, text = talk.answer_of(answer)
        if (
            not roles
            and code == 0
            and not ending.wait_until_free(Lock(call.config.state / "lock"), ending.LEAVING)
        ):
            raise TryAgain("the agents have ended, but the supervisor has not", "./launch.sh stop")
    call.say(text)
    return code


def _end_upgrader(call: Call) -> None:
    """A run of the upgrader ends with the instance, and is reported."""
    instance = Instance(call.config, call.program_root)
    if instance.upgrades.ask_to_end(call.args.grace):
        instance.upgrades.settle(instance.report)
        instance.upgrades.clear()
        call.say("the upgrader was running, and is ended")


def _ask_to_stop(call: Call, request: Request) -> Mapping[str, Any] | None:
    """The supervisor's answer; None where there is none, or no longer one."""
    try:
        return talk.ask(call, request, request.grace + STOPPING)
    except CannotTell as error:
        if not request.everything:
            raise TryAgain(f"can't stop {', '.join(request.roles)}: {error}", TAKEOVER) from None
        pid = Lock(call.config.state / "lock").held_by()
        if pid is not None:
            call.say(f"{error}; it is ended first")
            ending.kill_supervisor(call, pid)
        return None


def restart(call: Call) -> int:
    """The same conversation, or a fresh one, in a new process."""
    roles = tuple(call.args.roles)
    talk.check_roles(call, roles, also=talk.ORCHESTRATOR)
    request = Request(0, "restart", roles, fresh=call.args.fresh)
    answer = talk.ask(call, request, request.grace + SESSIONS_UP)
    if answer is None:
        raise TryAgain("can't restart: no supervisor runs", "./launch.sh start")
    code, text = talk.answer_of(answer)
    call.say(text)
    return code
