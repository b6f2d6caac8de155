"""What is it doing? Evidence in, `Liveness` and its reason out.

The rules, in the order in which they are asked:

1. What can't be read is `unknown`, and nothing follows from it.
2. No session is `absent`; a session whose process is dead is `exited`.
3. A client that gives an account of itself (hooks, status file, API) is believed about
   *what* it does: blocked, limited, retrying, idle. About *progress* it is not.
4. Busy without any progress signal moving for `stall_after` is `stalled`. Which signals
   count is the backend's trait: the log of a client with a spinner moves in a hang too. But
   such a log that stands still while the client calls itself busy is a frozen client. An open
   tool call with a living child is work, silent or not, up to `tool_max`. Retrying is none
   of this up to `retry_limit`; a retry after a timeout is part of the hang.
5. A client without an account (`command`) is stalled when all its evidence is silent for
   `stall_after` on its turn. Off its turn the same silence is `waiting`.
6. Idle on its turn is `idle`, off it `waiting`.

Ages are measured from when a change was *seen*, on the monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cc_ci_orch.core.model import (
    Account,
    CpuMark,
    Doing,
    ExitStatus,
    FileStamp,
    Liveness,
    Mark,
    RoleMemory,
    RoleSpec,
    Seen,
    SessionView,
)
from cc_ci_orch.core.policy import CPU_BUSY_SHARE, CPU_SAMPLE, FIRST_PROMPT, Policy
from cc_ci_orch.core.text import span


@dataclass(frozen=True)
class Judgement:
    """`liveness`, the `reason` in one sentence, and the `evidence` line by line."""

    liveness: Liveness
    reason: str
    evidence: tuple[str, ...] = ()


TOKENS = "token counter"
"""The progress signal of a client that counts them on its screen, which is not always looked at."""

BEGUN = "request"
"""What tells that the client began to ask its model. That is no progress, for it does so in a
hang, too; but the silence of a hang can't have begun before."""

CHILD = "its child"
"""Whether an open tool call has a living child. That it ends is work, too: what came of it is
written down a moment later."""

COMMITS = "commits"
"""The progress signal of the role's own commits: after one, idle nudges begin anew."""


def quiet_since(mem: RoleMemory) -> float:
    """When the present silence began (mono): the last progress, or what excuses the time before."""
    return max(mem.progress_at or 0.0, mem.started_at, mem.quiet_from, mem.rest_at)


def in_doubt(view: SessionView, mem: RoleMemory, policy: Policy, now: float) -> bool:
    """Whether the cheap signals leave a doubt that justifies reading the processes' CPU time."""
    if view.running is not Seen.PRESENT:
        return False
    busy = mem.on_turn if view.account is None else view.account.doing in _MAYBE_HUNG
    if not busy:
        return False
    return now - quiet_since(mem) >= min(policy.stall_after / 3, policy.idle_nudge_after)


_MAYBE_HUNG = (Doing.BUSY, Doing.RETRYING)


# ------------------------------------------------------------------------ taking evidence in


def take_in(view: SessionView, mem: RoleMemory, spec: RoleSpec, now: float) -> RoleMemory:
    """Compare what is seen with what was seen, and remember when each signal last moved."""
    if view.running is not Seen.PRESENT or view.process != mem.process:
        return mem
    moved: list[str] = []
    if view.submissions is not None:
        mem = replace(mem, submissions=view.submissions)
    if view.conversation not in (None, mem.conversation):
        mem = replace(mem, conversation=view.conversation)
    at_rest = view.account is not None and view.account.doing not in _MAYBE_HUNG
    if at_rest or view.not_ready:
        mem = replace(mem, rest_at=now)
    mem = _take_signals(view, mem, spec, now, moved)
    mem = _take_log(view, mem, spec, now, moved)
    mem = _take_cpu(view, mem, spec, now, moved)
    mem = _take_retry(view.account, mem, now, moved)
    mem = replace(mem, typed=False) if mem.typed else mem
    if COMMITS in moved:
        mem = replace(mem, idle_nudges=0, quiet_from=now)
    if moved:
        mem = replace(mem, progress_at=now, progress_by=moved[0])
    return mem


def _take_signals(
    view: SessionView, mem: RoleMemory, spec: RoleSpec, now: float, moved: list[str]
) -> RoleMemory:
    signals = dict(view.signals)
    if view.account is not None:  # that it ends is work too, however long it was silent
        signals["tool call"] = int(view.account.tool_open)
        if view.account.tool_open and view.children is not None:
            signals[CHILD] = int(view.children > 0)
    if spec.traits.log_is_progress and view.window_activity is not None:
        signals["window"] = view.window_activity
    changed = {
        name: Mark(value, now)
        for name, value in signals.items()
        if name not in mem.marks or mem.marks[name].value != value
    }
    if BEGUN in changed:
        mem = replace(mem, rest_at=now)
    for name in changed:
        if name == BEGUN:
            continue
        if name == "window" and (view.log_counts or mem.typed or now <= mem.echo_until):
            continue  # the log tells more; or it is an echo
        if name in mem.marks:
            moved.append(name)
    marks = {**mem.marks, **changed}
    for name in {"window", TOKENS, CHILD} - signals.keys():  # what it did meanwhile is not new
        marks.pop(name, None)
    return replace(mem, marks=marks)


