"""One role, one tick: what to do about it now. At most one action.

The order of the questions is the policy:

1. Can't tell? Do nothing.
2. Being ended (a heal, a stop, a restart)? Go on with that.
3. Dead? Account for it; start again when it is due, unless it is held or to stay down.
4. To stay down? End it.
5. A prompt on its way in? See whether it arrived.
6. Held, or a person is typing? Leave it alone.
7. Stalled? Climb the ladder. Idle on its turn? Nudge. Waiting for long? Remind.
8. Housekeeping: its log's pipe, its log's size.
"""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core import healing, inbox, liveness, prodding, replacing, starting, typing_in
from cc_ci_orch.core.actions import ArmPipe, Notify, Press, RotateLog
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.liveness import Judgement
from cc_ci_orch.core.model import (
    Ending,
    Interrupting,
    Liveness,
    Prompt,
    PromptKind,
    RoleMemory,
    RoleSpec,
    Rung,
    Seen,
    SessionView,
    Then,
    Typing,
    Wanted,
)
from cc_ci_orch.core.policy import CPU_SAMPLE, PIPE_DELAY_MAX, POLITE_EXIT, STOP_GRACE
from cc_ci_orch.core.step import LOOK_EVERY, Moment, Step


def step(
    view: SessionView, mem: RoleMemory, spec: RoleSpec, at: Moment, *, may_start: bool
) -> Step:
    """Decide about one role. `may_start`: the burst limit allows one more start now."""
    if view.presence is Seen.UNKNOWN or view.running is Seen.UNKNOWN:
        return _judged(view, mem, spec, at)
    there = view.running is Seen.PRESENT
    strange = there and view.process != mem.process
    if strange:
        mem = _adopt(view, mem, at)
    elif there and mem.healing is not None and mem.ending is None:
        mem = healing.call_off(mem, at.now)
    result = _judged(view, liveness.take_in(view, mem, spec, at.now), spec, at)
    mem = result.mem
    typing = mem.typing
    if typing is not None and _for_nobody(typing, mem, there=there, strange=strange):
        why = mem.ending.why if mem.ending is not None else "its process ended"
        result = typing_in.drop(result, spec.name, typing, why, at.now)
    if mem.ending is not None:
        return replacing.go_on(view, result, mem.ending, spec, at, may_start=may_start)
    if not there:
        return replacing.dead(view, result, spec, at, may_start=may_start)
    return _alive(view, result, spec, at)


def _adopt(view: SessionView, mem: RoleMemory, at: Moment) -> RoleMemory:
    """A living process in the session that we don't know: its start was our own, unrecorded.

    What was under way with its predecessor is not for it: a heal was of another process, and
    a person's wish that it end begins anew, with the polite question.
    """
    ending = mem.ending
    if ending is not None:
        ending = None if ending.checked else replace(ending, asked_at=None, termed=False)
    return starting.begin_process(replace(mem, ending=ending), view.process, at.now)


def _for_nobody(typing: Typing, mem: RoleMemory, *, there: bool, strange: bool) -> bool:
    """Whether the prompt on its way has lost the process that it was for."""
    if mem.ending is not None:
        return True
    if typing.silent and typing.sent_at is None:
        return not (there or mem.starting)
    return strange or not there


# ------------------------------------------------------------------------------- judgement


TOLD = {
    Liveness.STALLED: Name.SESSION_STALLED,
    Liveness.LIMITED: Name.SESSION_LIMITED,
    Liveness.BLOCKED: Name.SESSION_BLOCKED,
}
"""Judgements that are events when they begin."""


def _judged(view: SessionView, mem: RoleMemory, spec: RoleSpec, at: Moment) -> Step:
    """Judge, and record what changed by it."""
    found = liveness.judge(view, mem, spec, at.policy, at.now)
    before = mem.liveness
    mem = replace(mem, reason=found.reason, evidence=found.evidence, next_step="", next_at=None)
    if found.liveness is not before:
        mem = replace(mem, liveness=found.liveness, since=at.now, since_wall=at.wall)
    result = Step(mem)
    if found.liveness in TOLD and found.liveness is not before:
        result = replace(result, mem=replace(mem, unwell=found.liveness))
        result = _told(result, found, spec.name, at.now)
        if found.liveness is Liveness.LIMITED:
            return prodding.limit_begins(view, result, spec, at)
        return result
    if mem.unwell is None or not _recovered(mem, before):
        return result
    event = Event(
        Name.SESSION_RECOVERED,
        f"{found.reason} (was {mem.unwell})",
        role=spec.name,
        evidence={"signals": found.evidence},
    )
    return replace(result, mem=replace(mem, unwell=None)).record(event)


