"""Evidence -> judgement, one rule after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cc_ci_orch.core import liveness
from cc_ci_orch.core.model import (
    Account,
    Doing,
    FileStamp,
    Liveness,
    ProcessId,
    RoleMemory,
    RoleSpec,
    Seen,
    SessionView,
)
from cc_ci_orch.core.policy import Policy
from tests.core.builders import BUSY, IDLE, Story, client, role

POLICY = Policy()
PID = ProcessId(7, 70)
TOOL = Account(Doing.BUSY, "a tool runs", tool_open=True)


def seen(**changes: Any) -> SessionView:
    """A living session; its log has 100 bytes."""
    view = SessionView("builder", Seen.PRESENT, process=PID, running=Seen.PRESENT)
    return replace(view, **{"log": FileStamp(100, 1), **changes})


def known(**changes: Any) -> RoleMemory:
    """A process of time 0, on its turn."""
    return replace(RoleMemory(process=PID, on_turn=True), **changes)


def judged(
    view: SessionView, mem: RoleMemory, now: float, spec: RoleSpec | None = None
) -> Liveness:
    return liveness.judge(view, mem, spec or role(), POLICY, now).liveness


def taken(
    mem: RoleMemory, *views: tuple[float, SessionView], spec: RoleSpec | None = None
) -> RoleMemory:
    """The memory after having seen the views."""
    for now, view in views:
        mem = liveness.take_in(view, mem, spec or role(), now)
    return mem


# ---------------------------------------------------------------------- presence and process


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (SessionView("builder", Seen.UNKNOWN), Liveness.UNKNOWN),
        (SessionView("builder", Seen.PRESENT, running=Seen.UNKNOWN), Liveness.UNKNOWN),
        (SessionView("builder", Seen.ABSENT), Liveness.ABSENT),
        (SessionView("builder", Seen.PRESENT), Liveness.EXITED),
    ],
)
def test_what_cannot_be_seen_is_unknown_and_not_absent_or_dead(
    view: SessionView, expected: Liveness
) -> None:
    assert judged(view, known(), 5.0) is expected


def test_only_the_known_process_gives_evidence() -> None:
    """What another process did is no progress of this one."""
    mem = known()
    assert taken(mem, (5.0, seen(process=ProcessId(8, 80), signals={"a": 1}))) == mem
    assert taken(mem, (5.0, SessionView("builder", Seen.PRESENT))) == mem


# --------------------------------------------------------------------------------- progress


def test_the_growth_of_a_log_is_progress_but_its_first_sight_is_not() -> None:
    """What stands in it at first may be of the process before."""
    mem = taken(known(), (1.0, seen()))
    assert (mem.progress_at, mem.log_at) == (None, 0.0)
    mem = taken(mem, (2.0, seen(log=FileStamp(101, 2))))
    assert (mem.progress_at, mem.progress_by, mem.log_at) == (2.0, "log", 2.0)


def test_a_log_that_is_only_touched_is_progress_and_a_rotated_one_is_not() -> None:
    """Its mtime is evidence; that it shrinks is our own doing."""
    mem = taken(known(), (1.0, seen()))
    assert taken(mem, (2.0, seen(log=FileStamp(100, 9)))).progress_at == 2.0
    assert taken(mem, (2.0, seen(log=FileStamp(0, 9)))).progress_at is None


def test_what_the_terminal_echoes_of_our_typing_is_no_progress() -> None:
    """Only what goes beyond it; and only for a moment after the typing."""
    mem = taken(known(), (1.0, seen()))
    mem = replace(mem, echo=20, echo_until=6.0)
    part = taken(mem, (2.0, seen(log=FileStamp(115, 2))))
    assert (part.progress_at, part.echo) == (None, 5)
    assert taken(part, (3.0, seen(log=FileStamp(120, 3)))).progress_at is None
    assert taken(part, (3.0, seen(log=FileStamp(121, 3)))).progress_at == 3.0
    assert taken(part, (7.0, seen(log=FileStamp(116, 3)))).progress_at == 7.0


def test_the_log_of_a_client_with_a_spinner_is_no_progress() -> None:
    mem = taken(known(), (1.0, seen()), (2.0, seen(log=FileStamp(900, 2))), spec=client())
    assert (mem.progress_at, mem.log_at) == (None, 2.0)


def test_any_change_of_a_signal_is_progress_but_its_first_sight_is_not() -> None:
    mem = taken(known(), (1.0, seen(signals={"activity file": 1})))
    assert mem.progress_at is None
    mem = taken(mem, (2.0, seen(signals={"activity file": 2})))
    assert (mem.progress_at, mem.progress_by) == (2.0, "activity file")


def test_the_window_counts_while_the_pipe_is_dead_and_from_then_on_only() -> None:
    """What it did before the log failed is not new; nor is the echo of our typing."""
    dead = {"log_counts": False}
    mem = taken(known(), (1.0, seen(window_activity=10, **dead)))
    assert taken(mem, (2.0, seen(window_activity=11, **dead))).progress_by == "window"
    echoed = replace(mem, echo_until=5.0)
    assert taken(echoed, (2.0, seen(window_activity=11, **dead))).progress_at is None
    back = taken(mem, (2.0, seen()), (3.0, seen(window_activity=99, **dead)))
    assert back.progress_at is None


def test_the_cpu_time_of_children_is_progress_above_two_percent_of_a_core() -> None:
    """A shell that polls is below it, a compiler far above; a sample lasts a second."""
    start = taken(known(), (10.0, seen(cpu=5.0)))
    assert start.cpu is not None and not start.cpu.still
    assert taken(start, (10.5, seen(cpu=6.0))).progress_at is None
    busy = taken(start, (12.0, seen(cpu=5.04)))
    assert (busy.progress_at, busy.cpu and busy.cpu.still) == (12.0, False)
    idle = taken(start, (12.0, seen(cpu=5.03)))
    assert (idle.progress_at, idle.cpu and idle.cpu.still) == (None, True)
    fewer = taken(start, (12.0, seen(cpu=1.0)))
    assert (fewer.progress_at, fewer.cpu and fewer.cpu.seconds) == (None, 1.0)
    assert taken(start, (12.0, seen())).cpu is None


def test_the_cpu_of_a_clients_children_counts_only_while_a_tool_is_open() -> None:
    """A spinner, or a helper of the client, burns CPU in a hang too."""
    with_tool = ((1.0, seen(cpu=0.0, account=TOOL)), (3.0, seen(cpu=1.0, account=TOOL)))
    without = ((1.0, seen(cpu=0.0, account=BUSY)), (3.0, seen(cpu=1.0, account=BUSY)))
    assert taken(known(), *with_tool, spec=client()).progress_at == 3.0
    assert taken(known(), *without, spec=client()).progress_at is None


# ---------------------------------------------------------------------------- closer looks


@pytest.mark.parametrize(
    ("view", "mem", "now", "doubt"),
    [
        (seen(), known(), 59.0, False),
        (seen(), known(), 60.0, True),
        (seen(), known(on_turn=False), 60.0, False),
        (seen(account=BUSY), known(on_turn=False), 60.0, True),
        (seen(account=IDLE), known(), 60.0, False),
        (SessionView("builder", Seen.PRESENT), known(), 60.0, False),
    ],
)
def test_cpu_is_read_only_where_silence_leaves_a_doubt(
    view: SessionView, mem: RoleMemory, now: float, doubt: bool
) -> None:
    assert liveness.in_doubt(view, mem, POLICY, now) is doubt


# ------------------------------------------------------------- programs without an account


def test_a_program_starts_works_and_is_stalled_by_its_silence() -> None:
    """Its CPU must have been seen to stand still, too."""
    spec = role()
    still = taken(known(), (1.0, seen(cpu=1.0)), (3.0, seen(cpu=1.0)))
    assert judged(seen(), known(), 100.0) is Liveness.STARTING
    assert judged(seen(), known(), 130.0) is Liveness.WORKING
    assert judged(seen(), known(progress_at=50.0), 100.0) is Liveness.WORKING
    assert judged(seen(), still, 900.0) is Liveness.STALLED
    assert judged(seen(), known(), 900.0) is Liveness.WORKING
    blind = replace(spec, traits=replace(spec.traits, cpu_always=False))
    assert judged(seen(), known(), 900.0, blind) is Liveness.STALLED


def test_off_its_turn_a_silent_program_waits() -> None:
    """Never stalled, however long."""
    off = known(on_turn=False)
    assert judged(seen(), off, 100.0) is Liveness.STARTING
    assert judged(seen(), replace(off, progress_at=170.0), 200.0) is Liveness.WORKING
    assert judged(seen(), off, 200.0) is Liveness.WAITING
    assert judged(seen(), off, 1e6) is Liveness.WAITING


def test_a_program_whose_log_and_window_cannot_be_read_is_unknown() -> None:
    """With the window alone its silence can be told."""
    blind = seen(log_counts=False)
    assert judged(blind, known(), 900.0) is Liveness.UNKNOWN
    still = taken(known(), (1.0, seen(cpu=1.0)), (3.0, seen(cpu=1.0)))
    assert judged(replace(blind, window_activity=5), still, 900.0) is Liveness.STALLED


def test_silence_is_no_stall_while_a_signal_can_not_be_read() -> None:
    """It might be moving."""
    still = taken(known(), (1.0, seen(cpu=1.0)), (3.0, seen(cpu=1.0)))
    blind = seen(unreadable=("activity file",))
    found = liveness.judge(blind, still, role(), POLICY, 900.0)
    assert found.liveness is Liveness.UNKNOWN
    assert found.reason == "can't read its activity file"
    busy = seen(account=BUSY, signals={"tokens": 1}, unreadable=("transcript",))
    assert judged(busy, known(log_at=900.0), 900.0, client()) is Liveness.UNKNOWN


def test_a_client_that_becomes_busy_after_a_long_rest_is_not_stalled() -> None:
    """Silence counts only while something is expected."""
    story = Story(client(), turn=frozenset())
    agent = story.agent()
    agent.account, agent.signals = IDLE, {"tokens": 1}
    story.started()
    story.wait(3000)
    agent.account = BUSY
    story.wait(800)
    assert story.mem().liveness is Liveness.WORKING
    story.wait(200)
    assert story.mem().liveness is Liveness.STALLED


def test_silence_counts_from_what_excuses_the_time_before() -> None:
    """A turn that began, a hold that ended, a gap in which nobody looked."""
    still = taken(known(quiet_from=500.0), (1.0, seen(cpu=1.0)), (3.0, seen(cpu=1.0)))
    assert judged(seen(), still, 1399.0) is Liveness.WORKING
    assert judged(seen(), still, 1400.0) is Liveness.STALLED


# ---------------------------------------------------------------- clients with an account


@pytest.mark.parametrize(
    ("account", "on_turn", "expected"),
    [
        (Account(Doing.BLOCKED, "a dialog"), True, Liveness.BLOCKED),
        (Account(Doing.LIMITED, "a limit"), True, Liveness.LIMITED),
        (Account(Doing.RETRYING, "an error"), True, Liveness.RETRYING),
        (IDLE, True, Liveness.IDLE),
        (IDLE, False, Liveness.WAITING),
        (BUSY, True, Liveness.WORKING),
    ],
)
def test_a_client_is_believed_about_what_it_does(
    account: Account, on_turn: bool, expected: Liveness
) -> None:
    """However silent it is: only busy can be a stall."""
    view = seen(account=account, signals={} if account is BUSY else {"tokens": 1})
    assert judged(view, known(on_turn=on_turn, log_at=4999.0), 5000.0, client()) is expected


def test_a_busy_client_without_progress_is_stalled_although_its_spinner_draws() -> None:
    view = seen(account=BUSY, signals={"tokens": 1})
    assert judged(view, known(log_at=899.0), 899.0, client()) is Liveness.WORKING
    assert judged(view, known(log_at=900.0), 900.0, client()) is Liveness.STALLED


def test_a_busy_client_whose_screen_stands_still_is_frozen() -> None:
    """Whatever the processes below it do."""
    view = seen(account=BUSY, signals={"tokens": 1})
    mem = known(progress_at=899.0)
    assert judged(view, mem, 900.0, client()) is Liveness.STALLED
    assert judged(replace(view, log_counts=False), mem, 900.0, client()) is Liveness.WORKING


@pytest.mark.parametrize(
    ("children", "now", "expected"),
    [
        (1, 7199.0, Liveness.WORKING),
        (None, 7199.0, Liveness.WORKING),
        (0, 901.0, Liveness.STALLED),
        (1, 7200.0, Liveness.STALLED),
    ],
)
def test_an_open_tool_with_a_living_child_is_work_up_to_tool_max(
    children: int | None, now: float, expected: Liveness
) -> None:
    """Silent or not; where its children can't be counted they are taken for alive."""
    view = seen(account=TOOL, signals={"tokens": 1}, children=children)
    assert judged(view, known(log_at=now), now, client()) is expected


