"""A memory that is older than the world: what a person asked for could not be written down.

On a full disk a start is carried out all the same. Should the supervisor die then, the next one
reads that the role was to be down, and finds it at work. Whoever stops a role has every process
of it on record, so one that the memory doesn't know was started after the stop: it is left alone.
"""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import Seen, Snapshot, Wanted
from cc_ci_orch.core.step import Decision

WHY = "runs although it was to stay down: its start could not be written down; it is left running"


def believe(decision: Decision, snapshot: Snapshot) -> Decision:
    """Take what lives and isn't known for wanted."""
    if not snapshot.supervising:
        return decision
    for spec in snapshot.roles:
        mem, view = decision.role(spec.name), snapshot.sessions.get(spec.name)
        down = decision.memory.stopped or mem.wanted is Wanted.DOWN
        if not down or mem.ending is not None or view is None:
            continue
        if view.running is not Seen.PRESENT or view.process in (None, mem.process):
            continue
        decision = decision.with_role(
            spec.name, replace(mem, wanted=Wanted.UP, kept_down=False)
        ).record(Event(Name.TROUBLE, f"{spec.name} {WHY}", role=spec.name))
        memory = replace(decision.memory, stopped=False, stop_by=None)
        decision = replace(decision, memory=memory)
    return decision
