"""`logs ROLE` where the agent keeps a record of its conversation: that, as a text to follow."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path

from cc_ci_orch import readable
from cc_ci_orch.agents import claude_talk, opencode_talk
from cc_ci_orch.agents.environment import agent_env
from cc_ci_orch.agents.opencode import OWN
from cc_ci_orch.cli.compose import Instance
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.cli.witnesses import claude_home, opencode
from cc_ci_orch.seats import Seat
from cc_ci_orch.shell.growing import GrowingFile
from cc_ci_orch.shell.opencode_record import OpencodeRecord
from cc_ci_orch.shell.ports import CannotTell

FOLLOW_EVERY = 0.2
"""Seconds between looks at a record that is followed."""

ASK_EVERY = 1.0
"""Seconds between questions to a server whose conversation is followed."""

NEWEST = 20
"""Messages that are asked for each time: more don't change within a second."""

STEP = 1024 * 1024
"""Bytes of a record that are read at once, from its end towards its beginning."""


def of(call: Call, role: str) -> Callable[[], int] | None:
    """What shows the role's present conversation; None where there is none (yet)."""
    instance = Instance(call.config, call.program_root)
    try:
        memory = instance.memory_file.peek()
    except (OSError, ValueError):
        return None
    seat = next((seat for seat in instance.everyone if seat.name == role), None)
    mem = memory.roles.get(role) if memory is not None else None
    if seat is None or mem is None or mem.conversation is None:
        return None
    if mem.conversation_backend == "opencode":
        return _opencode(call, instance, seat, mem.conversation)
    if mem.conversation_backend != "claude":
        return None
    home = claude_home(call.config, role, instance.processes, instance.store)
    path = home.transcript(seat.workdir, mem.conversation)
    return partial(show, call, path) if path.exists() else None


def _opencode(
    call: Call, instance: Instance, seat: Seat, conversation: str
) -> Callable[[], int] | None:
    witness = opencode(call.config, seat, instance.processes, instance.store, instance.clock)
    env = agent_env(call.config, seat.name, phase=None, conversation="")
    record = OpencodeRecord(witness.api, env, conversation)
    if not conversation.startswith(OWN):
        return None
    try:
        record.messages(1)
    except CannotTell:
        return None
    return partial(show_messages, call, record)


def show_messages(call: Call, record: OpencodeRecord) -> int:
    """As `show`, of a conversation that is asked for message by message."""
    shown: set[str] = set()
    found = [
        part for message in record.messages(call.args.n) for part in opencode_talk.told(message)
    ]
    shown |= {id for id, _ in found}
    lines = [line for _, part in found for line in part]
    for line in lines[len(lines) - min(call.args.n, len(lines)) :]:
        call.out(readable.plain_text(line.encode()))
    while call.args.f:
        time.sleep(ASK_EVERY)
        with suppress(CannotTell):  # it is being restarted
            for id, part in chain(*map(opencode_talk.told, record.messages(NEWEST))):
                if id not in shown:
                    shown.add(id)
                    for line in part:
                        call.out(readable.plain_text(line.encode()))
    return 0


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of the conversation, without reading more of the record than needed."""
    told: deque[list[str]] = deque()
    for line in _backwards(path):
        told.appendleft(claude_talk.told(line))
        if sum(map(len, told)) >= count:
            break
    lines = [line for lines in told for line in lines]
    return lines[len(lines) - min(count, len(lines)) :]


def _backwards(path: Path) -> Iterator[bytes]:
    """The whole lines of a file, the last one first."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        rest = b""
        while position > 0:
            step = min(STEP, position)
            position -= step
            file.seek(position)
            first, *lines = (file.read(step) + rest).split(b"\n")
            yield from reversed(lines)
            rest = first
        yield rest


def show(call: Call, path: Path) -> int:
    """Print the conversation's last lines, and with -f what is said from then on."""
    growing = GrowingFile(path, tail=0)
    growing.news()
    for line in last_lines(path, call.args.n):
        call.out(readable.plain_text(line.encode()))
    while call.args.f:
        for raw, _ in growing.news():
            for line in claude_talk.told(raw):
                call.out(readable.plain_text(line.encode()))
        time.sleep(FOLLOW_EVERY)
    return 0