def test_retrying_is_no_stall_up_to_retry_limit_and_then_it_is() -> None:
    """Counted over the tries in between; real work in between begins it anew."""
    retry = Account(Doing.RETRYING, "overloaded")
    story = Story(client())
    agent = story.agent()
    agent.signals, agent.account = {"tokens": 1}, retry
    story.ask("start", everything=True)
    for _ in range(17):
        agent.account = retry
        story.wait(90)
        assert story.mem().liveness is Liveness.RETRYING
        agent.account = BUSY
        story.wait(10)
        assert story.mem().liveness is Liveness.WORKING
    agent.account = retry
    story.wait(120)
    assert story.mem().liveness is Liveness.STALLED
    assert story.mem().retrying_at is not None
    agent.account, agent.signals = BUSY, {"tokens": 2}
    story.wait(2)
    assert story.mem().retrying_at is None
    assert story.mem().liveness is Liveness.WORKING


def test_a_retry_after_a_timeout_does_not_reset_the_clock_of_a_hang() -> None:
    """The answer to an error does."""
    for timed_out, expected in ((True, 1.0), (False, 800.0)):
        retry = Account(Doing.RETRYING, "again", timed_out=timed_out)
        mem = taken(known(quiet_from=1.0), (800.0, seen(account=retry)), spec=client())
        assert liveness.quiet_since(mem) == expected
        assert taken(mem, (801.0, seen(account=IDLE)), spec=client()).retrying_at is None


