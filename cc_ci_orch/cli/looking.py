"""status, logs, attach, explain, events: looking on, without touching anything."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from cc_ci_orch import __version__, readable
from cc_ci_orch.cli import conversation, talk
from cc_ci_orch.cli.compose import Instance
from cc_ci_orch.cli.loops import Call, one_line
from cc_ci_orch.core.decide import decide
from cc_ci_orch.core.journal import reboots
from cc_ci_orch.core.model import Memory, RoleMemory, Seen, Snapshot, Trouble
from cc_ci_orch.core.text import span
from cc_ci_orch.errors import NOT_RUNNING, OrchError, TryAgain, UsageError
from cc_ci_orch.shell import prose
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.records import EVENTS
from cc_ci_orch.shell.store import Store
from cc_ci_orch.status import Reboots, SupervisorInfo, as_dict, iso, phase_info, table
from cc_ci_orch.watchdog import Watchdog

FOLLOW_EVERY = 0.2
"""Seconds between looks at a file that is followed."""


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
    if not state["supervisor"]["running"] and not any(s["pid"] for s in state["sessions"]):
        return NOT_RUNNING
    return 0 if state["healthy"] else 1


def render(state: Mapping[str, Any], stream: IO[str]) -> str:
    """The table; in colour on a terminal, where nobody asked for none."""
    return table(state, colour=stream.isatty() and not os.environ.get("NO_COLOR"))


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
        instance.seats,
        snapshot,
        memory,
        supervisor,
        phase,
        _reboots(instance),
        troubles,
    )
    masked: dict[str, Any] = instance.config.mask.within(value)
    return masked


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
    talk.check_roles(call, [role])
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


# ------------------------------------------------------------------------------ logs, events


def logs(call: Call) -> int:
    """What a session printed."""
    role = call.args.role
    talk.check_roles(call, [role], also=talk.OWN_ROLES)
    record = None if call.args.raw else conversation.record_of(call, role)
    if record is not None:
        return conversation.show(call, record)
    name = role if role == "watchdog" else f"{call.config.name}-{role}"
    path = call.config.state / "logs" / f"{name}.log"
    if not path.exists():
        raise OrchError(f"no log of {role} yet: {path}", "./launch.sh start")
    text = _last_lines(path, call.args.n)
    if call.args.raw:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
    else:
        call.out(readable.plain_text(text), end="")
    if call.args.f:
        _follow(call, path)
    return 0


def _follow(call: Call, path: Path) -> None:
    cleaner = readable.Cleaner()
    for chunk in _growth(path):
        if call.args.raw:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        else:
            call.out(cleaner.feed(chunk), end="")


def _growth(path: Path) -> Iterator[bytes]:
    """What is appended to a file from now on; a rotation by truncation starts it anew."""
    position = path.stat().st_size
    while True:
        try:
            size = path.stat().st_size
            if size < position:
                position = 0
            if size > position:
                with path.open("rb") as file:
                    file.seek(position)
                    chunk = file.read(size - position)
                position += len(chunk)
                yield chunk
                continue
        except FileNotFoundError:
            position = 0
        time.sleep(FOLLOW_EVERY)


def _last_lines(path: Path, count: int) -> bytes:
    """The last lines of a file, without reading more of it than needed."""
    data = b""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        while position > 0 and data.count(b"\n") <= count:
            step = min(65536, position)
            position -= step
            file.seek(position)
            data = file.read(step) + data
    lines = data.splitlines(keepends=True)
    return b"".join(lines[len(lines) - min(count, len(lines)) :])


def events(call: Call) -> int:
    """The event log."""
    if call.args.role is not None:
        talk.check_roles(call, [call.args.role], also=talk.OWN_ROLES)
    path = call.config.state / EVENTS
    for line in _recorded(call.config.state, call.args.role, call.args.n):
        call.out(_event_text(line, call.args.json))
    if call.args.f:
        rest = b""
        for chunk in _growth_from_start(path):
            *whole, rest = (rest + chunk).split(b"\n")
            for raw in whole:
                line = raw.decode("utf-8", "replace")
                if _matches(line, call.args.role):
                    call.out(_event_text(line, call.args.json))
    return 0


def _recorded(state: Path, role: str | None, count: int) -> list[str]:
    """The last events, from as many of the rotated files as that takes."""
    parts = Store(state).parts(EVENTS) if state.is_dir() else []
    kept: list[str] = []
    while parts and len(kept) < count:
        lines = parts.pop().read_text(encoding="utf-8", errors="replace").split("\n")
        kept = [line for line in lines if _matches(line, role)] + kept
    return kept[len(kept) - min(count, len(kept)) :]


def _growth_from_start(path: Path) -> Iterator[bytes]:
    while not path.exists():
        time.sleep(FOLLOW_EVERY)
    yield from _growth(path)


def _matches(line: str, role: str | None) -> bool:
    if not line.strip():
        return False
    if role is None:
        return True
    try:
        return bool(json.loads(line).get("role") == role)
    except (ValueError, AttributeError):
        return False


def _event_text(line: str, raw: bool) -> str:
    """The recorded line, or the event for a person."""
    if raw:
        return line
    try:
        event = json.loads(line)
        about = "".join(f" {event[key]}" for key in ("role", "gate", "handoff") if key in event)
        proof = {True: " (proved)", False: " (not proved)"}.get(event.get("proved"), "")
        return one_line(f"{event['t'][:19]}Z {event['event']}{about}{proof}: {event['why']}")
    except (ValueError, KeyError, TypeError):
        return one_line(line)


# ----------------------------------------------------------------------------------- attach


def attach(call: Call) -> int:
    """Attach this terminal to a session; returns only if that fails."""
    role = call.args.role
    talk.check_roles(call, [role], also=talk.OWN_ROLES)
    if not sys.stdin.isatty():
        raise UsageError(f"can't attach to {role}: standard input is no terminal")
    instance = Instance(call.config, call.program_root)
    observer = instance.observer()
    session = f"{call.config.name}-{role}"
    if observer.look(Memory()).terminal is Seen.ABSENT or session not in observer.panes:
        raise OrchError(f"can't attach to {role}: it has no session", "./launch.sh start")
    env = {k: v for k, v in call.config.environment.items() if k not in ("TMUX", "TMUX_PANE")}
    argv = ["tmux", "-u", "-S", str(call.config.socket), "attach-session", "-t", f"={session}"]
    os.execvpe("tmux", argv, env)
