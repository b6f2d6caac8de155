"""status, explain, attach: looking on, without touching anything."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import IO, Any

from cc_ci_orch import __version__
from cc_ci_orch.cli import talk
from cc_ci_orch.cli.compose import Instance
from cc_ci_orch.cli.loops import Call, one_line
from cc_ci_orch.core import apart
from cc_ci_orch.core.decide import decide
from cc_ci_orch.core.journal import reboots
from cc_ci_orch.core.model import Memory, RoleMemory, Seen, Snapshot, Trouble
from cc_ci_orch.core.text import span
from cc_ci_orch.errors import NOT_RUNNING, OrchError, TryAgain, UsageError
from cc_ci_orch.seats import Seat
from cc_ci_orch.settings import SINGLES
from cc_ci_orch.shell import prose
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.status import Reboots, SupervisorInfo, as_dict, iso, phase_info
from cc_ci_orch.status_table import table
from cc_ci_orch.watchdog import Watchdog

# ----------------------------------------------------------------------------------- status


def status(call: Call) -> int:
    """The table, or JSON; again and again with --watch."""
    if call.args.watch is None:
        state = current_state(call)
        if call.args.json:
            call.out(json.dumps(state, indent=1))
        else:
            call.out(render(state, sys.stdout), end="")
        return exit_code(state)
    while True:
        state = current_state(call)
        clear = "\x1b[H\x1b[J" if sys.stdout.isatty() else ""
        body = json.dumps(state) + "\n" if call.args.json else render(state, sys.stdout)
        call.out(clear + body, end="")
        time.sleep(max(call.args.watch, 0.1))


def exit_code(state: Mapping[str, Any]) -> int:
    """0 healthy, 1 not healthy, 3 nothing is running."""
    loops = [s for s in state["sessions"] if s["role"] not in SINGLES]
    if not state["supervisor"]["running"] and not any(s["pid"] for s in loops):
        return NOT_RUNNING
    return 0 if state["healthy"] else 1


def render(state: Mapping[str, Any], stream: IO[str]) -> str:
    """The table; in colour on a terminal, where nobody asked for none."""
    return table(state, colour=colours(stream))


def colours(stream: IO[str]) -> bool:
    """Whether it is a terminal, and nobody asked for none."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def current_state(call: Call) -> Mapping[str, Any]:
    """From the supervisor; where it doesn't answer, from what can be seen without it."""
    try:
        answer = talk.query(call.config.state, "status")
    except (CannotTell, OrchError) as error:
        return _without_answer(call, str(error))
    if answer is None:
        return offline_state(call)
    if "sessions" not in answer:  # it is too early to ask, or it is of another version
        return _without_answer(call, str(answer.get("text")))
    return answer


def _without_answer(call: Call, why: str) -> Mapping[str, Any]:
    """What can be seen of an instance whose supervisor gives no answer."""
    state = offline_state(call)
    try:
        pid = Lock(call.config.state / "lock").held_by()
    except OSError:
        pid = None
    supervisor = {**state["supervisor"], "running": pid is not None, "pid": pid or None}
    troubles = [*state["troubles"], why]
    return {**state, "healthy": False, "supervisor": supervisor, "troubles": troubles}


def offline_state(call: Call) -> Mapping[str, Any]:
    """What there is to see without a supervisor: its last memory, and what runs now."""
    instance = Instance(call.config, call.program_root)
    troubles: list[Trouble] = []
    memory = instance.memory_file.peek() or Memory(stopped=True)
    if instance.memory_file.trouble is not None:
        troubles.append(instance.memory_file.trouble)
    observer = instance.observer()
    observer.supervising = False
    snapshot = observer.look(memory)
    judged = decide(snapshot, memory, call.config.policy).memory
    nobody = SupervisorInfo(running=False)
    return state_of(instance, snapshot, judged, nobody, [*snapshot.troubles, *troubles])


def state_of(
    instance: Instance,
    snapshot: Snapshot,
    memory: Memory,
    supervisor: SupervisorInfo,
    troubles: list[Trouble],
) -> dict[str, Any]:
    """The state as `status --json` has it."""
    phase = phase_info(memory, instance.phases)
    value = as_dict(
        instance.config.name,
        told_of(instance, snapshot, memory),
        snapshot,
        memory,
        supervisor,
        phase,
        _reboots(instance),
        troubles,
    )
    masked: dict[str, Any] = instance.config.mask.within(value)
    return masked


