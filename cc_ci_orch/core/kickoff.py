"""Prompts: a template and values -> the text that an agent is given.

Templates are prose that people edit, so nothing in one is an error: a `{name}` that is known
is filled in, everything else stays as it is. `{{` and `}}` are braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cc_ci_orch.core.model import PromptKind

LONGEST_LINE = 1000
"""Characters: a terminal that reads line by line takes no more than 4,095 bytes of a line."""

_PIECE = re.compile(r"\{\{|\}\}|\{([a-z_]+)\}")


def template_name(kind: PromptKind, role_prompt: str) -> str:
    """The file in prompts/ that a kind of prompt is made from."""
    return role_prompt if kind is PromptKind.KICKOFF else f"{kind}.md"


def own_template_name(kind: PromptKind, role_prompt: str) -> str:
    """The file that a role may have of its own for that: `reader-nudge.md` beside `reader.md`."""
    if kind is PromptKind.KICKOFF:
        return role_prompt
    return f"{role_prompt.removesuffix('.md')}-{kind}.md"


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill the template in. What is filled in is not looked at again."""

    def fill(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        return values.get(match[1], match[0])

    return wrap(_PIECE.sub(fill, template).strip())


def wrap(text: str) -> str:
    """Break lines that are too long for a terminal, at spaces where there are any."""
    return "\n".join(piece for line in text.split("\n") for piece in _pieces(line))


def _pieces(line: str) -> list[str]:
    pieces = []
    while len(line) > LONGEST_LINE:
        at = line.rfind(" ", 1, LONGEST_LINE)
        at = LONGEST_LINE if at < 0 else at
        pieces.append(line[:at])
        line = line[at:].removeprefix(" ")
    return [*pieces, line]
