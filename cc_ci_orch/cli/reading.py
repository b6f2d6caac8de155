"""logs, events: reading what was written down, and what is being written."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from cc_ci_orch import readable
from cc_ci_orch.cli import conversation, talk
from cc_ci_orch.cli.loops import Call, one_line
from cc_ci_orch.errors import OrchError
from cc_ci_orch.shell.following import Followed
from cc_ci_orch.shell.records import EVENTS
from cc_ci_orch.shell.store import Store

FOLLOW_EVERY = 0.2
"""Seconds between looks at a file that is followed."""


def logs(call: Call) -> int:
    """What a session printed."""
    role = call.args.role
    talk.check_roles(call, [role], also=talk.OWN_ROLES)
    talk_of = None if call.args.raw else conversation.of(call, role)
    if talk_of is not None:
        return talk_of()
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
    state = call.config.state
    log = Followed(lambda: Store(state).parts(EVENTS) if state.is_dir() else [])
    for line in _recorded(log.before(), call.args.role, call.args.n):
        call.out(_event_text(line, call.args.json))
    rest = b""
    while call.args.f:
        *whole, rest = (rest + log.news()).split(b"\n")
        for raw in whole:
            line = raw.decode("utf-8", "replace")
            if _matches(line, call.args.role):
                call.out(_event_text(line, call.args.json))
        time.sleep(FOLLOW_EVERY)
    log.close()
    return 0


def _recorded(parts: Iterator[bytes], role: str | None, count: int) -> list[str]:
    """The last events, from as many of the rotated files as that takes."""
    kept: list[str] = []
    while len(kept) < count and (part := next(parts, None)) is not None:
        lines = part.decode("utf-8", "replace").split("\n")
        kept = [line for line in lines if _matches(line, role)] + kept
    return kept[len(kept) - min(count, len(kept)) :]


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
