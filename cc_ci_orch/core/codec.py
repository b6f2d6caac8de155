"""Frozen dataclasses <-> JSON values, checked against their type hints.

`decode` trusts nothing: a value of the wrong shape raises ValueError, so that a damaged or
hostile file is noticed when it is read and not hours later. Unknown keys are ignored and
missing ones take their default, so that a memory of another version can be read.
Fields marked `volatile` are left out both ways.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")

LARGEST = 1e11
"""No time of ours, in seconds, is as large: the wall clock shows it in the year 5138."""


def encode(value: Any) -> Any:
    """A JSON value for a dataclass instance and everything in it."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if is_dataclass(kind):
        return {name: encode(getattr(value, name)) for name in _stored(kind)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(encode(item) for item in value)
    return value


_PLAIN = frozenset({type(None), bool, int, float, str})


_STORED: dict[type, tuple[str, ...]] = {}


def _stored(cls: type) -> tuple[str, ...]:
    """The names of the fields that are written down, looked up once a class."""
    if cls not in _STORED:
        _STORED[cls] = tuple(f.name for f in fields(cls) if not f.metadata.get("volatile"))
    return _STORED[cls]


def decode(cls: type[T], value: object) -> T:
    """The instance of `cls` that `value` describes; ValueError says what is wrong with it."""
    return typing.cast(T, _decode(cls, value, cls.__name__))


def _decode(hint: Any, value: object, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(hint, value, where)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            raise ValueError(f"{where}: {value!r} is not one of its values")
        return value
    if origin is tuple:
        return _decode_tuple(hint, value, where)
    if origin is frozenset:
        inner = typing.get_args(hint)[0]
        return frozenset(_decode(inner, item, where) for item in _expect(list, value, where))
    if origin is not None and issubclass(origin, Mapping):
        inner = typing.get_args(hint)[1]
        items = _expect(dict, value, where).items()
        return {key: _decode(inner, item, f"{where}.{key}") for key, item in items}
    if is_dataclass(hint):
        return _decode_dataclass(hint, value, where)
    return _decode_scalar(hint, value, where)


def _decode_union(hint: Any, value: object, where: str) -> Any:
    options = typing.get_args(hint)
    if value is None and type(None) in options:
        return None
    for option in options:
        try:
            return _decode(option, value, where)
        except ValueError:
            continue
    raise ValueError(f"{where}: {type(value).__name__} does not fit")


def _decode_tuple(hint: Any, value: object, where: str) -> tuple[Any, ...]:
    items = _expect(list, value, where)
    inner = typing.get_args(hint)
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_decode(inner[0], item, where) for item in items)
    if len(items) != len(inner):
        raise ValueError(f"{where}: {len(items)} items where {len(inner)} belong")
    return tuple(_decode(kind, item, where) for kind, item in zip(inner, items, strict=True))


def _decode_dataclass(cls: Any, value: object, where: str) -> Any:
    given = _expect(dict, value, where)
    hints = typing.get_type_hints(cls)
    found = {}
    for f in fields(cls):
        if f.metadata.get("volatile"):
            continue
        if f.name in given:
            found[f.name] = _decode(hints[f.name], given[f.name], f"{where}.{f.name}")
        elif f.default is MISSING and f.default_factory is MISSING:
            raise ValueError(f"{where}.{f.name} is missing")
    return cls(**found)


def _decode_scalar(hint: Any, value: object, where: str) -> Any:
    if hint is Any or hint is object:
        return value
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        try:
            return hint(_expect(str, value, where))
        except ValueError:
            raise ValueError(f"{where}: {value!r} is not one of its values") from None
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{where}: a number belongs here")
        if not abs(value) < LARGEST:  # nor NaN, nor infinity
            raise ValueError(f"{where}: {str(value)[:20]} is no time and no measure")
        return float(value)
    if hint is type(None):
        raise ValueError(f"{where}: nothing belongs here")
    return _expect(hint, value, where)


def _expect(kind: type, value: object, where: str) -> Any:
    """`value` if it is exactly of that JSON kind (a bool is no int)."""
    if type(value) is not kind:
        raise ValueError(f"{where}: {kind.__name__} expected, {type(value).__name__} found")
    return value
