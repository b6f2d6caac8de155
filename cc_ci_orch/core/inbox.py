"""Hand-offs on their way into a session: typed when it can take them, kept until proved.

A hand-off leaves the inbox only with the proof of its delivery. A supervisor that dies in
between types it again, with the same number: the roles are told to ignore one they know.
"""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.handoff import Handoff
from cc_ci_orch.core.model import (
    Doing,
    Liveness,
    Prompt,
    PromptKind,
    RoleMemory,
    RoleSpec,
    SessionView,
    Typing,
)
from cc_ci_orch.core.policy import START_SETTLE
from cc_ci_orch.core.protocol import PHASE
from cc_ci_orch.core.step import Step

FIRST_RETRY = 30.0
"""Seconds until a delivery that failed is tried again; doubled each time."""

LONGEST_RETRY = 600.0


TAKING = frozenset({Liveness.STARTING, Liveness.WORKING, Liveness.WAITING})
"""What a program without an account does while it is taken to read what is typed."""


def event(name: Name, handoff: Handoff, why: str) -> Event:
    """A fact about a hand-off."""
    return Event(
        name,
        why,
        role=handoff.to,
        phase=handoff.phase,
        gate=None if handoff.gate == PHASE else handoff.gate,
        attempt=handoff.attempt,
        handoff=handoff.name,
    )


def ready(view: SessionView, mem: RoleMemory, spec: RoleSpec, now: float) -> bool:
    """Whether there is something to deliver, and the session takes it now."""
    if not mem.inbox or now < mem.inbox_retry_at:
        return False
    if not spec.traits.has_account:
        settled = now - mem.started_at >= START_SETTLE
        return settled and mem.liveness in TAKING
    if mem.liveness in (Liveness.IDLE, Liveness.WAITING):
        return True
    account = view.account
    return account is not None and account.doing is Doing.BUSY and account.queues


def prompt(mem: RoleMemory) -> Prompt:
    """All that is in the inbox as one prompt."""
    return Prompt(PromptKind.TEXT, "\n".join(handoff.text for handoff in mem.inbox))


def typing(mem: RoleMemory, spec: RoleSpec) -> Typing:
    """Its way into the session."""
    names = tuple(handoff.name for handoff in mem.inbox)
    return Typing(prompt(mem), "a hand-off", handoffs=names, weak=not spec.traits.has_account)


def settle(result: Step, done: Typing, proved: bool, why: str, now: float) -> Step:
    """Take what was delivered out of the inbox; try again later what was not."""
    mem = result.mem
    meant = [handoff for handoff in mem.inbox if handoff.name in done.handoffs]
    if proved:
        left = tuple(handoff for handoff in mem.inbox if handoff not in meant)
        mem = replace(mem, inbox=left, inbox_tries=0, inbox_retry_at=0.0)
    else:
        wait = min(FIRST_RETRY * 2.0**mem.inbox_tries, LONGEST_RETRY)
        mem = replace(mem, inbox_tries=mem.inbox_tries + 1, inbox_retry_at=now + wait)
    name = Name.HANDOFF_DELIVERED if proved else Name.HANDOFF_FAILED
    events = [event(name, handoff, why) for handoff in meant]
    return replace(result, mem=mem).record(*events)