def _recovered(mem: RoleMemory, before: Liveness) -> bool:
    """Whether it is well again; a new process must have shown so, not only have begun."""
    if mem.liveness is Liveness.WORKING:
        return before in TOLD or mem.progress_at is not None
    return mem.liveness in (Liveness.IDLE, Liveness.WAITING)


def _told(result: Step, found: Judgement, role: str, now: float) -> Step:
    event = Event(
        TOLD[found.liveness], found.reason, role=role, evidence={"signals": found.evidence}
    )
    result = result.record(event)
    if found.liveness is not Liveness.BLOCKED:
        return result
    mem = result.mem
    told_at = -1.0 if mem.blocked_at is None else mem.blocked_at
    what = found.reason.partition(" (")[0]  # without the client's own words, which may differ
    if mem.blocked_why == what and (mem.progress_at or 0.0) <= told_at:
        return result  # it was tried once more, and nothing has changed
    result = replace(result, mem=replace(mem, blocked_at=now, blocked_why=what))
    return result.then(Notify(f"blocked:{role}", f"{role} is blocked", found.reason, role))


# -------------------------------------------------------------------------- a living process


def _alive(view: SessionView, result: Step, spec: RoleSpec, at: Moment) -> Step:
    mem = result.mem
    if mem.wanted is Wanted.DOWN:
        why = "a person stopped it"
        down = Ending(Then.STAY_DOWN, why, STOP_GRACE, "operator", checked=False)
        return replacing.begin(view, result, down, spec, at)
    if mem.liveness is not Liveness.STALLED:
        at_prompt = mem.liveness in (Liveness.IDLE, Liveness.WAITING)
        worked = mem.interrupting is not None and mem.interrupting.pressed > 0 and at_prompt
        mem = healing.settle(mem, at.policy)
        mem = mem if worked else replace(mem, interrupting=None)
        result = replace(result, mem=mem)
    typing = mem.typing
    unsent = typing is None or (typing.sent_at is None and typing.request is None)
    if mem.held:
        if typing is not None and not unsent:
            result = typing_in.drop(result, spec.name, typing, "it is held", at.now)
        return _housekeep(view, result, spec, at)
    if unsent and view.typed_ago is not None and view.typed_ago < at.policy.operator_grace:
        free = at.now + at.policy.operator_grace - view.typed_ago
        return _housekeep(view, result.plan("a person types in it: look again", free), spec, at)
    if view.answer is not None and view.process is not None:
        press = Press(spec.name, (view.answer,), view.process, dialog=True)
        return result.then(press).wake_by(at.now + LOOK_EVERY)
    if typing is not None:
        return typing_in.go_on(view, result, typing, spec.name, at)
    if mem.interrupting is not None:
        return _go_on_interrupting(view, result, mem.interrupting, spec, at)
    if inbox.ready(view, mem, spec, at.now):
        letter = inbox.typing(mem, spec)
        result = replace(result, mem=replace(mem, typing=letter))
        return typing_in.go_on(view, result, letter, spec.name, at)
    result = _by_liveness(view, result, spec, at)
    return result if _acts(result) else _housekeep(view, result, spec, at)


def _acts(result: Step) -> bool:
    return any(not isinstance(action, Notify) for action in result.actions)


def _by_liveness(view: SessionView, result: Step, spec: RoleSpec, at: Moment) -> Step:
    match result.mem.liveness:
        case Liveness.STALLED:
            return _climb(view, result, spec, at)
        case Liveness.IDLE | Liveness.WAITING:
            return prodding.idle(view, result, spec, at)
        case Liveness.LIMITED:
            return prodding.limited(view, result, spec, at)
        case Liveness.BLOCKED if view.account is not None and view.account.spent:
            return _renew(view, result, spec, at)
        case Liveness.BLOCKED:
            return prodding.blocked(view, result, spec, at)
        case Liveness.WORKING | Liveness.STARTING if result.mem.on_turn or spec.traits.has_account:
            return _expect_silence(result, spec, at)
        case _:
            return result


def _expect_silence(result: Step, spec: RoleSpec, at: Moment) -> Step:
    """Plan the look at which silence would become a stall."""
    quiet = liveness.quiet_since(result.mem)
    due = quiet + at.policy.stall_after
    if due <= at.now and spec.traits.has_account:  # a tool runs
        due = quiet + at.policy.tool_max
    if due > at.now:
        return result.plan("nudge it, if it stays silent", due)
    return result.wake_by(at.now + CPU_SAMPLE)


