"""When is a process replaced, how, and when not? The accounting behind every restart.

*Death.* A process that ran well (lived `stable_after`), or dies for the first time, is
replaced at once. One that keeps dying sooner waits: 1 s, 2 s, 4 s … 5 min. More than
`max_restarts` in `restart_period` is a crash loop: pause for `cooldown`, tell a person, go on.

*Stall.* One rung at a time, each only if the last one didn't help:

    nudge ─interrupt_after─► interrupt and nudge ─heal_after─► heal: resume the conversation
      ─stalled again─► heal: a fresh conversation ─stalled again─► give up ─cooldown─► nudge …

Any progress ends an episode that has not cost a process yet. After a heal the ladder is
kept until the new process has been at work for `stable_after`, so that an agent that only
prints a greeting and hangs again doesn't start from the bottom for ever.

*Conversation.* It is resumed until the client says that it has none, or until two resumed
processes in a row died at once; then it is recorded as lost and a fresh one begins. Where one
command line serves both, there is nothing to lose: it stays.
"""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core.model import ExitStatus, RoleMemory, Rung, Then
from cc_ci_orch.core.policy import BACKOFF_FIRST, BACKOFF_MAX, Policy

LOST_AFTER = 2
"""Resumed processes in a row that die at once before the conversation counts as lost."""


def after_death(
    mem: RoleMemory,
    policy: Policy,
    now: float,
    exit: ExitStatus | None,
    *,
    lost: bool,
    can_lose: bool,
) -> RoleMemory:
    """Account for a death seen now: when the next process may start, and how it begins."""
    lived = now - mem.started_at
    early = lived < min(policy.start_grace, policy.stable_after)
    mem = replace(
        mem,
        exit=exit,
        died_at=now,
        process=None,
        interrupting=None,
        early_deaths=mem.early_deaths + 1 if early and mem.resumed else 0,
    )
    if lived >= policy.stable_after:
        mem = replace(mem, deaths=0, backoff=BACKOFF_FIRST)
    renew = lost or (can_lose and mem.early_deaths >= LOST_AFTER) or mem.healing is Then.RENEW
    if renew:
        mem = replace(mem, early_deaths=0)
    return schedule(replace(mem, mode=Then.RENEW if renew else Then.RESUME), policy, now)


def schedule(mem: RoleMemory, policy: Policy, now: float) -> RoleMemory:
    """Set the time of the next attempt after a failed or ended one: now, back-off, cool-down."""
    recent = recent_restarts(mem, policy, now)
    if len(recent) >= policy.max_restarts:
        return replace(mem, restart_times=(), next_attempt=now + policy.cooldown, gave_up=True)
    if mem.deaths == 0:
        return replace(mem, deaths=1, next_attempt=now, gave_up=False)
    return replace(
        mem,
        gave_up=False,
        deaths=mem.deaths + 1,
        next_attempt=now + mem.backoff,
        backoff=min(mem.backoff * 2, BACKOFF_MAX),
    )


def recent_restarts(mem: RoleMemory, policy: Policy, now: float) -> tuple[float, ...]:
    """The restarts that count now; older ones are forgotten."""
    return tuple(t for t in mem.restart_times if now - t < policy.restart_period)


def count_restart(mem: RoleMemory, policy: Policy, now: float) -> RoleMemory:
    """A replacement by the watchdog."""
    return replace(
        mem,
        restarts=mem.restarts + 1,
        restart_times=(*recent_restarts(mem, policy, now), now),
    )


def count_failed_start(mem: RoleMemory, policy: Policy, now: float) -> RoleMemory:
    """A start that came to nothing: it counts like the replacement that it was to be."""
    mem = schedule(replace(mem, deaths=max(mem.deaths, 1)), policy, now)
    if mem.died_at or mem.gave_up:  # it was counted when it was tried
        return mem
    return replace(mem, restart_times=(*recent_restarts(mem, policy, now), now))


def next_rung(mem: RoleMemory, policy: Policy) -> tuple[Rung, float]:
    """The next step against a stall, and the time (mono) from which it is due."""
    match mem.rung:
        case Rung.NONE:
            return Rung.NUDGED, mem.since
        case Rung.NUDGED:
            return Rung.INTERRUPTED, mem.rung_at + policy.interrupt_after
        case Rung.INTERRUPTED:
            return Rung.RESUMED, mem.rung_at + policy.heal_after
        case Rung.RESUMED:
            return Rung.RENEWED, mem.since
        case Rung.RENEWED:
            return Rung.GAVE_UP, mem.since
        case _:  # given up
            return Rung.NUDGED, mem.rung_at + policy.cooldown


def rung_below(rung: Rung) -> Rung:
    """Where the ladder stands when a heal was called off by the second look."""
    return {Rung.RESUMED: Rung.INTERRUPTED, Rung.RENEWED: Rung.RESUMED}.get(rung, rung)


def call_off(mem: RoleMemory, now: float) -> RoleMemory:
    """A heal that did not happen: the second look found it changed, or our own death came first."""
    return replace(mem, ending=None, healing=None, rung=rung_below(mem.rung), rung_at=now)


def settle(mem: RoleMemory, policy: Policy) -> RoleMemory:
    """Leave the ladder where progress allows it."""
    if mem.progress_at is None or mem.progress_at <= mem.rung_at:
        return mem
    if mem.rung is Rung.NONE:
        return replace(mem, gave_up=False) if mem.gave_up else mem
    cheap = mem.rung in (Rung.NUDGED, Rung.INTERRUPTED)
    if cheap or mem.progress_at - mem.started_at >= policy.stable_after:
        return replace(mem, rung=Rung.NONE, gave_up=False)
    return mem
