"""The values in which a decision is put together: a role's, and the whole tick's."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cc_ci_orch.core.actions import Action
from cc_ci_orch.core.events import Event
from cc_ci_orch.core.model import Memory, RoleMemory
from cc_ci_orch.core.policy import Policy

LOOK_EVERY = 0.1
"""Seconds between looks at something that is to happen soon and that a person may wait for."""


@dataclass(frozen=True)
class Moment:
    """What every step of one tick shares."""

    now: float
    wall: float
    policy: Policy
    entropy: int


@dataclass(frozen=True)
class Step:
    """What became of a role in this tick."""

    mem: RoleMemory
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    wake: float | None = None

    def then(self, *actions: Action) -> Step:
        return replace(self, actions=self.actions + actions)

    def record(self, *events: Event) -> Step:
        return replace(self, events=self.events + events)

    def wake_by(self, *times: float | None) -> Step:
        known = [t for t in (self.wake, *times) if t is not None]
        return replace(self, wake=min(known, default=None))

    def plan(self, what: str, when: float) -> Step:
        """Say what comes next and when, for `explain`, and wake up for it."""
        mem = replace(self.mem, next_step=what, next_at=when)
        return replace(self, mem=mem).wake_by(when)


@dataclass(frozen=True)
class Decision:
    """What follows from a tick: the new memory, what to do, what to record, when to look again."""

    memory: Memory
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    wake: float | None = None
    """Look again at this time (mono) at the latest; `poll` applies anyhow."""
    finished: bool = False
    """A person stopped the instance, and nothing of it runs any more."""

    def then(self, *actions: Action) -> Decision:
        return replace(self, actions=self.actions + actions)

    def record(self, *events: Event) -> Decision:
        return replace(self, events=self.events + events)

    def wake_by(self, when: float) -> Decision:
        return replace(self, wake=when if self.wake is None else min(self.wake, when))

    def role(self, name: str) -> RoleMemory:
        return self.memory.roles.get(name, RoleMemory())

    def with_role(self, name: str, mem: RoleMemory) -> Decision:
        roles = {**self.memory.roles, name: mem}
        return replace(self, memory=replace(self.memory, roles=roles))