def _climb(view: SessionView, result: Step, spec: RoleSpec, at: Moment) -> Step:
    """One rung up against a stall, if it is due."""
    mem = result.mem
    rung, due = healing.next_rung(mem, at.policy)
    if at.now < due:
        return result.plan(RUNG_WORDS[rung], due)
    mem = replace(mem, rung=rung, rung_at=at.now)
    result = replace(result, mem=mem)
    match rung:
        case Rung.NUDGED:
            typing = Typing(Prompt(PromptKind.STALLED), mem.reason)
            mem = replace(mem, typing=typing)
            return typing_in.go_on(view, replace(result, mem=mem), typing, spec.name, at)
        case Rung.INTERRUPTED:
            begun = Interrupting(at.now)
            result = result.record(
                Event(
                    Name.SESSION_INTERRUPTED,
                    mem.reason,
                    role=spec.name,
                    evidence={"signals": mem.evidence},
                )
            )
            return _go_on_interrupting(view, result, begun, spec, at)
        case Rung.GAVE_UP:
            return starting.gave_up(result, spec, at, mem.reason)
        case _:
            return _heal(view, result, rung, spec, at)


RUNG_WORDS = {
    Rung.NUDGED: "nudge it",
    Rung.INTERRUPTED: "interrupt and nudge it",
    Rung.RESUMED: "replace its process, keeping the conversation",
    Rung.RENEWED: "replace its process and its conversation",
    Rung.GAVE_UP: "give up for a while",
}


def _renew(view: SessionView, result: Step, spec: RoleSpec, at: Moment) -> Step:
    """Its conversation can't go on. A person has been told, and has a while to rescue it."""
    mem = result.mem
    due = mem.since + at.policy.heal_after
    if mem.rung is Rung.GAVE_UP:
        due = max(due, mem.rung_at + at.policy.cooldown)
    if at.now < due:
        return result.plan(RUNG_WORDS[Rung.RENEWED], due)
    result = replace(result, mem=replace(mem, rung_at=at.now))
    return _heal(view, result, Rung.RENEWED, spec, at)


def _heal(view: SessionView, result: Step, rung: Rung, spec: RoleSpec, at: Moment) -> Step:
    mem = result.mem
    if len(healing.recent_restarts(mem, at.policy, at.now)) >= at.policy.max_restarts:
        mem = replace(mem, rung=Rung.GAVE_UP, restart_times=())
        return starting.gave_up(
            replace(result, mem=mem), spec, at, "it was replaced too often (a crash loop)"
        )
    then = Then.RESUME if rung is Rung.RESUMED else Then.RENEW
    ending = Ending(then, mem.reason, POLITE_EXIT)
    result = replace(result, mem=replace(mem, healing=then))
    return replacing.begin(view, result, ending, spec, at)


def _go_on_interrupting(
    view: SessionView, result: Step, doing: Interrupting, spec: RoleSpec, at: Moment
) -> Step:
    """Press the next key of the backend's interrupt; once it has ended the turn, nudge."""
    pause = at.policy.submit_wait / 2
    due = doing.since + pause * doing.pressed
    mem = replace(result.mem, interrupting=doing)
    result = replace(result, mem=mem)
    if at.now < due:
        return result.wake_by(due)
    keys = spec.traits.interrupt if mem.liveness is Liveness.STALLED else ()
    if doing.pressed < len(keys) and view.process is not None:
        pressed = replace(doing, pressed=doing.pressed + 1)
        mem = replace(mem, interrupting=pressed, typed=True)
        press = Press(spec.name, (keys[doing.pressed],), view.process)
        return replace(result, mem=mem).then(press).wake_by(due + pause)
    typing = Typing(Prompt(PromptKind.STALLED), "interrupted: " + mem.reason)
    mem = replace(mem, interrupting=None, typing=typing)
    return typing_in.go_on(view, replace(result, mem=mem), typing, spec.name, at)


# ---------------------------------------------------------------------------- housekeeping


def _housekeep(view: SessionView, result: Step, spec: RoleSpec, at: Moment) -> Step:
    mem = result.mem
    if not view.piped and at.now >= mem.pipe_retry_at:
        mem = replace(
            mem,
            pipe_retry_at=at.now + mem.pipe_delay,
            pipe_delay=min(mem.pipe_delay * 2, PIPE_DELAY_MAX),
        )
        return replace(result, mem=mem).then(ArmPipe(spec.name))
    if view.piped and mem.pipe_delay > 1.0 and at.now >= mem.pipe_retry_at + PIPE_DELAY_MAX:
        result = replace(result, mem=replace(mem, pipe_delay=1.0))
    if view.log is not None and view.log.size > at.policy.log_max and view.log_counts:
        return result.then(RotateLog(spec.name))
    return result
