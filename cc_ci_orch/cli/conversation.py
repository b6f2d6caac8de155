"""`logs ROLE` where the agent keeps a record of its conversation: that, as a text to follow."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from cc_ci_orch.agents import claude_talk
from cc_ci_orch.agents.environment import agent_env
from cc_ci_orch.cli.compose import Instance
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.shell.claude_home import ClaudeHome
from cc_ci_orch.shell.growing import GrowingFile

STEP = 1024 * 1024
"""Bytes of a record that are read at once, from its end towards its beginning."""


def record_of(call: Call, role: str) -> Path | None:
    """The record of the role's present conversation; None where there is none (yet)."""
    instance = Instance(call.config, call.program_root)
    try:
        memory = instance.memory_file.peek()
    except (OSError, ValueError):
        return None
    seat = next((seat for seat in instance.seats if seat.name == role), None)
    mem = memory.roles.get(role) if memory is not None else None
    if seat is None or mem is None or mem.conversation is None:
        return None
    if mem.conversation_backend != "claude":
        return None
    env = agent_env(call.config, role, phase=None, conversation="")
    home = ClaudeHome(env, instance.processes, instance.store)
    path = home.transcript(seat.workdir, mem.conversation)
    return path if path.exists() else None


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


def news(path: Path) -> GrowingFile:
    """What is added to the record from now on."""
    growing = GrowingFile(path, tail=0)
    growing.news()
    return growing