def _take_log(
    view: SessionView, mem: RoleMemory, spec: RoleSpec, now: float, moved: list[str]
) -> RoleMemory:
    """Growth of the log, less what the terminal itself echoed of our own typing."""
    new, old = view.log, mem.log
    if not view.log_counts:  # its silence counts from when it can be written to again
        mem = replace(mem, log_at=now)
    if new is None or new == old:
        return mem
    if old is None:  # what stands in it may be of the process before
        return replace(mem, log=new)
    grown = new.size - old.size
    allowed = mem.echo if now <= mem.echo_until else 0
    echoed = max(grown, 0) if mem.typed else min(max(grown, 0), allowed)
    if spec.traits.log_is_progress and (grown > echoed or grown == 0):
        moved.append("log")
    return replace(mem, log=new, log_at=now, echo=max(0, allowed - echoed))


def _take_cpu(
    view: SessionView, mem: RoleMemory, spec: RoleSpec, now: float, moved: list[str]
) -> RoleMemory:
    tool_open = view.account is not None and view.account.tool_open
    if view.cpu is None or not (spec.traits.cpu_always or tool_open):
        return mem if mem.cpu is None else replace(mem, cpu=None)
    if mem.cpu is None or view.cpu < mem.cpu.seconds:
        return replace(mem, cpu=CpuMark(view.cpu, now))
    elapsed = now - mem.cpu.at
    if elapsed < CPU_SAMPLE:
        return mem
    busy = view.cpu - mem.cpu.seconds >= CPU_BUSY_SHARE * elapsed
    if busy:
        moved.append("CPU use of its children")
    return replace(mem, cpu=CpuMark(view.cpu, now, still=not busy))


def _take_retry(
    account: Account | None, mem: RoleMemory, now: float, moved: list[str]
) -> RoleMemory:
    """Since when it retries. Busy in between, without progress, is only the next try."""
    if account is None or (account.doing is Doing.BUSY and not moved):
        return mem
    if account.doing is not Doing.RETRYING:
        return mem if mem.retrying_at is None else replace(mem, retrying_at=None)
    since = now if mem.retrying_at is None else mem.retrying_at
    # An error that came back is an answer; only a timeout is the silence of a hang.
    quiet_from = mem.quiet_from if account.timed_out else now
    return replace(mem, retrying_at=since, quiet_from=quiet_from)


# --------------------------------------------------------------------------------- judging


def judge(
    view: SessionView, mem: RoleMemory, spec: RoleSpec, policy: Policy, now: float
) -> Judgement:
    """The judgement on one session; `mem` has taken the view in already."""
    if view.presence is Seen.UNKNOWN or view.running is Seen.UNKNOWN:
        return Judgement(Liveness.UNKNOWN, "tmux or the process table gives no answer")
    if view.presence is Seen.ABSENT:
        return Judgement(Liveness.ABSENT, "it has no session")
    if view.running is Seen.ABSENT:
        return Judgement(Liveness.EXITED, f"its process ended with {view.exit or ExitStatus()}")
    evidence = _evidence(view, mem, now)
    if spec.traits.has_account:
        found = _judge_by_account(view, mem, policy, now)
    else:
        found = _judge_by_silence(view, mem, spec, policy, now)
    return replace(found, evidence=evidence)


def _judge_by_silence(
    view: SessionView, mem: RoleMemory, spec: RoleSpec, policy: Policy, now: float
) -> Judgement:
    """A program that says nothing of itself: its evidence moves, or it doesn't."""
    quiet = now - quiet_since(mem)
    new = mem.progress_at is None and now - mem.started_at < policy.start_grace
    if not mem.on_turn and not new:
        if quiet < policy.idle_nudge_after:
            return Judgement(Liveness.WORKING, _moved(mem, now))
        return Judgement(Liveness.WAITING, f"silent for {span(quiet)}, and it is not its turn")
    if mem.on_turn and quiet >= policy.stall_after:
        if not view.log_counts and view.window_activity is None:
            return Judgement(Liveness.UNKNOWN, "neither its log nor its window can be read")
        if view.unreadable:
            return _unreadable(view)
        if spec.traits.cpu_always and not (mem.cpu and mem.cpu.still):
            reason = f"silent for {span(quiet)}; whether its children use CPU isn't known yet"
            return Judgement(Liveness.WORKING, reason)
        return Judgement(
            Liveness.STALLED,
            f"on its turn, and no output, activity or CPU use of its children for {span(quiet)}",
        )
    if new:
        return Judgement(Liveness.STARTING, f"started {span(now - mem.started_at)} ago")
    return Judgement(Liveness.WORKING, _moved(mem, now))


