"""The state of an instance as a table for a person, made from what `status --json` says."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cc_ci_orch.core.text import span

WIDTH = 80

COLOURS = {
    "working": "32", "idle": "32", "waiting": "36", "starting": "36", "limited": "33",
    "retrying": "33", "unknown": "33", "stalled": "31", "blocked": "31", "exited": "31",
    "absent": "31",
}  # fmt: skip

COLUMNS = (("STATE", 8), ("FOR", 6), ("PROGRESS", 8), ("RESTARTS", 8), ("PID", 7))
"""Behind the role's name, which has at most 32 characters: together at most 79."""


def table(state: Mapping[str, Any], *, colour: bool = False) -> str:
    """The state for a person: at most 80 columns wide."""
    lines = [_headline(state), _phase_line(state), ""]
    lines += sessions_table(state, state["sessions"], colour=colour).splitlines()
    lines += [fit(f"trouble: {trouble}") for trouble in state["troubles"]]
    return "\n".join(lines) + "\n"


def sessions_table(
    state: Mapping[str, Any], sessions: Sequence[Mapping[str, Any]], *, colour: bool = False
) -> str:
    """Two lines for each of the sessions, below a line of headings."""
    lines = []
    roles = max([12, *(len(session["role"]) for session in sessions)])
    heads = (("ROLE", roles), *COLUMNS)
    lines.append("  ".join(f"{name:<{width}}" for name, width in heads).rstrip())
    for session in sessions:
        lines.append(f"{session['role']:<{roles}}  {_row(session, state, colour)}")
        lines.append(fit(f"    {_note(session, state)}"))
    return "\n".join(lines) + "\n"


def _headline(state: Mapping[str, Any]) -> str:
    supervisor = state["supervisor"]
    if supervisor["running"]:
        age = supervisor["last_tick_age_s"]
        tick = f", last tick {span(age)} ago" if age is not None else ""
        who = f"supervisor {supervisor['pid']}{tick}"
    else:
        who = "no supervisor"
    health = "healthy" if state["healthy"] else "not healthy"
    return fit(f"{state['instance']}: {health}; {who}")


def _phase_line(state: Mapping[str, Any]) -> str:
    phase = state["phase"]
    passed = sum(1 for gate in phase["gates"] if gate["passed"])
    turn = ", ".join(state["turn"]) or "nobody"
    gates = f", {passed} of {len(phase['gates'])} gates passed" if phase["gates"] else ""
    where = f"phase {phase['id']} ({phase['index']} of {phase['count']}) {phase['state']}"
    waits_for = phase.get("waits_for")  # not told by an older version
    now = f"waiting for {waits_for}" if waits_for else f"on turn: {turn}"
    line = f"{where}{gates}; {now}"
    if fit(line) == line:
        return line
    return f"{fit(f'{where}{gates};')}\n{fit(f'  {now}')}"


def _row(session: Mapping[str, Any], state: Mapping[str, Any], colour: bool) -> str:
    cells = (
        session["liveness"],
        _since(session["since"], state["time"]),
        _short(session["progress_age_s"]),
        str(session["restarts"]),
        str(session["pid"] or "-"),
    )
    padded = [f"{cell:<{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True)]
    if colour and session["wanted"] == "up":
        padded[0] = f"\x1b[{COLOURS.get(session['liveness'], '0')}m{padded[0]}\x1b[0m"
    return "  ".join(padded).rstrip()


def _note(session: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    notes = []
    if session["held"]:
        notes.append("held")
    if session["wanted"] == "down":
        notes.append("to stay down")
    if session["next_attempt"]:
        notes.append(f"next attempt {session['next_attempt']}")
    return "; ".join([*notes, session["reason"]])


def _since(since: str | None, now: str) -> str:
    if since is None:
        return "-"
    return span((datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds())


def _short(age: float | None) -> str:
    return "-" if age is None else span(age)


def fit(line: str, width: int = WIDTH) -> str:
    """The line without control characters, cut to the width of a terminal."""
    line = "".join(c if c.isprintable() else "?" for c in line)
    if sum(map(_cells, line)) <= width:
        return line
    room = width - 1
    for at, char in enumerate(line):
        room -= _cells(char)
        if room < 0:
            return line[:at] + "…"
    return line


def _cells(char: str) -> int:
    """How many columns a terminal gives to a character."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
