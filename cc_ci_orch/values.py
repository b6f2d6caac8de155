"""What a setting can hold: texts to values and back, each kind with its accepted forms.

A parser takes the text as an operator wrote it, in the environment or in orch.toml, and
raises ValueError with the reason for one that it refuses.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from cc_ci_orch.agents.template import PLACEHOLDERS, Template

BACKENDS = ("claude", "opencode", "command", "demo")

LONGEST = 8760 * 3600.0
"""Longest duration, a year: every timeout of the standard library takes it."""

NONZERO = ", more than 0"

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_PHASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_SECONDS = re.compile(_NUMBER)
_DURATION = re.compile(f"(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?")
_SIZE = re.compile(r"([0-9]{1,15})(KiB|MiB|GiB)?")
_UNITS = {None: 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff]")
_NO_BRANCH = re.compile(r"[\s~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|[/.]$|^[-/.]|^@$")


@dataclass(frozen=True)
class Kind:
    """One kind of value. `show` gives a text that `parse` reads as the same value."""

    name: str
    accepts: str
    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str
    bare: tuple[type, ...] = ()
    """What orch.toml may hold besides a string; bool only where it is named."""
    quotable: bool = True
    """An error may repeat the value; not where a password can stand in it."""


def duration(text: str) -> float:
    """Seconds: a plain number, or hours, minutes and seconds in this order."""
    whole, units = _SECONDS.fullmatch(text), _DURATION.fullmatch(text)
    if whole:
        seconds = float(text)
    elif units and text:
        hours, minutes, rest = (float(part or 0) for part in units.groups())
        seconds = hours * 3600 + minutes * 60 + rest
    else:
        raise ValueError("it is no duration")
    if seconds > LONGEST:
        raise ValueError("it is longer than a year")
    return seconds


def show_duration(seconds: float) -> str:
    if seconds != int(seconds) or seconds == 0:
        return f"{Decimal(repr(seconds)):f}s" if seconds else "0s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)


def size(text: str) -> int:
    """Bytes."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError("it is no size")
    return int(match[1]) * _UNITS[match[2]]


def show_size(size: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)


def count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", text):
        raise ValueError("it is no count")
    return int(text)


def flag(text: str) -> bool:
    if text.lower() not in ("0", "1", "no", "yes", "false", "true", "off", "on"):
        raise ValueError("it is neither yes nor no")
    return text.lower() in ("1", "yes", "true", "on")


def name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("it is no name")
    return text


def names(text: str) -> tuple[str, ...]:
    """Names between commas or spaces; each once, in their order."""
    found = tuple(dict.fromkeys(name(word) for word in re.split(r"[\s,]+", text) if word))
    if not found:
        raise ValueError("it names nothing")
    return found


def printable(text: str) -> str:
    """Any text without control characters and undecodable bytes."""
    if not text:
        raise ValueError("it is empty")
    if _UNPRINTABLE.search(text):
        raise ValueError("it has a control character or is not UTF-8")
    return text


def operand(text: str) -> str:
    """A text that no program takes for an option."""
    if printable(text).startswith("-"):
        raise ValueError("it starts with -")
    return text


def model(text: str) -> str:
    if re.search(r"\s", operand(text)):
        raise ValueError("it has a space")
    return text


def backend(text: str) -> str:
    if text not in BACKENDS:
        raise ValueError("there is no such backend")
    return text


def branch(text: str) -> str:
    """What git takes for the name of a branch."""
    if _NO_BRANCH.search(printable(text)):
        raise ValueError("git takes no such name for a branch")
    return text


def phase(text: str) -> str:
    if not _PHASE.fullmatch(text):
        raise ValueError("it is no phase id")
    return text


def file_name(text: str) -> str:
    """A plain file name, which can't lead out of its folder."""
    if "/" in operand(text) or text.startswith("."):
        raise ValueError("it is no plain file name")
    return text


def url(text: str) -> str:
    try:
        parts = urlsplit(printable(text))
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port or an address in brackets that can't be read
        valid = False
    if not valid or re.search(r"\s", text):
        raise ValueError("it is no http address")
    return text


def argv(text: str) -> tuple[str, ...]:
    if "\0" in text:
        raise ValueError("it has a NUL character")
    words = tuple(shlex.split(text))
    if not words or not words[0]:
        raise ValueError("it names no program")
    return words


def _positive(kind: Kind) -> Kind:
    def parse(text: str) -> Any:
        value = kind.parse(text)
        if value <= 0:
            raise ValueError("it must be more than 0")
        return value

    return Kind(kind.name, kind.accepts + NONZERO, parse, kind.show, kind.bare)


_NAMES_ACCEPTED = "a lower-case letter, then up to 31 of a-z 0-9 -"
_FILLED = " ".join(f"{{{placeholder}}}" for placeholder in PLACEHOLDERS)

TEXT = Kind("text", "any text in one line", printable)
PATH = Kind("path", "a path", printable)
PROGRAM = Kind("program", "a program on PATH, or its path", operand)
REPOSITORY = Kind("repository", "a git URL or a path", operand, quotable=False)
NAME = Kind("name", _NAMES_ACCEPTED, name)
NAMES = Kind("names", "names between commas or spaces", names, ",".join, (list,))
BACKEND = Kind("backend", ", ".join(BACKENDS), backend)
MODEL = Kind("model", "a model's name as the backend takes it", model)
BRANCH = Kind("branch", "a branch's name", branch)
PHASE = Kind("phase", "a phase id: a letter or digit, then up to 31 of A-Z a-z 0-9 . _ -", phase)
FLAG = Kind("flag", "1 or 0", flag, lambda on: "1" if on else "0", (bool, int))
URL = Kind("url", "an http:// or https:// address", url, quotable=False)
ARGV = Kind("argv", "a command, split like a shell would", argv, shlex.join, quotable=False)
COMMAND = Kind(
    "template",
    f"a command, split like a shell would, with {_FILLED}; {{{{ and }}}} are braces",
    Template.parse,
    lambda template: str(template.text),
    quotable=False,
)
DURATION = Kind(
    "duration", "90, 90s, 0.5s, 15m, 1h30m (at most a year)", duration, show_duration, (int, float)
)
SIZE = Kind("size", "bytes, or 64KiB, 16MiB, 1GiB", size, show_size, (int,))
COUNT = Kind("count", "a whole number up to 9999", count, str, (int,))
POSITIVE_DURATION, POSITIVE_SIZE, POSITIVE_COUNT = map(_positive, (DURATION, SIZE, COUNT))