def told_of(instance: Instance, snapshot: Snapshot, memory: Memory) -> tuple[Seat, ...]:
    """The loops, and the orchestrator once somebody has started it."""
    seat = instance.orchestrator
    view = snapshot.sessions.get(seat.name)
    there = view is not None and view.presence is Seen.PRESENT
    started = not apart.never_started(memory.roles.get(seat.name, apart.NEVER))
    return instance.everyone if there or started else instance.seats


def _reboots(instance: Instance) -> Reboots:
    try:
        logged = reboots(prose.read(instance.config.root / "REBOOTS.md"))
    except OrchError:
        return Reboots()
    return Reboots(len(logged), logged[-1].time if logged else None)


def answer_from(
    instance: Instance, dog: Watchdog, what: str, message: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The supervisor's answer to a question about the state; in a thread of its own."""
    if what == "alive":
        return {"code": 0, "text": "alive"}
    deadline = time.monotonic() + 4.0
    while (published := dog.published) is None:
        if time.monotonic() > deadline:
            return {"code": 75, "text": "the supervisor is just starting"}
        time.sleep(0.01)
    age = instance.clock.monotonic() - published.at
    info = SupervisorInfo(True, os.getpid(), instance.started, age, __version__)
    troubles = [*published.snapshot.troubles, *instance.changes()]
    if what == "status":
        return state_of(instance, published.snapshot, published.memory, info, troubles)
    if what == "explain":
        role = str(message.get("role"))
        mem = published.memory.roles.get(role, RoleMemory())
        return {"code": 0, "text": explanation(role, mem, published.snapshot)}
    return {"code": 2, "text": f"unknown question: {what}"}


# ---------------------------------------------------------------------------------- explain


def explain(call: Call) -> int:
    """Why the watchdog judges a role as it does."""
    role = call.args.role
    talk.check_roles(call, [role], also=talk.ORCHESTRATOR)
    answer = talk.query(call.config.state, "explain", role=role)
    if answer is None:
        raise TryAgain(f"can't explain {role}: no supervisor runs", "./launch.sh start")
    code, text = talk.answer_of(answer)
    call.out(text, end="")
    return code


def explanation(role: str, mem: RoleMemory, snapshot: Snapshot) -> str:
    """The judgement on a role in words: what, since when, why, what next."""
    lines = [
        f"{role}: {mem.liveness}, for {span(snapshot.mono - mem.since)}",
        f"  because  {mem.reason}",
        f"  wanted   {mem.wanted}" + (", held by a person" if mem.held else ""),
        f"  ladder   {mem.rung}" + (" (given up for now)" if mem.gave_up else ""),
        f"  restarts {mem.restarts}",
    ]
    if mem.conversation:
        lines.append(f"  talk     {mem.conversation} ({mem.conversation_backend})")
    if mem.next_at is not None:
        when = snapshot.wall + mem.next_at - snapshot.mono
        away = span(max(0.0, mem.next_at - snapshot.mono))
        lines.append(f"  next     {mem.next_step}, in {away} ({iso(when)})")
    else:
        lines.append("  next     nothing, as long as this holds")
    lines.append("  evidence")
    lines += [f"    - {one_line(line)}" for line in mem.evidence] or ["    - none"]
    return "\n".join(lines) + "\n"


# ----------------------------------------------------------------------------------- attach


def attach(call: Call) -> int:
    """Attach this terminal to a session; returns only if that fails."""
    role = call.args.role
    talk.check_roles(call, [role], also=talk.OWN_ROLES)
    return attach_to(call, role)


def attach_to(call: Call, role: str) -> int:
    """Attach this terminal to the role's session; returns only if that fails."""
    if not sys.stdin.isatty():
        raise UsageError(f"can't attach to {role}: standard input is no terminal")
    instance = Instance(call.config, call.program_root)
    observer = instance.observer()
    session = f"{call.config.name}-{role}"
    if observer.look(Memory()).terminal is Seen.ABSENT or session not in observer.panes:
        command = f"launch-{role}" if role in SINGLES else "launch"
        raise OrchError(f"can't attach to {role}: it has no session", f"./{command}.sh")
    env = {k: v for k, v in call.config.environment.items() if k not in ("TMUX", "TMUX_PANE")}
    argv = ["tmux", "-u", "-S", str(call.config.socket), "attach-session", "-t", f"={session}"]
    os.execvpe("tmux", argv, env)
