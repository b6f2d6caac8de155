"""`.testenv`: the agents' secrets, and the mask that keeps them out of all that we write.

The file has lines `KEY=VALUE`, optionally after `export`; `#` starts a comment at the start
of a line or after a space. A value stands bare (trimmed, nothing in it is special), in
'single quotes' (nothing in them is special) or in "double quotes" (a backslash before
`"`, `\\`, `$` and a back quote goes away); a quoted one may span lines. Nothing is expanded.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from cc_ci_orch.errors import ConfigError

SHORTEST = 8
"""Values below this many characters are not masked: they would hide half of every text."""

STARS = "********"

_BLANK = re.compile(r"[ \t\r\f\v]*(?:#[^\n]*)?(?:\n|\Z)")
_ASSIGNMENT = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=[ \t]*")
_VALUE = re.compile(
    r"""(?:'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<bare>(?!['"])[^\n]*?))"""
    r"[ \t\r]*(?:(?<=[ \t])#[^\n]*)?(?:\n|\Z)",
    re.DOTALL,
)
_ESCAPE = re.compile(r'\\(["\\$`])|\\\n')


def parse(text: str) -> dict[str, str]:
    """The assignments; of two to one name the later. ValueError names the line, no value."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        line = text.count("\n", 0, at) + 1
        name = _ASSIGNMENT.match(text, at)
        if not name:
            raise ValueError(f"line {line}: not of the form KEY=VALUE")
        value = _VALUE.match(text, name.end())
        if not value:
            raise ValueError(f"line {line}: a quote that doesn't close, or text after it")
        found[name[1]] = _value(value, line)
        at = value.end()
    return found


def _value(match: re.Match[str], line: int) -> str:
    if match["double"] is not None:
        value = _ESCAPE.sub(lambda escape: escape[1] or "", match["double"])
    else:
        value = match["single"] if match["single"] is not None else match["bare"]
        if match["bare"] and re.search("['\"]", value):
            raise ValueError(f"line {line}: a quote inside a bare value; put quotes around it all")
    if "\0" in value:
        raise ValueError(f"line {line}: a NUL character")
    return value


def read(path: Path) -> dict[str, str]:
    """The secrets of a file; {} where there is none.

    ConfigError for one that anybody else can read or owns, or that can't be parsed.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _refused(path, error.strerror or "it can't be read") from None
    with open(fd, "rb") as file:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise _refused(path, "it is no file")
        if info.st_uid != os.getuid():
            raise _refused(path, "it belongs to another user")
        if info.st_mode & 0o077:
            cause = f"others can read it (mode {stat.S_IMODE(info.st_mode):04o})"
            raise _refused(path, cause, f"chmod 600 {shlex.quote(str(path))}")
        data = file.read()
    try:
        return parse(_decode(data))
    except ValueError as error:
        raise _refused(path, str(error)) from None


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: not UTF-8") from None


def _refused(path: Path, cause: str, hint: str | None = None) -> ConfigError:
    return ConfigError(f"can't use the secrets: {path}: {cause}", hint)


def in_url(url: str) -> list[str]:
    """What of an address may be secret: its password or token, and the values of its query."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query)
    except ValueError:
        return []
    user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
    login = [password] if colon else [user] if parts.scheme in ("http", "https") else []
    found = [*login, *map(unquote, login), *(value for _, value in query)]
    return [value for value in found if value]


class Mask:
    """Puts stars in place of every secret of 8 characters and more. It never shows them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            # A terminal shows a value of several lines line by line.
            for part in (secret, *(line.strip() for line in secret.splitlines())):
                if len(part) >= SHORTEST:
                    forms |= {part, json.dumps(part)[1:-1]}
                    forms.add(json.dumps(part, ensure_ascii=False)[1:-1])
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        """The text with its secrets hidden, also where they stand escaped as in JSON."""
        return self._pattern.sub(STARS, text) if self._pattern else text

    def within(self, value: Any) -> Any:
        """A JSON value with the secrets in all its texts hidden.

        To be used before the value is made into JSON: in the text of it a secret of
        digits alone could be a bare number, and stars are none.
        """
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self.within(key): self.within(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.within(item) for item in value]
        return value

    def __repr__(self) -> str:
        return "Mask(…)"
