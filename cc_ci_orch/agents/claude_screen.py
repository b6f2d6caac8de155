"""What the screen of Claude Code says, where nothing more exact tells it (2.1.330).

Only the client's own lines are read: the box for input and what stands below it, the line of
the spinner just above it, and dialogs, which stand in place of the box. What the agent wrote
is never taken for any of these: its text begins with `●` or is indented.

    ✻ 529 Overloaded · retrying in 3s · attempt 6/10          the spinner's line
    ──────────────────────────────────────── cc-ci-builder ─
    ❯ a draft                                                 the box
    ────────────────────────────────────────────────────────
      ⏵⏵ bypass permissions on · esc to interrupt             the footer
      ◯ general-purpose  a part        16s · ↑ 1.2k tokens    one of its subagents
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

_SGR = re.compile(r"\x1b\[([0-9;:]*)m")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)")
_RULE = re.compile(r"[─▔]{20,}")
_SPINNER = re.compile(r"[·✢✳✶✻✽*∗] ?(\S.*)")
_TOKENS = re.compile(r"[↓↑] ?([0-9][0-9.,]*k?) tokens")
_AGENT = re.compile(r"\s*[◯●◉○⏺] .*[↓↑] ?([0-9][0-9.,]*k?) tokens")
_RETRY = re.compile(r"(.*?) · (?:retrying|trying again)\b")
_LIMIT = re.compile(r"Usage limit reached|You've hit your .*limit")
_ROW = re.compile(r"(\s*)(❯ |  )?(?:\d+\. )?(\S.*)")
_HINT = re.compile(r"(?:Enter to (?:confirm|select|continue)|Esc to (?:cancel|exit|close))")


@dataclass(frozen=True)
class Dialog:
    """A question with rows to choose from, one of them selected."""

    text: str
    rows: tuple[str, ...]
    selected: int


@dataclass(frozen=True)
class Screen:
    """What the client shows of itself."""

    box: str | None = None
    """What stands in the box for input, without placeholders; None where there is no box."""
    busy: bool = False
    retrying: str = ""
    """What failed, while it waits for its next try."""
    timed_out: bool = False
    tokens: str = ""
    """The counters, its own and those of its subagents."""
    limited: bool = False
    dialog: Dialog | None = None


def read(raw: str) -> Screen:
    """Read a capture with its colours (`tmux capture-pane -e`)."""
    plain = [_plain(line) for line in raw.splitlines()]
    while plain and not plain[-1].strip():
        plain.pop()
    rules = [i for i, line in enumerate(plain) if _RULE.match(line)]
    top = bottom = None
    for above, below in itertools.pairwise(rules):
        if plain[above + 1].startswith("❯"):
            top, bottom = above, below
    lines = plain[bottom + 1 :] if bottom is not None else []
    agents = [match[1] for match in map(_AGENT.fullmatch, lines) if match]
    if top is None or bottom is None or len(lines) - len(agents) > 11:
        return Screen(dialog=_dialog(plain))
    footer = "\n".join(lines)
    status = _status(plain[:top])
    retry = _RETRY.match(status)
    tokens = _TOKENS.search(status)
    return Screen(
        box=_draft(raw.splitlines()[top + 1 : bottom]),
        busy="esc to interrupt" in footer,
        retrying=retry[1] if retry else "",
        timed_out="timed out" in status,
        tokens=" ".join([*([tokens[1]] if tokens else []), *agents]),
        limited=_LIMIT.search(footer) is not None,
    )


def _plain(line: str) -> str:
    return _ESCAPES.sub("", line).replace("\xa0", " ").rstrip()


def _status(above: list[str]) -> str:
    """The spinner's line: one of the last before the box, and the client's own."""
    for line in above[:-8:-1]:
        match = _SPINNER.match(line)
        if match:
            return match[1]
        if line.startswith(("●", "❯")):
            return ""
    return ""


def _draft(lines: list[str]) -> str:
    """What was typed into the box. A placeholder is dim, but for the letter below the cursor."""
    text = ""
    for number, line in enumerate(lines):
        solid, dim, at, faint = "", False, 0, False
        for match in [*_SGR.finditer(line), None]:
            piece = _ESCAPES.sub("", line[at : match.start() if match else len(line)])
            if faint and piece.strip():
                dim = True
            solid += "" if faint else piece
            if match is None:
                break
            at = match.end()
            for code in match[1].split(";") if match[1] else ["0"]:
                faint = code == "2" if code in ("0", "2", "22") else faint
        solid = solid.replace("\xa0", " ")
        if number == 0:
            solid = solid.removeprefix("❯").strip()
            if dim and len(solid) <= 1:
                return ""
        text += ("\n" if number else "") + solid.strip()
    return text.strip()


def _dialog(lines: list[str]) -> Dialog | None:
    """A dialog stands at the bottom: rows, one with `❯`, and a line on how to answer."""
    hints = [i for i, line in enumerate(lines) if _HINT.search(line)]
    marked = [i for i, line in enumerate(lines) if line.lstrip().startswith("❯ ")]
    if not marked or (hints and hints[-1] < marked[-1]):
        return None
    if not hints and len(lines) - marked[-1] > 12:
        return None
    at = marked[-1]
    column = lines[at].index("❯") + 2
    first, last = at, at
    while first > 0 and _is_row(lines[first - 1], column):
        first -= 1
    while last + 1 < len(lines) and _is_row(lines[last + 1], column):
        last += 1
    if first == last:
        return None
    rows = tuple(re.sub(r"^\d+\. ", "", lines[i][column:].strip()) for i in range(first, last + 1))
    begin = max([i for i, line in enumerate(lines[:first]) if _RULE.match(line)], default=0)
    return Dialog("\n".join(lines[begin:first]).strip(), rows, at - first)


def _is_row(line: str, column: int) -> bool:
    """Whether its text begins where the text of the selected row does."""
    return len(line) > column and not line[:column].strip() and line[column] != " "


# ------------------------------------------------------------------------------ dialogs


WANTED = (
    ("Accessing workspace:", re.compile(r"Yes, I trust this folder$")),
    ("WARNING: Claude Code running in Bypass Permissions mode", re.compile(r"Yes, I accept$")),
    ("Detected a custom API key in your environment", re.compile(r"Yes$")),
    ("What do you want to do?", re.compile(r"Wait here, then continue automatically\b")),
    ("Resuming the full session uses", re.compile(r"Resume full session as-is$")),
    ("New MCP server found in this project:", re.compile(r"Continue without using this\b")),
    ("Allow external CLAUDE.md file imports?", re.compile(r"No, disable external imports$")),
)
"""How a line of a dialog of ours begins, and the row that is wanted then. The title of a
permission prompt is none of these, and what it quotes of the agent can't make its rows match.
All other dialogs are a person's to answer."""


_SERVERS = re.compile(r"\d+ new MCP servers found in this project$")
_TICKED = re.compile(r"\[.\] ")
"""What a repository brings along becomes a program of its agents only if a person wants it."""


def answer(dialog: Dialog) -> str | None:
    """The one key that leads on: a step to the wanted row, or Enter on it; None: not ours."""
    lines = [line.strip() for line in dialog.text.splitlines()]
    titles = [line for line in lines if line and not _RULE.match(line)]
    if any(_SERVERS.match(line) for line in titles[:4]) and all(map(_TICKED.match, dialog.rows)):
        return "Escape"  # rejects all
    for title, row in WANTED:
        if not any(line.startswith(title) for line in titles[:4]):
            continue
        for at, text in enumerate(dialog.rows):
            if row.match(text) and len(dialog.rows) <= 3:
                step = "Down" if at > dialog.selected else "Up"
                return "Enter" if at == dialog.selected else step
    return None
