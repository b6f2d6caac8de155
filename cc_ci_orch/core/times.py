"""What the clock does to the memory: a reboot, time in which nobody looked, times that can't be.

Every mono time of another boot is meaningless, and so are those of a clock that has gone back.
Time in which nobody looked (the supervisor or the whole machine stood still) ages nothing. A
deadline that lies further ahead than any of ours can is damage, and is brought near.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cc_ci_orch.core import apart, inbox, liveness
from cc_ci_orch.core.model import Mark, Memory, RoleMemory, Seen, Snapshot, Then
from cc_ci_orch.core.policy import (
    BACKOFF_MAX,
    CREDITED_GAP,
    PIPE_DELAY_MAX,
    VIEWER_RETRY,
    Policy,
)

UNKNOWN_BOOT = "unknown"
"""The boot id of a host that doesn't tell it: no reason to believe in another boot."""


def through(snapshot: Snapshot, memory: Memory, policy: Policy) -> Memory:
    """The memory as it is to be read now."""
    other_boot = snapshot.boot_id not in (memory.boot_id, UNKNOWN_BOOT)
    if other_boot or snapshot.mono < memory.last_tick:
        roles = {name: _after_boot(mem, snapshot) for name, mem in memory.roles.items()}
        for name in apart.names(snapshot) & roles.keys():
            roles[name] = apart.after_boot(roles[name], snapshot.sessions.get(name))
        fresh = replace(memory.course, since=snapshot.mono)
        boot_id = snapshot.boot_id if other_boot else memory.boot_id
        return replace(
            memory, boot_id=boot_id, roles=roles, viewer_retry_at=0.0, course=fresh, last_tick=0.0
        )
    memory = _credible(memory, policy, snapshot.mono)
    roles = {n: _heard(m, memory.last_tick, snapshot.mono) for n, m in memory.roles.items()}
    memory = replace(memory, roles=roles)
    unseen = snapshot.mono - memory.last_tick - max(2 * policy.poll, CREDITED_GAP)
    if unseen <= 0 or snapshot.terminal is Seen.UNKNOWN:
        return memory
    roles = {name: _excuse(mem, unseen) for name, mem in memory.roles.items()}
    return replace(memory, roles=roles)


def _after_boot(mem: RoleMemory, snapshot: Snapshot) -> RoleMemory:
    """What a person decided and the conversation outlive a boot; processes and times don't."""
    return RoleMemory(
        wanted=mem.wanted,
        kept_down=mem.kept_down,
        held=mem.held,
        conversation=mem.conversation,
        conversation_backend=mem.conversation_backend,
        begun=mem.begun,
        tried=mem.tried,
        lost=mem.lost,
        restarts=mem.restarts,
        inbox=mem.inbox,
        mode=Then.RESUME,
        since=snapshot.mono,
        since_wall=snapshot.wall,
    )


def _heard(mem: RoleMemory, last: float, now: float) -> RoleMemory:
    """An echo that came after the last look is seen only now, however late that is."""
    return replace(mem, echo_until=now) if last < mem.echo_until < now else mem


def _excuse(mem: RoleMemory, unseen: float) -> RoleMemory:
    """Move the ages on by a time in which nobody looked."""
    return replace(
        mem,
        quiet_from=liveness.quiet_since(mem) + unseen,
        progress_at=None if mem.progress_at is None else mem.progress_at + unseen,
        rung_at=mem.rung_at + unseen,
        since=mem.since + unseen,
        log_at=mem.log_at + unseen,
        marks={name: Mark(mark.value, mark.at + unseen) for name, mark in mem.marks.items()},
        cpu=None if mem.cpu is None else replace(mem.cpu, at=mem.cpu.at + unseen),
    )


def _credible(memory: Memory, policy: Policy, now: float) -> Memory:
    """No deadline further ahead than we ever set one, no past in the future."""
    roles = {name: _credible_role(mem, policy, now) for name, mem in memory.roles.items()}
    viewer = min(memory.viewer_retry_at, now + VIEWER_RETRY)
    course = memory.course
    if course.since > now:
        course = replace(course, since=now)
    return replace(memory, roles=roles, viewer_retry_at=viewer, course=course)


def _credible_role(mem: RoleMemory, policy: Policy, now: float) -> RoleMemory:
    latest = {
        "next_attempt": now + max(policy.cooldown, BACKOFF_MAX),
        "inbox_retry_at": now + inbox.LONGEST_RETRY,
        "pipe_retry_at": now + PIPE_DELAY_MAX,
        **dict.fromkeys(PAST, now),
    }
    given = {name: getattr(mem, name) for name in latest}
    wrong: dict[str, Any] = {
        n: latest[n] for n, value in given.items() if value is not None and value > latest[n]
    }
    return replace(mem, **wrong) if wrong else mem


PAST = (
    "started_at",
    "log_at",
    "progress_at",
    "quiet_from",
    "rest_at",
    "retrying_at",
    "since",
    "died_at",
    "rung_at",
    "nudged_at",
    "blocked_at",
)
"""Times of a role at which something was seen or done."""
