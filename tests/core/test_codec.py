"""Frozen dataclasses <-> JSON values: what goes in comes out, and nothing else gets in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ci_orch.core.codec import decode, encode


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    number: int = 0
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    colour: Colour = Colour.RED
    kind: Literal["a", "b"] = "a"
    maybe: Inner | None = None
    either: int | str = 0
    many: tuple[Inner, ...] = ()
    pair: tuple[int, str] = (0, "")
    seen: frozenset[str] = frozenset()
    table: Mapping[str, Inner] = field(default_factory=dict)
    anything: Any = None
    passing: int = field(default=0, metadata={"volatile": True})


NAMES = st.text(max_size=5)
INNERS = st.builds(Inner, st.integers(), st.floats(-1e9, 1e9))
OUTERS = st.builds(
    Outer,
    name=NAMES,
    colour=st.sampled_from(Colour),
    kind=st.sampled_from(["a", "b"]),
    maybe=st.none() | INNERS,
    either=st.integers() | NAMES,
    many=st.lists(INNERS, max_size=3).map(tuple),
    pair=st.tuples(st.integers(), NAMES),
    seen=st.frozensets(NAMES, max_size=3),
    table=st.dictionaries(NAMES, INNERS, max_size=3),
    anything=st.none() | st.integers() | st.lists(NAMES, max_size=2),
)


@given(OUTERS)
def test_what_is_written_is_read(value: Outer) -> None:
    assert decode(Outer, json.loads(json.dumps(encode(value)))) == value


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["name", "many", "pair", "seen", "table", "maybe", "either", "kind"]),
        inner, max_size=4),
    max_leaves=8,
))  # fmt: skip
def test_any_json_is_read_or_refused(value: object) -> None:
    """ValueError is the only way out, and what is read can be written."""
    try:
        found = decode(Outer, value)
    except ValueError:
        return
    assert decode(Outer, encode(found)) == found


def test_volatile_fields_are_left_out_both_ways() -> None:
    assert "passing" not in encode(Outer("x", passing=3))
    assert decode(Outer, {"name": "x", "passing": 3}).passing == 0


def test_of_another_version() -> None:
    """Unknown keys are ignored, missing ones have their default."""
    assert decode(Outer, {"name": "x", "new": 1}) == Outer("x")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "Outer: dict expected, list found"),
        ({}, "Outer.name is missing"),
        ({"name": 1}, "Outer.name: str expected, int found"),
        ({"name": "x", "colour": "green"}, "Outer.colour: 'green' is not one of its values"),
        ({"name": "x", "colour": 3}, "Outer.colour: 3 is not one of its values"),
        ({"name": "x", "kind": "c"}, "Outer.kind: 'c' is not one of its values"),
        ({"name": "x", "maybe": {"number": True}}, "Outer.maybe: dict does not fit"),
        ({"name": "x", "many": [{"share": "1"}]}, "Outer.many.share: a number belongs here"),
        ({"name": "x", "many": [{"share": True}]}, "Outer.many.share: a number belongs here"),
        ({"name": "x", "many": [{"share": 1e300}]}, "Outer.many.share: 1e+300 is no time"),
        ({"name": "x", "many": [{"share": float("nan")}]}, "Outer.many.share: nan is no time"),
        ({"name": "x", "pair": [1]}, "Outer.pair: 1 items where 2 belong"),
        ({"name": "x", "seen": {}}, "Outer.seen: list expected"),
        ({"name": "x", "table": {"k": 1}}, "Outer.table.k: dict expected"),
    ],
)
def test_what_does_not_fit_is_named(value: object, says: str) -> None:
    with pytest.raises(ValueError) as told:
        decode(Outer, value)
    assert says in str(told.value)


def test_what_is_no_value_of_ours_is_left_to_whoever_writes_it() -> None:
    assert encode(object) is object
