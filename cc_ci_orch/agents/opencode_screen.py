"""What an opencode pane shows, as far as it matters: whether a draft stands in its box.

┃  half a thought
┃
┃  Build · Some Model
╹▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_PLACEHOLDER = "Ask anything"


@dataclass(frozen=True)
class Screen:
    """`box`: what stands in the box where prompts are typed; None where there is no box."""

    box: str | None = None


def read(raw: str) -> Screen:
    """A pane's text, with or without its colours."""
    lines = [_COLOUR.sub("", line) for line in raw.splitlines()]
    below = next((n for n in range(len(lines) - 1, -1, -1) if "╹▀▀" in lines[n]), None)
    if below is None:
        return Screen()
    left = lines[below].index("╹")
    right = lines[below].rindex("▀") + 1
    inside: list[str] = []
    for line in reversed(lines[:below]):  # beside it, something else may stand
        if line[left : left + 1] != "┃":
            break
        inside.insert(0, line[left + 1 : right].strip())
    text = "\n".join(inside[:-1]).strip()  # the last one names the agent and its model
    return Screen("" if text.startswith(_PLACEHOLDER) else text)
