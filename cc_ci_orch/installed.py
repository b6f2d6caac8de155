"""The systemd unit of an instance, where one is installed: what it is called and what it sets.

Read from the unit's own file, which everybody may read; systemd need not run, nor be asked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDERS = tuple(
    Path(folder)
    for folder in (
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
    )
)
"""Where systemd looks for system units, the most important first."""

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)


@dataclass(frozen=True)
class Unit:
    """A service unit on this machine."""

    path: Path
    settings: Mapping[str, str]
    """What its `Environment=` lines set."""
    user: str
    file: Path | None = None
    """A file with further settings, which only its user can read."""

    @property
    def name(self) -> str:
        return self.path.name


def find(instance: str, state: Path, folders: Sequence[Path] = FOLDERS) -> Unit | None:
    """The supervisor's unit for the instance with that name and state folder, if there is one.

    A unit of the same name that serves another folder, and one that can't be read, is none.
    """
    for folder in folders:
        path = folder / f"{instance}-loops.service"
        try:
            unit = read(path)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        root = unit.settings.get("ORCH_ROOT")
        place = unit.settings.get("ORCH_STATE") or (os.path.join(root, ".orch") if root else "")
        same = bool(place) and os.path.realpath(place) == os.path.realpath(state)
        return unit if same else None
    return None


def read(path: Path) -> Unit:
    """What a unit's file says; OSError where it can't be read."""
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8", errors="surrogateescape"))
    settings: dict[str, str] = {}
    user, file = "root", None
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "User":
            user = value.strip()
        elif key.strip() == "EnvironmentFile":
            file = Path(value.strip().removeprefix("-").replace("%%", "%"))
        elif key.strip() == "Environment":
            if not value.strip():
                settings.clear()
            for word in words(value):
                name, _, content = word.partition("=")
                settings[name] = content
    return Unit(path, settings, user, file)


def words(text: str) -> Iterator[str]:
    """The words of a value as systemd splits it, with `%%` as a percent sign."""
    for match in re.finditer(
        r"""\s*((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\.|[^\s"'\\])+)""", text
    ):
        parts = re.findall(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:\\.|[^\s"'\\])+""", match[1])
        plain = "".join(part[1:-1] if part[0] in "\"'" else part for part in parts)
        yield _unescaped(plain).replace("%%", "%")


def _unescaped(text: str) -> str:
    def character(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if len(code) == 3:
            return bytes([int(code[1:], 16)])
        plain = code.decode("latin-1")
        return _ESCAPES.get(plain, plain).encode("latin-1")

    raw = text.encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(character, raw).decode("utf-8", "surrogateescape")


def quoted(value: str) -> str:
    """The value as one word of a unit file: what systemd and `words` read as this text again."""
    special = {'"': '\\"', "\\": "\\\\", "%": "%%", "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(special.get(char, char) for char in value) + '"'
