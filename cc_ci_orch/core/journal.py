"""JOURNAL.md and REBOOTS.md: text <-> values. What people wrote in them stays as it is.

An entry of the journal is a heading and what follows it, up to the next heading of its level
or higher; the newest stands last. An entry of the reboots is one line. Everything else in
either file is a person's, and is neither read nor touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

HAPPENED, STATE, OPEN = "What happened", "Current state", "Open items"

_HEADING = re.compile(r"^## Session (\d{4}-\d\d-\d\d \d\d:\d\d) UTC\b.*$", re.MULTILINE)
_NEXT = re.compile(r"^#{1,2}[ \t]", re.MULTILINE)
_OPEN_ITEMS = re.compile(r"^[#*\s]*open items[:*\s]*$", re.IGNORECASE | re.MULTILINE)
_REBOOT = re.compile(
    r"^- (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) boot_id=(?P<boot>\S+) "
    r"previous=(?P<previous>\S+) phase=(?P<phase>\S*)\s*$",
    re.MULTILINE,
)


# ------------------------------------------------------------------------------- journal


def entry(wall: float, title: str, text: str, state: str) -> str:
    """A new entry. `text` is what happened; what stands below a line `Open items` are those."""
    happened, open_items = _split(text)
    date = datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M")
    parts = [
        f"## Session {date} UTC — {' '.join(title.split())}",
        f"**{HAPPENED}**",
        happened or "(nothing was written down)",
        f"**{STATE}**",
        state.strip(),
        f"**{OPEN}**",
        open_items or "- none named",
    ]
    return "\n\n".join(parts) + "\n"


def _split(text: str) -> tuple[str, str]:
    text = text.replace("\r\n", "\n")
    match = _OPEN_ITEMS.search(text)
    if match is None:
        return _quiet(text), ""
    return _quiet(text[: match.start()]), _quiet(text[match.end() :])


def _quiet(text: str) -> str:
    """The text without headings that would look like the next entry."""
    return re.sub(r"^(#{1,2}[ \t])", r" \1", text.strip(), flags=re.MULTILINE)


def newest_entry(text: str) -> str | None:
    """The newest entry as it stands in the file; None where there is none."""
    found = list(_HEADING.finditer(text.replace("\r\n", "\n")))
    if not found:
        return None
    text = text.replace("\r\n", "\n")
    start = found[-1]
    after = _NEXT.search(text, start.end())
    return text[start.start() : after.start() if after else len(text)].rstrip() + "\n"


def newest_time(text: str) -> float | None:
    """When the newest entry was written (wall clock, to the minute)."""
    found = _HEADING.findall(text.replace("\r\n", "\n"))
    if not found:
        return None
    try:
        return datetime.strptime(found[-1] + " +0000", "%Y-%m-%d %H:%M %z").timestamp()
    except ValueError:
        return None


def current_state(status: Mapping[str, object], restarts: int) -> str:
    """The machine-made part, from `status --json`; `restarts`: since the newest entry."""
    phase = _mapping(status["phase"])
    gates = _list(phase["gates"])
    passed = [str(_mapping(gate)["id"]) for gate in gates if _mapping(gate)["passed"]]
    left = [str(_mapping(gate)["id"]) for gate in gates if not _mapping(gate)["passed"]]
    lines = [
        f"- phase {phase['id']} ({phase['title']}): {phase['state']}",
        f"- gates passed: {', '.join(passed) or 'none'}; left: {', '.join(left) or 'none'}",
        f"- on turn: {', '.join(map(str, _list(status['turn']))) or 'nobody'}",
    ]
    for session in map(_mapping, _list(status["sessions"])):
        lines.append(f"- {session['role']}: {session['liveness']} ({session['reason']})")
    lines.append(f"- restarts since the last entry: {restarts}")
    lines += [f"- trouble: {trouble}" for trouble in _list(status["troubles"])]
    return "\n".join(lines)


def _mapping(value: object) -> Mapping[str, object]:
    assert isinstance(value, Mapping)
    return value


def _list(value: object) -> Sequence[object]:
    assert isinstance(value, Sequence)
    return value


# ------------------------------------------------------------------------------- reboots


@dataclass(frozen=True)
class Reboot:
    """One line of REBOOTS.md."""

    time: str
    boot_id: str
    previous: str
    phase: str

    @property
    def line(self) -> str:
        return f"- {self.time} boot_id={self.boot_id} previous={self.previous} phase={self.phase}\n"


def reboots(text: str) -> tuple[Reboot, ...]:
    """The reboots that are logged, in the order of the file."""
    return tuple(
        Reboot(match["time"], match["boot"], match["previous"], match["phase"])
        for match in _REBOOT.finditer(text.replace("\r\n", "\n"))
    )


def appended(text: str, addition: str, *, blank_line: bool) -> str:
    """The file with something added at its end; what was there stays byte for byte."""
    if not text:
        return addition
    newline = "\r\n" if text.endswith("\r\n") else "\n"
    gap = "" if text.endswith("\n") else newline
    if blank_line and not (text + gap).endswith(("\n\n", "\r\n\r\n")):
        gap += newline
    return text + gap + addition
