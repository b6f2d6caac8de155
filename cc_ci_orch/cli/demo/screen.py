"""What a person sees of the demo: a line for each event, and on a terminal the table below."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cc_ci_orch.status_table import WIDTH, fit, table

LEAST_ROWS = 16
"""On a terminal with fewer rows the table is left out."""


class Screen:
    """Prints to stdout. `begun` is the wall clock at the beginning."""

    def __init__(self, begun: float) -> None:
        self._begun = begun
        self._live = sys.stdout.isatty()
        self._colour = self._live and not os.environ.get("NO_COLOR")
        self._drawn = 0
        self._last = ""

    def say(self, text: str) -> None:
        """A line that stays."""
        self._write(f"{text}\n")

    def event(self, event: Mapping[str, Any]) -> None:
        """A line for an event."""
        text = words(event)
        if text:
            when = datetime.fromisoformat(event["t"]).timestamp() - self._begun
            self.say(self._paint(_colour(event), fit(f"{when:5.1f}s  {text}", self._width())))

    def fault(self, text: str, now: float) -> None:
        """A line for what the demo itself has done."""
        line = fit(f"{now - self._begun:5.1f}s  >>> {text}", self._width())
        self.say(self._paint("1;35", line))

    def draw(self, state: Mapping[str, Any]) -> None:
        """The table, in place of the one before."""
        columns, rows = shutil.get_terminal_size((WIDTH, 24))
        if not self._live or rows < LEAST_ROWS:
            return
        colour = self._colour and columns >= WIDTH
        text = "\n" + table(state, colour=bool(colour))
        if columns < WIDTH:
            text = "".join(f"{fit(line, columns)}\n" for line in text.splitlines())
        if text != self._last:
            self._write("", text)

    def clear(self) -> None:
        """No table any more."""
        if self._drawn:
            self._write("")

    def _write(self, text: str, below: str = "") -> None:
        """The text where the table stands, and the table below it."""
        below = below or (self._last if text else "")
        up = f"\x1b[{self._drawn}A\r\x1b[J" if self._drawn else ""
        sys.stdout.write(up + text + below)
        sys.stdout.flush()
        self._drawn, self._last = below.count("\n"), below

    def _paint(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour and colour else text

    def _width(self) -> int:
        return shutil.get_terminal_size((WIDTH, 24)).columns if self._live else 1000


PAINTED = {
    "gate.passed": "32", "phase.completed": "1;32", "session.healed": "32",
    "gate.failed": "31", "session.exited": "31", "session.stalled": "31",
    "session.gave_up": "31", "protocol.violation": "31", "trouble": "31",
    "session.nudged": "33", "session.interrupted": "33", "phase.started": "1",
}  # fmt: skip


def _colour(event: Mapping[str, Any]) -> str:
    meant = event["event"] == "session.exited" and _is_over(event)
    return "" if meant else PAINTED.get(event["event"], "")


def _is_over(event: Mapping[str, Any]) -> bool:
    """Whether a session ended because it was meant to."""
    return event.get("by") == "operator" or str(event["why"]).startswith("phase ")


def words(event: Mapping[str, Any]) -> str:
    """The event for a person; empty for what is of no interest in the demo."""
    known = {key: event.get(key, "") for key in ("role", "phase", "gate", "attempt", "handoff")}
    known["why"] = event["why"]
    name = event["event"]
    if name in ("handoff.seen", "notified"):
        return ""
    if name == "session.exited" and _is_over(event):
        return "{role} has ended: {why}".format_map(known)
    if name == "session.nudged" and event.get("proved") is False:
        return "{role} was nudged, and gave no sign that it read it".format_map(known)
    return TEXTS.get(name, f"{name} {{role}}: {{why}}").format_map(known)


TEXTS = {
    "supervisor.started": "the supervisor runs",
    "supervisor.stopped": "the supervisor has ended",
    "session.started": "{role} starts",
    "session.exited": "{role} is dead: {why}",
    "session.stalled": "{role} is stalled: {why}",
    "session.nudged": "{role} was nudged",
    "session.interrupted": "{role} is interrupted: Escape, Ctrl-C",
    "session.healed": "{role} is healed: it has a new process",
    "session.recovered": "{role} has recovered: {why}",
    "handoff.delivered": "{handoff} is delivered to the {role}",
    "handoff.failed": "{handoff} to the {role}: {why}",
    "phase.started": "phase {phase} begins: {why}",
    "phase.completed": "phase {phase} is complete",
    "gate.claimed": "{gate} #{attempt} is claimed by the builder",
    "gate.passed": "{gate} #{attempt} PASS by the adversary",
    "gate.failed": "{gate} #{attempt} FAIL by the adversary",
}