def _judge_by_account(view: SessionView, mem: RoleMemory, policy: Policy, now: float) -> Judgement:
    """A client that tells what it does; where it doesn't, its log tells busy from idle."""
    account = view.account or _account_from_log(view, mem, policy, now)
    if account is None:
        return Judgement(Liveness.STARTING, f"started {span(now - mem.started_at)} ago")
    match account.doing:
        case Doing.BLOCKED:
            return Judgement(Liveness.BLOCKED, account.why)
        case Doing.LIMITED:
            return Judgement(Liveness.LIMITED, account.why)
        case Doing.RETRYING:
            return _judge_retrying(mem, policy, now, account)
        case Doing.IDLE if view.submissions == 0 and now - mem.started_at < FIRST_PROMPT:
            return Judgement(Liveness.STARTING, "its first prompt is on its way")
        case Doing.IDLE if view.account is None and view.unreadable:
            return _unreadable(view)
        case Doing.IDLE if mem.on_turn:
            return Judgement(Liveness.IDLE, f"{account.why}, and it is its turn")
        case Doing.IDLE:
            return Judgement(Liveness.WAITING, f"{account.why}, and it is not its turn")
        case _:
            return _judge_busy(view, mem, policy, now, account)


def _judge_busy(
    view: SessionView, mem: RoleMemory, policy: Policy, now: float, account: Account
) -> Judgement:
    quiet = now - quiet_since(mem)
    frozen = now - max(mem.log_at, mem.started_at, mem.quiet_from, mem.rest_at)
    if view.log_counts and view.log is not None and frozen >= policy.stall_after:
        return Judgement(
            Liveness.STALLED, f"{account.why}, but its screen has stood still for {span(frozen)}"
        )
    if quiet < policy.stall_after or not view.signals:
        return Judgement(Liveness.WORKING, account.why)
    lives = view.children != 0 or account.elsewhere
    if account.tool_open and lives and quiet < policy.tool_max:
        return Judgement(Liveness.WORKING, f"a tool has been running for {span(quiet)}")
    if view.unreadable:
        return _unreadable(view)
    return Judgement(Liveness.STALLED, f"{account.why}, and nothing has moved for {span(quiet)}")


def _unreadable(view: SessionView) -> Judgement:
    return Judgement(Liveness.UNKNOWN, f"can't read its {', '.join(view.unreadable)}")


def _judge_retrying(mem: RoleMemory, policy: Policy, now: float, account: Account) -> Judgement:
    tried = now - (mem.retrying_at if mem.retrying_at is not None else now)
    quiet = now - quiet_since(mem)
    if account.timed_out and quiet >= policy.stall_after:
        return Judgement(
            Liveness.STALLED, f"{account.why}, and nothing has moved for {span(quiet)}"
        )
    if tried < policy.retry_limit:
        return Judgement(Liveness.RETRYING, account.why)
    return Judgement(Liveness.STALLED, f"{account.why}, and that for {span(tried)}")


def _account_from_log(
    view: SessionView, mem: RoleMemory, policy: Policy, now: float
) -> Account | None:
    """A client with a spinner repaints while it is busy and stands still when it is idle."""
    if not view.log_counts:
        return Account(Doing.BUSY, "its log can't be read, so it is taken for busy")
    still = max(10.0, 3 * policy.poll)
    if mem.log_at > mem.started_at and now - mem.log_at < still:
        return Account(Doing.BUSY, "its screen is moving")
    if now - mem.started_at < still:
        return None
    return Account(Doing.IDLE, f"its screen has stood still for {span(now - mem.log_at)}")


def _moved(mem: RoleMemory, now: float) -> str:
    if mem.progress_at is None:
        return f"no sign of work yet, {span(now - mem.started_at)} after its start"
    return f"{mem.progress_by} moved {span(now - mem.progress_at)} ago"


def _evidence(view: SessionView, mem: RoleMemory, now: float) -> tuple[str, ...]:
    """Each signal with its age, for `explain` and for the events."""
    lines = [f"process {mem.process.pid} lives" if mem.process else "no process"]
    lines.append(_log_line(view.log, view, mem, now))
    marks = {n: m for n, m in mem.marks.items() if n != "window" or not view.log_counts}
    lines += [f"{name}: unchanged for {span(now - mark.at)}" for name, mark in marks.items()]
    lines += [f"{name}: can't be read" for name in view.unreadable]
    if mem.cpu is not None and view.cpu is not None:
        lines.append(f"its children have used {view.cpu:.2f} s of CPU")
    if view.account is not None:
        lines.append(f"the client says: {view.account.doing} ({view.account.why})")
    if view.typed_ago is not None:
        lines.append(f"a person is attached, last key {span(view.typed_ago)} ago")
    if view.in_mode:
        lines.append("the pane is in copy mode")
    lines.append("it is its turn" if mem.on_turn else "it is not its turn")
    return tuple(lines)


def _log_line(log: FileStamp | None, view: SessionView, mem: RoleMemory, now: float) -> str:
    if not view.log_counts:
        return "log: not being written (the window's activity counts instead)"
    if log is None:
        return "log: none yet"
    return f"log: {log.size} bytes, unchanged for {span(now - mem.log_at)}"
