"""The phase table: `plan/phases.toml` as values, and which phase comes after which.

`parse_phases` takes what `tomllib` made of the file. A table with an error in it is no
table: PhaseError names the key and says what belongs there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from cc_ci_orch.core.protocol import ID_PATTERN, PHASE

LONGEST_TEXT = 200
"""Characters of a title or a file name."""

_ID = re.compile(ID_PATTERN)
_KEYS = ("id", "title", "plan", "gates", "deferred")


class PhaseError(ValueError):
    """The phase table is wrong, or has no such phase."""


@dataclass(frozen=True)
class PhaseSpec:
    """A phase as planned. `plan` is a file beside phases.toml."""

    id: str
    title: str
    plan: str
    gates: tuple[str, ...] = ()
    deferred: bool = False


def parse_phases(data: Mapping[str, object]) -> tuple[PhaseSpec, ...]:
    """The phases in the order of the file."""
    for key in data:
        if key != "phase":
            raise PhaseError(f"{key!r} is no key of phases.toml; accepted: [[phase]]")
    tables = data.get("phase")
    if not isinstance(tables, list) or not tables:
        raise PhaseError("phase: at least one [[phase]] table belongs here")
    phases: list[PhaseSpec] = []
    for number, table in enumerate(tables, 1):
        phase = _parse_phase(table, f"phase {number}")
        if phase.id in [other.id for other in phases]:
            raise PhaseError(f"phase {number}: id: {phase.id!r} is there twice; ids are unique")
        phases.append(phase)
    return tuple(phases)


def find(phases: Sequence[PhaseSpec], id: str) -> PhaseSpec:
    """The phase with that id."""
    for phase in phases:
        if phase.id == id:
            return phase
    known = ", ".join(phase.id for phase in phases)
    raise PhaseError(f"{id!r} is no phase of the plan; accepted: {known}")


def position(phases: Sequence[PhaseSpec], id: str) -> tuple[int, int]:
    """Which phase of how many, from 1; deferred ones have their place too."""
    return phases.index(find(phases, id)) + 1, len(phases)


def first(
    phases: Sequence[PhaseSpec], deferred: AbstractSet[str] = frozenset()
) -> PhaseSpec | None:
    """The first phase to work on, or None: all are deferred. `deferred`: by a person, in
    addition to those that the plan defers."""
    for phase in phases:
        if not phase.deferred and phase.id not in deferred:
            return phase
    return None


def next_phase(
    phases: Sequence[PhaseSpec], id: str, deferred: AbstractSet[str] = frozenset()
) -> PhaseSpec | None:
    """The phase to work on after that one, or None: it was the last."""
    index, _ = position(phases, id)
    return first(phases[index:], deferred)


def _parse_phase(table: object, where: str) -> PhaseSpec:
    if not isinstance(table, Mapping):
        raise PhaseError(f"{where}: a table belongs here: [[phase]]")
    for key in table:
        if key not in _KEYS:
            raise PhaseError(f"{where}: {key!r} is no key; accepted: {', '.join(_KEYS)}")
    id = _parse_id(table.get("id"), f"{where}: id")
    where = f"phase {id!r}"
    deferred = table.get("deferred", False)
    if not isinstance(deferred, bool):
        raise PhaseError(f"{where}: deferred: {deferred!r}; accepted: true, false")
    return PhaseSpec(
        id=id,
        title=_parse_text(table.get("title"), f"{where}: title"),
        plan=_parse_file(table.get("plan"), f"{where}: plan"),
        gates=_parse_gates(table.get("gates", []), f"{where}: gates"),
        deferred=deferred,
    )


def _parse_id(value: object, where: str) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise PhaseError(f"{where}: {_shown(value)}; accepted: {ID_PATTERN}")
    return value


def _parse_gates(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise PhaseError(f"{where}: {_shown(value)}; a list of gate ids belongs here")
    gates: list[str] = []
    for item in value:
        gate = _parse_id(item, where)
        if gate == PHASE:
            raise PhaseError(f"{where}: {PHASE!r} speaks of the whole phase, it can't be a gate")
        if gate in gates:
            raise PhaseError(f"{where}: {gate!r} is there twice; gates are unique in a phase")
        gates.append(gate)
    return tuple(gates)


def _parse_text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise PhaseError(f"{where}: {_shown(value)}; one line of text belongs here")
    if len(value) > LONGEST_TEXT:
        raise PhaseError(f"{where}: {len(value)} characters; accepted: up to {LONGEST_TEXT}")
    return value


def _parse_file(value: object, where: str) -> str:
    name = _parse_text(value, where)
    if name in (".", "..") or name.startswith("-") or "/" in name or "\\" in name:
        raise PhaseError(f"{where}: {name!r}; the name of a file beside phases.toml belongs here")
    return name


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:LONGEST_TEXT]
