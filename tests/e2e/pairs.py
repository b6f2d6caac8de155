"""Two scripted agents with a plan, and what a test asks about their run."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.e2e.instance import Instance

PAIR = {
    "ORCH_REPO_POLL": "0.2s",
    "ORCH_IDLE_NUDGE_AFTER": "0.5s",
    "ORCH_PHASE_DRAIN": "20s",
}
"""Settings under which a phase takes seconds."""

PATIENCE = 150.0
"""Seconds for a whole run on a busy machine."""


def plan(*phases: tuple[str, Sequence[str]], deferred: str = "") -> str:
    """phases.toml: id and gates of each."""
    tables = (
        f'[[phase]]\nid = "{id}"\ntitle = "The {id}"\nplan = "phase-1.md"\n'
        f"gates = {json.dumps(list(gates))}\ndeferred = {str(id == deferred).lower()}\n"
        for id, gates in phases
    )
    return "\n".join(tables)


def script(it: Instance, **what: Any) -> None:
    """Give the instance the pair, and what they do beside the honest job."""
    (it.folder / "script.json").write_text(json.dumps(what))
    it.settings["LOOP_COMMAND"] = it.agent("pair.py", "{prompt_file}", str(it.folder))
    # The work of a notifier that a person would have; a line for each.
    it.settings["NOTIFY_COMMAND"] = f"/bin/sh -c 'cat >> {it.folder}/notes'"


def told(it: Instance, role: str) -> list[str]:
    """All that was typed to a role, or given to it with its first prompt."""
    path = it.folder / f"told.{role}"
    return path.read_text().splitlines() if path.exists() else []


def numbers(it: Instance, role: str) -> list[int]:
    """The numbers of the hand-offs that a role was told, in their order."""
    return [int(m[1]) for line in told(it, role) if (m := re.match(r"H-(\d+): ", line))]


def notes(it: Instance) -> list[str]:
    """The titles of the notifications that arrived."""
    path = it.folder / "notes"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["title"] for line in lines]


def entries(it: Instance) -> list[str]:
    """The phases in the order in which they were started and completed."""
    return [
        f"{event['event'].removeprefix('phase.')} {event['phase']}"
        for event in it.events()
        if event["event"] in ("phase.started", "phase.completed")
    ]


def check_hand_offs(it: Instance) -> None:
    """Numbers are unique and go up; each that was seen was delivered or lapsed; what a role
    was told, it was told because of its number; and none has two."""
    seen = it.events("handoff.seen")
    found = [int(event["handoff"].removeprefix("H-")) for event in seen]
    assert found == sorted(set(found)), found
    changes = Counter(
        (event["why"].partition(": ")[2], event["role"], event["phase"]) for event in seen
    )
    assert set(changes.values()) <= {1}, changes
    delivered = {event["handoff"] for event in it.events("handoff.delivered")}
    lapsed = {e["handoff"] for e in it.events("handoff.failed") if "lapses" in e["why"]}
    assert {event["handoff"] for event in seen} == delivered | lapsed
    for role in ("builder", "adversary"):
        mine = {int(e["handoff"].removeprefix("H-")) for e in seen if e["role"] == role}
        assert set(numbers(it, role)) <= mine
        arrived = {
            int(e["handoff"].removeprefix("H-")) for e in it.events("handoff.delivered", role)
        }
        assert arrived <= set(numbers(it, role)), "delivered, but the agent never saw it"
