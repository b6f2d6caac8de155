"""The argv template of the `command` backend: `LOOP_COMMAND` and `LOOP_COMMAND_RESUME`.

The text is split like a shell splits it, once. Then the placeholders of each word are
filled in; what is filled in is never split, expanded or read as a template again, and no
shell ever sees it. `{{` and `}}` are braces.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

PLACEHOLDERS = ("prompt_file", "prompt", "conversation", "model", "role", "phase", "workdir")

_PIECE = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<name>[^{}]*)\}|(?P<stray>[{}])|(?P<text>[^{}]+)")


@dataclass(frozen=True)
class Piece:
    """A part of a word: literal text, or the name of a placeholder."""

    text: str
    placeholder: bool = False


@dataclass(frozen=True)
class Template:
    """A template that has been checked: `fill` can't fail on it."""

    text: str
    words: tuple[tuple[Piece, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Raises ValueError, which says what is wrong, for a text that is no template."""
        if "\0" in text:
            raise ValueError("it has a NUL character")
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise ValueError(f"it can't be split like a shell would: {error}".lower()) from None
        if not words:
            raise ValueError("it is empty")
        if not words[0]:
            raise ValueError("its program is empty")
        return cls(text, tuple(_pieces(word) for word in words))

    def fill(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The argv. `values` has a text for every placeholder that the template mentions."""
        return tuple(
            "".join(values[piece.text] if piece.placeholder else piece.text for piece in word)
            for word in self.words
        )

    def mentions(self, name: str) -> bool:
        """Whether the placeholder `name` stands anywhere in it."""
        return Piece(name, placeholder=True) in (piece for word in self.words for piece in word)


def _pieces(word: str) -> tuple[Piece, ...]:
    pieces = []
    for match in _PIECE.finditer(word):
        name = match["name"]
        if match["stray"]:
            raise ValueError(f"stray {match['stray']} (a brace itself is written twice)")
        if name is None:
            pieces.append(Piece(match["text"] or match["brace"][0]))
        elif name in PLACEHOLDERS:
            pieces.append(Piece(name, placeholder=True))
        else:
            known = " ".join(f"{{{known}}}" for known in PLACEHOLDERS)
            raise ValueError(f"unknown placeholder {{{name!s}}}; there are {known}")
    return tuple(pieces)
