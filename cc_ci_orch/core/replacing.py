"""Ending a process and starting the next one: the only place that does either.

An ending asks politely, then TERMs, then KILLs the whole tree, each after its time. A start
picks the conversation (resume it, or begin a fresh one) and the first prompt that fits.
"""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core import healing, starting
from cc_ci_orch.core.actions import (
    AskExit,
    Close,
    Expect,
    Kill,
    Terminate,
)
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import (
    Ending,
    ProcessId,
    RoleMemory,
    RoleSpec,
    Rung,
    Seen,
    SessionView,
    Then,
    Wanted,
)
from cc_ci_orch.core.policy import START_SETTLE, START_TIMEOUT
from cc_ci_orch.core.step import LOOK_EVERY, Moment, Step
from cc_ci_orch.core.text import span

# ------------------------------------------------------------------------- ending a process


def begin(view: SessionView, result: Step, ending: Ending, spec: RoleSpec, at: Moment) -> Step:
    """Begin to end the role's process; `ending` says how, and what follows."""
    result = replace(result, mem=replace(result.mem, ending=ending))
    return go_on(view, result, ending, spec, at, may_start=False)


def go_on(
    view: SessionView,
    result: Step,
    ending: Ending,
    spec: RoleSpec,
    at: Moment,
    *,
    may_start: bool,
) -> Step:
    """Go on with an ending: ask, TERM, KILL; then start again or close the session."""
    mem = result.mem
    if view.running is Seen.PRESENT and view.process is not None:
        return _press_on(view, result, ending, view.process, spec, at)
    if ending.then is Then.STAY_DOWN:
        return _closed(view, result, ending, spec, at)
    if not may_start:
        return result.wake_by(at.now + START_SETTLE / 4)
    mem = replace(mem, process=None, mode=ending.then, ending=None, died_at=at.now)
    if ending.checked:
        mem = healing.count_restart(mem, at.policy, at.now)
    else:
        mem = replace(mem, restarts=mem.restarts + 1)
    return starting.start(replace(result, mem=mem), spec, at, ending.why, ending.by)


def _press_on(
    view: SessionView,
    result: Step,
    ending: Ending,
    process: ProcessId,
    spec: RoleSpec,
    at: Moment,
) -> Step:
    mem = result.mem
    if ending.asked_at is None:
        # The log of a client with a spinner grows in a hang too, so it proves no recovery.
        log = view.log if spec.traits.log_is_progress else None
        expect = Expect(process, log, view.signals) if ending.checked else None
        mem = replace(mem, ending=replace(ending, asked_at=at.now))
        return (
            replace(result, mem=mem)
            .then(AskExit(spec.name, process, expect, ending.why))
            .wake_by(at.now + ending.grace / 2)
        )
    waited = at.now - ending.asked_at
    if waited >= ending.grace:
        return result.then(Kill(spec.name, process, ending.why)).wake_by(at.now + 1.0)
    if waited >= ending.grace / 2 and not ending.termed:
        mem = replace(mem, ending=replace(ending, termed=True))
        result = replace(result, mem=mem).then(Terminate(spec.name, process, ending.why))
    return result.plan("kill its process tree", ending.asked_at + ending.grace)


def at_rest(mem: RoleMemory) -> RoleMemory:
    """The memory of a role that has no process, and isn't to have one."""
    return replace(
        mem,
        process=None,
        mode=None,
        next_attempt=None,
        died_at=0.0,
        exit=None,
        ending=None,
        interrupting=None,
        starting=False,
        gave_up=False,
        rung=Rung.NONE,
        healing=None,
        unwell=None,
    )


def _close(result: Step, spec: RoleSpec, at: Moment) -> Step:
    return result.then(Close(spec.name)).wake_by(at.now + LOOK_EVERY)


def _closed(view: SessionView, result: Step, ending: Ending, spec: RoleSpec, at: Moment) -> Step:
    """It is down. Remove its session; then all is done."""
    if view.presence is Seen.PRESENT:
        return _close(result, spec, at)
    mem = at_rest(result.mem)
    if ending.asked_at is not None:
        result = result.record(Event(Name.SESSION_EXITED, ending.why, role=spec.name, by=ending.by))
    return replace(result, mem=mem)


# ------------------------------------------------------------------------ starting a process


def dead(view: SessionView, result: Step, spec: RoleSpec, at: Moment, *, may_start: bool) -> Step:
    """No living process: account for a death once, then start again when it is due."""
    mem = result.mem
    if mem.starting:
        due = mem.starting_at + START_TIMEOUT
        if at.now < due:
            return result.plan("hear of its start", due)
        why = "nothing was heard of its start"
        failed = starting.start_failed(mem, spec, at, why, uncertain=True)
        return replace(failed, events=result.events + failed.events)
    if mem.wanted is Wanted.DOWN:
        if view.presence is Seen.PRESENT:
            return _close(result, spec, at)
        return replace(result, mem=at_rest(mem))
    if mem.process is not None:
        result = _account_for_death(view, result, spec, at)
        mem = result.mem
    if mem.held:
        return result
    if mem.mode is None:
        mem = replace(mem, mode=Then.RESUME, next_attempt=at.now)
    if view.lost and mem.begun and mem.mode is Then.RESUME:
        mem = replace(mem, mode=Then.RENEW)
    due = mem.next_attempt if mem.next_attempt is not None else at.now
    result = replace(result, mem=mem)
    if at.now < due:
        return result.plan(f"start it again ({mem.mode})", due)
    if not may_start:
        return result.plan(f"start it ({mem.mode})", at.now + START_SETTLE / 4)
    if mem.died_at:
        mem = healing.count_restart(mem, at.policy, at.now)
    why = f"its process ended with {mem.exit}" if mem.exit else "it has no process"
    return starting.start(
        replace(result, mem=replace(mem, gave_up=False)), spec, at, why, "watchdog"
    )


def _account_for_death(view: SessionView, result: Step, spec: RoleSpec, at: Moment) -> Step:
    before = result.mem
    mem = healing.after_death(
        before, at.policy, at.now, view.exit, lost=view.lost, can_lose=spec.traits.can_lose
    )
    lived = at.now - before.started_at
    exited = Event(
        Name.SESSION_EXITED,
        f"its process ended with {view.exit or 'an unknown status'} after {span(lived)}",
        role=spec.name,
        evidence={
            "pid": before.process.pid if before.process else None,
            "lived_s": round(lived, 3),
            "status": str(view.exit) if view.exit else None,
        },
    )
    result = replace(result, mem=mem).record(exited)
    if mem.gave_up:
        result = starting.gave_up(result, spec, at, "it keeps ending (a crash loop)")
    return result
