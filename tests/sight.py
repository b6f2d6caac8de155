"""What a test sees of a World: memory, events, panes, and the agents as they really are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cc_ci_orch.core.model import RoleMemory
from cc_ci_orch.seats import Seat
from cc_ci_orch.shell.records import EVENTS
from cc_ci_orch.watchdog import Watchdog
from tests.fate import Fate
from tests.parts import Pane
from tests.scripts import Agent

ROLES = ("builder", "adversary")
BOTH = frozenset(ROLES)


class Sight(Fate):
    """The part of `World` by which a story is judged."""

    seats: tuple[Seat, ...]
    lives: list[Agent]
    """Every agent that ever was."""
    dog: Watchdog | None
    """The supervisor that runs, if one does."""

    def mem(self, role: str = "builder") -> RoleMemory:
        assert self.dog is not None
        return self.dog.memory.roles[role]

    def pane(self, role: str = "builder") -> Pane:
        assert self.machine.server is not None
        return self.machine.server.panes[self.seat(role).session]

    def seat(self, role: str = "builder") -> Seat:
        return next(seat for seat in self.seats if seat.name == role)

    def events(self, *names: str, role: str | None = None) -> list[Mapping[str, Any]]:
        """The events of these names (all), oldest first."""
        found = [json.loads(line) for line in self.machine.lines.get(EVENTS, ())]
        return [
            event
            for event in found
            if (not names or event["event"] in names) and role in (None, event.get("role"))
        ]

    def names(self, role: str | None = None) -> list[str]:
        return [event["event"] for event in self.events(role=role)]

    def lives_of(self, role: str) -> list[Agent]:
        return [agent for agent in self.lives if agent.proc.role == role]

    def all_work(self) -> bool:
        return all(role in self.agents and self.agents[role].working for role in ROLES)
