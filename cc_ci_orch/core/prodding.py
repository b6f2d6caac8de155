"""When is a prompt due that nobody asked for, although nothing is wrong?

Idle on its turn: a nudge, at intervals that double from `idle_nudge_after` up to
`waiting_nudge_after`; from then on a person is told, too. Off its turn: a reminder after
long. A usage limit is slept out; a client that doesn't go on by itself then is nudged. One
without a stated end is tried like an idle one, at intervals that double up to `cooldown`.
"""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core import typing_in
from cc_ci_orch.core.actions import Notify
from cc_ci_orch.core.model import (
    Liveness,
    Prompt,
    PromptKind,
    RoleSpec,
    SessionView,
    Typing,
)
from cc_ci_orch.core.policy import LIMIT_SLACK
from cc_ci_orch.core.step import Moment, Step
from cc_ci_orch.core.text import span


def idle(view: SessionView, result: Step, spec: RoleSpec, at: Moment) -> Step:
    """Idle on its turn: nudges at doubling intervals. Off it: a reminder after long."""
    mem = result.mem
    longest = at.policy.waiting_nudge_after
    on_turn = mem.liveness is Liveness.IDLE
    first = at.policy.idle_nudge_after if on_turn else longest
    interval = min(first * 2.0**mem.idle_nudges, longest)
    due = max(mem.since, mem.nudged_at or 0.0, mem.quiet_from) + interval
    if at.now < due:
        return result.plan("nudge it" if on_turn else "remind it", due)
    result = _nudge(view, result, PromptKind.IDLE if on_turn else PromptKind.WAITING, spec, at)
    if on_turn and interval >= longest:
        text = f"nudged {result.mem.idle_nudges} times without effect"
        title = f"{spec.name} is idle on its turn"
        result = result.then(Notify(f"idle:{spec.name}", title, text, spec.name))
    return result


def limited(view: SessionView, result: Step, spec: RoleSpec, at: Moment) -> Step:
    """Limited until a stated time, or one that isn't known: then see whether it is over."""
    mem = result.mem
    until = view.account.until if view.account is not None else None
    if until is None:
        return _limited_somehow(view, result, spec, at)
    wait = until - at.wall + LIMIT_SLACK
    due = at.now + wait
    if mem.nudged_at is not None and mem.nudged_at >= mem.since:
        due = max(due, mem.nudged_at + at.policy.cooldown)
    if at.now >= due:
        result = _nudge(view, result, PromptKind.IDLE, spec, at)
        return _tell_limited(result, spec, f"for {span(at.now - mem.since)}: {mem.reason}")
    return result.plan("see whether the limit is over", due)


def limit_begins(view: SessionView, result: Step, spec: RoleSpec, at: Moment) -> Step:
    """Tell a person of a limit that will last."""
    until = view.account.until if view.account is not None else None
    wait = until - at.wall + LIMIT_SLACK if until is not None else 0.0
    if wait < at.policy.waiting_nudge_after:
        return result
    return _tell_limited(result, spec, f"for another {span(wait)}: {result.mem.reason}")


def _limited_somehow(view: SessionView, result: Step, spec: RoleSpec, at: Moment) -> Step:
    mem = result.mem
    wait = min(at.policy.idle_nudge_after * 2.0**mem.idle_nudges, at.policy.cooldown)
    due = max(mem.since, mem.nudged_at or 0.0) + wait
    if at.now < due:
        return result.plan("see whether the limit is over", due)
    result = _nudge(view, result, PromptKind.IDLE, spec, at)
    if wait < at.policy.cooldown:
        return result
    return _tell_limited(result, spec, f"nudged {result.mem.idle_nudges} times: {mem.reason}")


def blocked(view: SessionView, result: Step, spec: RoleSpec, at: Moment) -> Step:
    """A login or credit that a person was told of: now and then, see whether it works again."""
    mem = result.mem
    if view.account is None or not view.account.recheck:
        return result
    due = max(mem.since, mem.nudged_at or 0.0, mem.quiet_from) + at.policy.cooldown
    if view.account.again and (mem.nudged_at or 0.0) < mem.since:
        due = at.now
    if at.now < due:
        return result.plan("see whether it works again", due)
    return _nudge(view, result, PromptKind.IDLE, spec, at)


def _tell_limited(result: Step, spec: RoleSpec, text: str) -> Step:
    return result.then(Notify(f"limited:{spec.name}", f"{spec.name} is limited", text, spec.name))


def _nudge(view: SessionView, result: Step, kind: PromptKind, spec: RoleSpec, at: Moment) -> Step:
    mem = result.mem
    typing = Typing(Prompt(kind), mem.reason)
    nudges = min(mem.idle_nudges + 1, 32)
    mem = replace(mem, idle_nudges=nudges, nudged_at=at.now, typing=typing)
    return typing_in.go_on(view, replace(result, mem=mem), typing, spec.name, at)
