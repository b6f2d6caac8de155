"""The whole decision: time, several roles, troubles; and what holds for any input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cc_ci_orch.core.actions import (
    Action,
    ArmPipe,
    AskExit,
    EndServer,
    Kill,
    Notify,
    Reply,
    RotateLog,
    ShowLog,
    StartSession,
    Terminate,
    Type,
)
from cc_ci_orch.core.codec import decode, encode
from cc_ci_orch.core.decide import decide
from cc_ci_orch.core.events import Name
from cc_ci_orch.core.model import (
    Account,
    Doing,
    ExitStatus,
    FileStamp,
    Liveness,
    Memory,
    Outcome,
    ProcessId,
    Request,
    Rung,
    Seen,
    SessionView,
    Snapshot,
    Trouble,
    Wanted,
)
from cc_ci_orch.core.policy import Policy
from tests.core.builders import WAYS_OUT, Story, client, role

# ------------------------------------------------------------------------------------- time


@pytest.mark.parametrize("worked", [True, False])
def test_a_gap_in_time_ages_nothing(worked: bool) -> None:
    """The machine slept, or no supervisor ran: nobody saw what the agents did in between."""
    story = Story(turn=frozenset()).started(60)
    story.turn = frozenset({"builder"})
    story.agent().works = worked
    story.agent().answers = False
    story.wait(100)
    story.agent().works = False
    story.forget().pass_by(5000)
    story.wait(600)
    assert story.mem().liveness is not Liveness.STALLED
    assert story.actions(Type, *WAYS_OUT) == []
    story.wait(400)
    assert story.mem().liveness is Liveness.STALLED


def test_a_gap_right_after_a_start_ages_nothing() -> None:
    """Its turn is older than its process, and it has not shown any progress yet."""
    story = Story()
    story.agent().works = False
    story.ask("start", everything=True)
    story.wait(2000)
    story.forget().die()
    story.wait(10)
    story.forget().pass_by(5000)
    story.wait(800)
    assert story.mem().liveness is not Liveness.STALLED


def test_a_supervisor_that_takes_over_goes_on_where_the_last_one_was() -> None:
    """The same process, the same silence, the same rung; nothing is started or asked."""
    story = Story().started()
    story.agent().works = story.agent().answers = False
    story.wait(1000)
    process, rung = story.mem().process, story.mem().rung
    story.forget().supervisor_restarts()
    story.pass_by(4)
    story.wait(100)
    assert (story.mem().process, story.mem().rung) == (process, rung)
    assert rung is Rung.NUDGED
    assert story.actions(StartSession, Type, *WAYS_OUT) == []
    story.wait(500)
    assert story.actions(AskExit) != []


def test_another_boot_keeps_what_a_person_decided_and_the_conversations() -> None:
    """Processes and mono times of the last boot mean nothing; the agents are started anew."""
    story = Story(role(), role("adversary"), role("third")).started()
    story.ask("hold", "adversary")
    story.ask("stop", "third")
    story.wait(5)
    conversation = story.mem().conversation
    story.supervisor_restarts()
    for agent in story.agents.values():
        agent.process, agent.session = None, False
    story.boot_id, story.now = "boot-2", 20.0
    story.viewer = Seen.ABSENT
    story._looked_at = 20.0
    story.forget().wait(5)
    (start,) = story.actions(StartSession)
    assert (start.role, start.conversation, start.resume) == ("builder", conversation, True)
    assert story.events() == ["host.rebooted", "session.started"]
    assert story.mem("adversary").held
    assert story.mem("third").wanted is Wanted.DOWN
    assert story.actions(ShowLog) != []


def test_a_boot_id_that_can_not_be_read_is_no_reboot() -> None:
    """Nothing is started anew because of it, and nothing is told."""
    story = Story().started()
    process = story.mem().process
    story.boot_id = "unknown"
    story.wait(10)
    assert (story.mem().process, story.events()) == (process, [])
    assert story.actions(StartSession) == []


# ---------------------------------------------------------------------------- several roles


def test_two_roles_are_each_judged_by_themselves() -> None:
    """One hangs and is healed while the other waits and is left alone."""
    story = Story(role(), role("adversary"), turn=frozenset({"builder"})).started()
    for agent in story.agents.values():
        agent.works = agent.answers = False
    story.wait(1600)
    assert {a.role for a in story.actions(StartSession, Type, *WAYS_OUT)} == {"builder"}
    assert story.mem("adversary").liveness is Liveness.WAITING


def test_a_role_without_a_turn_is_always_treated_as_on_its_turn() -> None:
    story = Story(role("extra", has_turn=False), turn=frozenset()).started()
    story.agent("extra").works = story.agent("extra").answers = False
    story.wait(910)
    assert story.mem("extra").liveness is Liveness.STALLED


def test_fifty_roles_start_no_more_than_start_burst_at_once() -> None:
    """The next ones start as soon as the last ones have drawn something, or after a second."""
    roles = [role(f"r{i}") for i in range(50)]
    story = Story(*roles, start_burst=2)
    for agent in list(story.agents.values())[::2]:
        agent.works = False
    story.ask("start", everything=True)
    story.wait(60)
    times = story.times(StartSession)
    assert len(times) == 50
    assert all(sum(t <= x < t + 0.2 for x in times) <= 2 for t in times)
    assert times[-1] - times[0] < 50


def test_a_role_that_is_not_seen_is_absent_only_if_tmux_answers() -> None:
    """A view may be missing from the snapshot."""
    story = Story().started()
    views = story._views
    story._views = lambda: (v for v in views() if False)  # type: ignore[method-assign]
    story.tmux = False
    story.wait(10)
    assert story.mem().liveness is Liveness.UNKNOWN
    story.tmux, story.agent().process = True, None
    story.tick()
    assert len(story.actions(StartSession)) == 1


# ---------------------------------------------------------------------- troubles, the viewer


def test_a_trouble_is_said_once_when_it_begins() -> None:
    """And again when it comes back."""
    story = Story().started()
    for troubles in ((Trouble("disk", "the disk is full"),), (), (Trouble("disk", "again"),)):
        story.troubles = troubles
        story.wait(10)
    assert [n.cause for n in story.actions(Notify)] == ["trouble:disk", "trouble:disk"]
    assert [t.event.why for t in story.told] == ["the disk is full", "again"]


def test_the_log_of_the_watchdog_is_kept_in_view() -> None:
    """Tried again now and then, never in a stopped instance."""
    story = Story().started()
    story.viewer = Seen.ABSENT
    story.wait(1)
    assert len(story.actions(ShowLog)) == 1
    story.viewer = Seen.ABSENT
    story.wait(20)
    assert len(story.actions(ShowLog)) == 1
    story.wait(20)
    assert len(story.actions(ShowLog)) == 2
    story.viewer = Seen.ABSENT
    story.agent().deaf = True
    story.ask("stop", everything=True)
    story.wait(9)
    assert len(story.actions(ShowLog)) == 2


def test_an_outcome_of_a_role_that_is_gone_is_no_error() -> None:
    """The roles may have changed while the supervisor was away."""
    story = Story().started()
    story.outcomes = [Outcome("gone", "StartSession", ok=True), Outcome("builder", "Kill", ok=True)]
    before = story.mem()
    story.tick()
    assert set(story.memory.roles) == {"builder"}
    assert story.mem().process == before.process


def test_a_key_that_could_not_be_pressed_is_no_failed_nudge() -> None:
    """There is none on its way."""
    story = Story().started()
    story.outcomes = [Outcome("builder", "Press", ok=False, detail="moved")]
    story.tick()
    assert story.mem().typing is None
    assert story.events() == []


def test_an_agent_that_recovers_says_so_with_what_it_was() -> None:
    story = Story(client())
    story.agent().account = Account(Doing.BLOCKED, "a dialog")
    story.ask("start", everything=True)
    story.wait(5)
    story.agent().account = Account(Doing.BUSY, "it is busy")
    story.wait(5)
    assert story.event(Name.SESSION_RECOVERED).why == "it is busy (was blocked)"


# ------------------------------------------------------------------------- for any input

ROLES = (role("a"), client("b"), role("c", types_first=True, has_turn=False))
NAMES = [spec.name for spec in ROLES]
PROCESSES = st.sampled_from([ProcessId(1, 1), ProcessId(2, 2)])
SEEN = st.sampled_from(list(Seen))
SMALL = st.integers(0, 3)


def views(name: str) -> st.SearchStrategy[SessionView]:
    account = st.builds(
        Account,
        st.sampled_from(list(Doing)),
        st.just("why"),
        until=st.none() | st.floats(0, 1e5),
        tool_open=st.booleans(),
        timed_out=st.booleans(),
    )
    return st.builds(
        SessionView,
        st.just(name),
        SEEN,
        process=st.none() | PROCESSES,
        running=SEEN,
        exit=st.none() | st.just(ExitStatus(code=1)),
        log=st.none() | st.builds(FileStamp, SMALL, SMALL),
        log_counts=st.booleans(),
        piped=st.booleans(),
        window_activity=st.none() | SMALL,
        signals=st.dictionaries(st.sampled_from(["tokens", "commits"]), SMALL, max_size=2),
        cpu=st.none() | st.floats(0, 10),
        children=st.none() | SMALL,
        account=st.none() | account,
        typed_ago=st.none() | st.floats(0, 1000),
        submissions=st.none() | SMALL,
        lost=st.booleans(),
    )


REQUESTS = st.tuples(
    st.sampled_from(["start", "stop", "restart", "nudge", "hold", "release", "phase"]),
    st.lists(st.sampled_from([*NAMES, "nobody"]), max_size=2),
    st.booleans(),
)
OUTCOMES = st.builds(
    Outcome,
    st.sampled_from([*NAMES, "nobody", ""]),
    st.sampled_from(["StartSession", "AskExit", "Type", "Press", "Kill", "EndServer"]),
    ok=st.booleans(),
    process=st.none() | PROCESSES,
    echo=SMALL,
    skipped=st.booleans(),
)
LOOKS = st.fixed_dictionaries(
    {
        "after": st.sampled_from([0.0, 0.1, 2.0, 61.0, 305.0, 1000.0, 4000.0]),
        "terminal": SEEN,
        "sessions": st.fixed_dictionaries({}, optional={name: views(name) for name in NAMES}),
        "outcomes": st.lists(OUTCOMES, max_size=2),
        "requests": st.lists(REQUESTS, max_size=2),
        "turn": st.frozensets(st.sampled_from(NAMES)),
        "keep_terminal": st.booleans(),
        "supervising": st.booleans(),
        "viewer": SEEN,
    }
)
POLICY = Policy(stall_after=300, interrupt_after=60, heal_after=60, cooldown=600)


def play(looks: list[dict[str, Any]]) -> list[tuple[Snapshot, Memory, tuple[Action, ...], Memory]]:
    """What was seen, remembered and decided in each tick."""
    memory, now, number, ticks = Memory(), 100.0, 0, []
    for look in looks:
        now += look["after"]
        asked = []
        for kind, roles, everything in look["requests"]:
            number += 1
            asked.append(Request(number, kind, tuple(roles), everything=everything and not roles))
        snapshot = Snapshot(
            mono=now,
            wall=now,
            boot_id="boot",
            entropy=int(now) << 60,
            terminal=look["terminal"],
            sessions=look["sessions"],
            roles=ROLES,
            requests=tuple(asked),
            outcomes=tuple(look["outcomes"]),
            turn=look["turn"],
            keep_terminal=look["keep_terminal"],
            supervising=look["supervising"],
            viewer=look["viewer"],
        )
        decision = decide(snapshot, memory, POLICY)
        assert decision == decide(snapshot, memory, POLICY)
        ticks.append((snapshot, memory, decision.actions, decision.memory))
        memory = decision.memory
    return ticks


HISTORIES = st.lists(LOOKS, max_size=12)
ANY = settings(max_examples=100, deadline=None)


@ANY
@given(HISTORIES)
def test_any_history_is_decided_one_action_a_role_and_the_same_twice(
    looks: list[dict[str, Any]],
) -> None:
    """`decide` never raises; what it remembers can be written down and read again."""
    for _, _, actions, memory in play(looks):
        busy = [a.role for a in actions if not isinstance(a, (Notify, Reply, EndServer, ShowLog))]
        assert len(busy) == len(set(busy))
        assert encode(decode(Memory, encode(memory))) == encode(memory)


@ANY
@given(HISTORIES)
def test_what_can_not_be_seen_is_never_touched(looks: list[dict[str, Any]]) -> None:
    """`unknown` leads to nothing, whatever came before."""
    for snapshot, _, actions, memory in play(looks):
        for action in actions:
            if not isinstance(action, (StartSession, Type, *WAYS_OUT)):
                continue
            view = snapshot.sessions.get(action.role)
            assert view is not None or snapshot.terminal is not Seen.UNKNOWN
            if view is not None:
                assert Seen.UNKNOWN not in (view.presence, view.running)
            assert memory.roles[action.role].liveness is not Liveness.UNKNOWN or isinstance(
                action, (Type, *WAYS_OUT)
            )


@ANY
@given(HISTORIES)
def test_a_held_role_is_only_looked_after(looks: list[dict[str, Any]]) -> None:
    """But for what a person asks for: a stop, a restart."""
    for snapshot, before, actions, memory in play(looks):
        for name, mem in memory.roles.items():
            if not mem.held:
                continue
            assert mem.ending is None or not mem.ending.checked
            old = before.roles[name].ending if name in before.roles else None
            asked = any(r.kind in ("stop", "restart") for r in snapshot.requests)
            persons = asked or mem.wanted is Wanted.DOWN or memory.stopped or mem.ending or old
            mine = [a for a in actions if getattr(a, "role", "") == name]
            if not persons:
                assert all(isinstance(a, (ArmPipe, RotateLog, Notify, Reply)) for a in mine)


@ANY
@given(HISTORIES)
def test_every_request_is_answered_once_in_the_end(looks: list[dict[str, Any]]) -> None:
    """At the latest when everything has been seen to be gone for a while."""
    gone = {name: SessionView(name, Seen.ABSENT) for name in NAMES}
    quiet: dict[str, Any] = {
        "after": 100.0,
        "terminal": Seen.ABSENT,
        "sessions": gone,
        "outcomes": [],
        "requests": [],
        "turn": frozenset(),
        "keep_terminal": False,
        "supervising": True,
        "viewer": Seen.UNKNOWN,
    }
    failed = [Outcome(name, "StartSession", ok=False, detail="no") for name in NAMES]
    end = [{**quiet, "outcomes": failed}] * 6
    ticks = play([*looks, *end])
    asked = [r.id for snapshot, *_ in ticks for r in snapshot.requests]
    answered = [a.request for *_, actions, _ in ticks for a in actions if isinstance(a, Reply)]
    assert sorted(answered) == asked


@ANY
@given(HISTORIES)
def test_nothing_is_started_beside_a_living_process(looks: list[dict[str, Any]]) -> None:
    """A start only where the session was seen to be without one."""
    for snapshot, _, actions, _ in play(looks):
        for action in actions:
            if isinstance(action, StartSession):
                view = snapshot.sessions.get(action.role)
                assert view is None or view.running is Seen.ABSENT
            if isinstance(action, (Terminate, Kill, AskExit)):
                assert snapshot.sessions[action.role].process == action.process


def test_a_living_process_without_a_name_is_unknown() -> None:
    """The process table didn't answer."""
    story = Story().started()
    view = story.view
    story.view = lambda name, agent: replace(view(name, agent), process=None)  # type: ignore[method-assign]
    story.wait(2000)
    assert story.mem().liveness is Liveness.UNKNOWN
    assert story.actions(StartSession, *WAYS_OUT) == []