def test_without_an_account_the_screen_tells_busy_from_idle() -> None:
    """It repaints while it is busy and stands still when it is idle."""
    spec = client()
    assert judged(seen(), known(), 5.0, spec) is Liveness.STARTING
    assert judged(seen(), known(), 10.0, spec) is Liveness.IDLE
    assert judged(seen(), known(log_at=18.0), 20.0, spec) is Liveness.WORKING
    assert judged(seen(), known(log_at=18.0), 28.0, spec) is Liveness.IDLE
    assert judged(seen(log_counts=False), known(log_at=1.0), 50.0, spec) is Liveness.WORKING


# ---------------------------------------------------------------------------- in words


def test_the_evidence_names_every_signal_with_its_age() -> None:
    """What `explain` shows."""
    view = seen(cpu=2.0, account=TOOL, typed_ago=65.0, in_mode=True, signals={"activity file": 1})
    mem = taken(known(), (1.0, view), spec=client())
    found = liveness.judge(view, mem, client(), POLICY, 3.0)
    assert found.evidence == (
        "process 7 lives",
        "log: 100 bytes, unchanged for 3s",
        "activity file: unchanged for 2s",
        "tool call: unchanged for 2s",
        "its children have used 2.00 s of CPU",
        "the client says: busy (a tool runs)",
        "a person is attached, last key 1m05s ago",
        "the pane is in copy mode",
        "it is its turn",
    )


@pytest.mark.parametrize(
    ("view", "line"),
    [
        (seen(log=None), "log: none yet"),
        (
            seen(log_counts=False),
            "log: not being written (the window's activity counts instead)",
        ),
    ],
)
def test_the_evidence_says_when_there_is_no_log(view: SessionView, line: str) -> None:
    found = liveness.judge(view, known(process=None, on_turn=False), role(), POLICY, 3.0)
    assert found.evidence == ("no process", line, "it is not its turn")
