"""orch.toml: read, checked against the table of settings, and handed on as texts.

A value comes out as the text that the same setting would have in the environment, so that
one parser serves both. Whatever is wrong is a ConfigError that names the file and the key.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from cc_ci_orch import values
from cc_ci_orch.errors import ConfigError
from cc_ci_orch.settings import RESERVED, SETTINGS, WORKERS, Setting, closest, role_settings
from cc_ci_orch.values import Kind

_ROLE_KEYS = {
    "name": values.NAME,
    "prompt": Kind("file", "a file name in prompts/, without a folder", values.file_name),
    "backend": values.BACKEND,
    "model": values.MODEL,
}


@dataclass(frozen=True)
class DeclaredRole:
    """One `[[role]]`."""

    name: str
    prompt: str
    backend: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class SettingsFile:
    """What an orch.toml says: the text of each setting in it, by its name in the environment."""

    path: Path
    texts: Mapping[str, str] = field(default_factory=dict)
    roles: tuple[DeclaredRole, ...] = ()


def refused(path: Path, key: str, cause: str, hint: str | None = None) -> ConfigError:
    """The error for one key of the file."""
    return ConfigError(f"can't use the settings: {path}: {key}: {cause}", hint)


def complaint(kind: Kind, text: str, cause: str) -> str:
    """Why a value is refused and what would be accepted; the value only where it is harmless."""
    shown = f"{text[:60]!r}: " if kind.quotable else ""
    return f"{shown}{cause}; accepted: {kind.accepts}"


def read(path: Path) -> SettingsFile:
    """The checked file; an empty one where there is none."""
    content = _parsed(path)
    roles = _roles(path, content.pop("role", []))
    tunables = content.pop("watchdog", {})
    if not isinstance(tunables, dict):
        raise refused(path, "watchdog", "it must be a table; accepted: [watchdog]")
    known = [*SETTINGS, *(s for role in roles for s in role_settings(role.name))]
    top = {s.key: s for s in known if s.place and not s.table}
    below = {s.key: s for s in known if s.table}
    texts = {}
    for table, entries, allowed in (("", content, top), ("watchdog", tunables, below)):
        for key, value in entries.items():
            where = f"[{table}] {key}" if table else key
            if key not in allowed:
                raise _unknown(path, where, key, allowed, known)
            texts[allowed[key].name] = _text(path, where, allowed[key].kind, value)
    return SettingsFile(path, texts, roles)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise ConfigError(f"can't use the settings: {path}: it is not UTF-8") from None
    except OSError as error:
        raise ConfigError(f"can't read the settings: {path}: {error.strerror}") from None
    import tomllib  # costs more than all the rest of this module, and most have no orch.toml

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        cause = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise ConfigError(f"can't use the settings: {path}: it is no TOML: {cause}") from None


def _unknown(
    path: Path, where: str, key: str, allowed: Iterable[str], known: Iterable[Setting]
) -> ConfigError:
    if key == "orch_root":
        return refused(path, where, "it can't stand in the file that it chooses; set ORCH_ROOT")
    places = {s.key: s.place for s in known if s.place}
    places |= {s.name.lower(): s.place for s in known if s.place} | {"role": "[[role]]"}
    hint = None
    if close := closest(key.lower().replace("-", "_"), places):
        hint = f"did you mean {places[close]}?"
        if places[close] == close and where.startswith("["):
            hint += " It stands at the top, before any [table]"
    return refused(path, where, f"unknown key; accepted: {', '.join(sorted(allowed))}", hint)


def _text(path: Path, where: str, kind: Kind, value: object) -> str:
    """The value as text, if TOML's type suits its kind, and the kind takes it."""
    text = _as_text(value, kind.bare)
    if text is None:
        cause = f"{type(value).__name__} is the wrong type; accepted: {kind.accepts}"
        raise refused(path, where, cause)
    try:
        kind.parse(text)
    except ValueError as error:
        raise refused(path, where, complaint(kind, text, str(error))) from None
    return text


def _as_text(value: object, bare: tuple[type, ...]) -> str | None:
    if isinstance(value, str):
        return value
    if type(value) not in bare:  # by type: a bool is an int to isinstance
        return None
    if isinstance(value, list):
        return ",".join(value) if all(isinstance(item, str) for item in value) else None
    if isinstance(value, float) and math.isfinite(value):
        return f"{Decimal(repr(value)):f}"
    try:
        return str(value).lower()
    except ValueError:  # Python refuses to print a number of thousands of digits
        return "a number of thousands of digits"


def _roles(path: Path, declared: object) -> tuple[DeclaredRole, ...]:
    if not isinstance(declared, list) or not all(isinstance(entry, dict) for entry in declared):
        raise refused(path, "role", "it must be an array of tables; accepted: [[role]]")
    roles: dict[str, DeclaredRole] = {}
    for number, entry in enumerate(declared, 1):
        role = _role(path, f"[[role]] {number}", entry)
        if role.name in RESERVED:
            cause = f"{role.name!r} is reserved; accepted: any name but {', '.join(RESERVED)}"
            raise refused(path, f"[[role]] {number} name", cause)
        if role.name in (*WORKERS, *roles):
            cause = f"{role.name!r} is named twice; every instance has {' and '.join(WORKERS)}"
            raise refused(path, f"[[role]] {number} name", f"{cause}; accepted: another name")
        roles[role.name] = role
    return tuple(roles.values())


def _role(path: Path, where: str, entry: Mapping[str, object]) -> DeclaredRole:
    texts = {}
    for key, value in entry.items():
        if key not in _ROLE_KEYS:
            close = closest(key, _ROLE_KEYS)
            hint = f"did you mean {close}?" if close else None
            cause = f"unknown key; accepted: {', '.join(_ROLE_KEYS)}"
            raise refused(path, f"{where} {key}", cause, hint)
        texts[key] = _text(path, f"{where} {key}", _ROLE_KEYS[key], value)
    for key in ("name", "prompt"):
        if key not in texts:
            cause = f"it is missing; accepted: {_ROLE_KEYS[key].accepts}"
            raise refused(path, f"{where} {key}", cause)
    return DeclaredRole(**texts)
