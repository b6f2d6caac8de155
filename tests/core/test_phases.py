"""phases.toml -> the plan, and the way through it."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ci_orch.core.phases import (
    PhaseError,
    PhaseSpec,
    find,
    first,
    next_phase,
    parse_phases,
    position,
)

ONE = 'id = "1"\ntitle = "One"\nplan = "phase-1.md"\n'


def parse(text: str) -> tuple[PhaseSpec, ...]:
    return parse_phases(tomllib.loads(text))


def plan(*ids: str, deferred: str = "") -> tuple[PhaseSpec, ...]:
    return tuple(PhaseSpec(id, f"Phase {id}", f"{id}.md", (), id in deferred) for id in ids)


def test_the_example_of_the_contract() -> None:
    assert parse(
        '[[phase]]\nid = "1"\ntitle = "Host and runner"\nplan = "phase-1.md"\n'
        'gates = ["V1", "V2"]\ndeferred = false\n'
    ) == (PhaseSpec("1", "Host and runner", "phase-1.md", ("V1", "V2"), False),)


def test_gates_may_be_empty_or_left_away() -> None:
    assert parse("[[phase]]\n" + ONE)[0].gates == ()
    assert parse("[[phase]]\n" + ONE + "gates = []")[0].gates == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at least one"),
        ("phase = []", "at least one"),
        ("phase = 3", "at least one"),
        ("phase = [1]", "phase 1: a table belongs here"),
        ("name = 1", "'name' is no key of phases.toml"),
        ("[[phase]]\n" + ONE + "gate = []", "'gate' is no key; accepted: id, title, plan, gates"),
        ("[[phase]]\n", "id: missing"),
        ("[[phase]]\nid = 1", "id: 1; accepted"),
        ('[[phase]]\nid = "../x"', "id: '../x'"),
        ('[[phase]]\nid = "-x"', "id: '-x'"),
        ('[[phase]]\nid = "1\\n"', "id: "),
        (f'[[phase]]\nid = "{"x" * 33}"', "id: "),
        ('[[phase]]\nid = "1"', "title: missing"),
        ('[[phase]]\nid = "1"\ntitle = " "', "title: ' '"),
        ('[[phase]]\nid = "1"\ntitle = "a\\u001b[31m"', "title: "),
        (f'[[phase]]\nid = "1"\ntitle = "{"x" * 201}"', "title: 201 characters"),
        ('[[phase]]\nid = "1"\ntitle = "t"', "plan: missing"),
        ('[[phase]]\nid = "1"\ntitle = "t"\nplan = "../p.md"', "plan: '../p.md'"),
        ('[[phase]]\nid = "1"\ntitle = "t"\nplan = "a\\\\b"', "plan: "),
        ('[[phase]]\nid = "1"\ntitle = "t"\nplan = ".."', "plan: '..'"),
        ('[[phase]]\nid = "1"\ntitle = "t"\nplan = "-rf"', "plan: '-rf'"),
        ("[[phase]]\n" + ONE + 'gates = "V1"', "gates: 'V1'; a list"),
        ("[[phase]]\n" + ONE + "gates = [1]", "gates: 1; accepted"),
        ("[[phase]]\n" + ONE + 'gates = ["a b"]', "gates: 'a b'; accepted"),
        ("[[phase]]\n" + ONE + 'gates = ["phase"]', "gates: 'phase' speaks of the whole phase"),
        ("[[phase]]\n" + ONE + 'gates = ["V1", "V1"]', "gates: 'V1' is there twice"),
        ("[[phase]]\n" + ONE + "deferred = 0", "deferred: 0; accepted: true, false"),
        ("[[phase]]\n" + ONE + "[[phase]]\n" + ONE, "phase 2: id: '1' is there twice"),
    ],
)
def test_an_invalid_table_names_the_key_and_what_belongs_there(text: str, says: str) -> None:
    with pytest.raises(PhaseError) as caught:
        parse(text)
    assert says in str(caught.value)


VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("V1/-. \n", max_size=3),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["phase", "id", "title", "plan", "gates", "deferred", "x"]), inner
        )
    ),
)


@given(st.dictionaries(st.sampled_from(["phase", "x"]), VALUES))
def test_any_value_is_a_plan_or_a_phase_error(data: dict[str, object]) -> None:
    try:
        assert parse_phases(data)
    except PhaseError as error:
        assert str(error)


def test_the_way_through_the_plan_leaves_deferred_phases_out() -> None:
    phases = plan("1", "2", "3", "4", deferred="13")
    assert first(phases) == phases[1]
    assert next_phase(phases, "1") == phases[1]
    assert next_phase(phases, "2") == phases[3]
    assert next_phase(phases, "4") is None
    assert next_phase(phases, "2", deferred={"4"}) is None
    assert first(phases, deferred={"2"}) == phases[3]


def test_all_phases_deferred_is_a_plan_with_nothing_to_do() -> None:
    assert first(plan("1", "2", deferred="12")) is None


def test_a_phase_has_its_place_among_all() -> None:
    phases = plan("1", "2", "3", deferred="2")
    assert position(phases, "3") == (3, 3)
    assert find(phases, "2") == phases[1]


def test_an_unknown_phase_is_told_the_known_ones() -> None:
    with pytest.raises(PhaseError, match="'9' is no phase of the plan; accepted: 1, 2"):
        next_phase(plan("1", "2"), "9")
