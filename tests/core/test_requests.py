"""What people ask for: taken in at once, answered once, when it is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cc_ci_orch.core.actions import (
    AskExit,
    Close,
    EndServer,
    Kill,
    Press,
    Reply,
    StartSession,
    Terminate,
    Type,
)
from cc_ci_orch.core.model import (
    Account,
    Doing,
    Liveness,
    PromptKind,
    Rung,
    Seen,
    SessionView,
    Wanted,
)
from cc_ci_orch.core.phases import PhaseSpec
from tests.core.builders import WAYS_OUT, Agent, Story, client, role

PAIR = (role("builder"), role("adversary"))


def answer(story: Story, number: int) -> tuple[int, str] | None:
    reply = story.reply(number)
    return None if reply is None else (reply.code, reply.text)


# ------------------------------------------------------------------------------------ start


def test_a_start_starts_everything_and_is_answered_at_once() -> None:
    story = Story(*PAIR)
    number = story.ask("start", everything=True)
    assert answer(story, number) == (0, "starting")
    assert [a.role for a in story.actions(StartSession)] == ["builder", "adversary"]
    assert {a.prompt.kind for a in story.actions(StartSession)} == {PromptKind.KICKOFF}
    assert story.events() == ["session.started"] * 2


def test_a_start_of_one_role_leaves_the_others_down() -> None:
    """Nothing ran before: only what was named is wanted. A later start brings the rest."""
    story = Story(*PAIR)
    story.ask("start", "adversary", everything=True)
    story.wait(60)
    assert [a.role for a in story.actions(StartSession)] == ["adversary"]
    assert story.mem("builder").wanted is Wanted.DOWN
    story.ask("start", "adversary")
    story.wait(60)
    assert story.mem("builder").wanted is Wanted.DOWN
    story.ask("start")
    story.wait(60)
    assert [a.role for a in story.actions(StartSession)] == ["adversary", "builder"]


def test_a_start_does_not_touch_what_runs() -> None:
    story = Story(*PAIR).started()
    process = story.mem().process
    story.ask("start", "builder", everything=True)
    story.wait(60)
    assert story.mem().process == process
    assert story.mem("adversary").wanted is Wanted.UP
    assert story.actions(StartSession, *WAYS_OUT) == []


def test_a_start_forgets_what_went_wrong_but_not_the_conversation() -> None:
    """Given up, in a cool-down: a person who starts it needn't wait."""
    story = Story().started()
    story.agent().dies_at_once = True
    story.die()
    story.wait(100)
    assert story.mem().gave_up
    conversation = story.mem().conversation
    story.agent().dies_at_once = False
    story.forget().ask("start")
    (start,) = story.actions(StartSession)
    assert (start.conversation, start.resume) == (conversation, True)
    assert (story.mem().restarts, story.mem().gave_up) == (0, False)
    assert story.events() == ["session.started"]


def test_a_start_says_what_it_leaves_alone() -> None:
    """A held role stays as it is."""
    story = Story(*PAIR)
    story.ask("hold", "adversary")
    number = story.ask("start", everything=True)
    assert answer(story, number) == (0, "starting; held, so left alone: adversary")
    story.wait(10)
    assert [a.role for a in story.actions(StartSession)] == ["builder"]


# ------------------------------------------------------------------------------------- stop


def test_a_role_that_was_stopped_stays_down_until_it_is_started_by_name() -> None:
    """Over a plain start, another supervisor and a reboot."""
    story = Story(*PAIR).started()
    number = story.ask("stop", "builder")
    assert answer(story, number) is None
    story.wait(5)
    assert answer(story, number) == (0, "stopped builder")
    assert "session.exited" in story.events()
    assert not story.agent().session
    story.ask("start")
    story.supervisor_restarts()
    story.wait(60)
    story.boot_id = "boot-2"
    story.wait(60)
    assert story.actions(StartSession, role="builder") == []
    story.ask("start", "builder")
    story.wait(5)
    (start,) = story.actions(StartSession, role="builder")
    assert start.resume


def test_a_stop_is_polite_then_firm() -> None:
    """Ask, TERM half way, KILL at the end of the grace that the person gave."""
    story = Story(*PAIR).started()
    story.agent().deaf = True
    story.ask("stop", "builder", grace=20.0)
    story.wait(30)
    asked, termed, killed = story.times(*WAYS_OUT)
    order = [AskExit, Terminate, Kill, Close]
    assert [type(a) for a in story.actions(*order)] == order
    assert (round(termed - asked), round(killed - asked)) == (10, 20)


def test_a_stop_of_what_is_not_running_is_answered_at_once() -> None:
    story = Story(*PAIR).started()
    story.ask("stop", "builder")
    story.wait(5)
    number = story.forget().ask("stop", "builder")
    assert answer(story, number) == (0, "stopped builder")
    assert story.actions(*WAYS_OUT) == []


def test_a_dead_session_of_a_stopped_role_is_removed() -> None:
    """What died just before it was asked leaves a pane behind."""
    story = Story(*PAIR).started()
    story.die()
    number = story.ask("stop", "builder")
    story.wait(3)
    assert len(story.actions(Close)) == 1
    assert answer(story, number) == (0, "stopped builder")
    story.agent().session = True
    story.wait(3)
    assert not story.agent().session


def test_a_stop_of_everything_waits_for_a_deaf_agent_and_ends_the_server() -> None:
    """Answered only when nothing is left; then it is finished."""
    story = Story(*PAIR).started()
    story.agent().deaf = True
    number = story.ask("stop", everything=True)
    story.wait(8)
    assert answer(story, number) is None
    assert story.agent("adversary").process is None
    assert not story.decision.finished
    story.wait(5)
    assert answer(story, number) == (0, "stopped")
    assert story.decision.finished
    assert story.actions(EndServer)
    assert story.memory.stopped


def test_a_server_with_a_foreign_session_outlives_the_stop() -> None:
    """The orchestrator's session isn't ours to end."""
    story = Story(*PAIR).started()
    story.keep_terminal = True
    number = story.ask("stop", everything=True)
    story.wait(5)
    assert answer(story, number) == (0, "stopped")
    assert story.actions(EndServer) == []


def test_a_supervisor_that_takes_over_half_way_finishes_the_stop() -> None:
    """What still lives is asked, then ended, even if the server has to stay."""
    story = Story(*PAIR).started()
    story.agent().deaf = True
    story.keep_terminal = True
    story.ask("stop", everything=True)
    story.supervisor_restarts()
    story.wait(15)
    assert story.decision.finished
    assert all(not agent.session for agent in story.agents.values())
    assert all(mem.liveness is Liveness.ABSENT for mem in story.memory.roles.values())


def test_a_stop_goes_on_in_the_end_although_tmux_does_not_answer() -> None:
    """After the grace the server goes, with all that runs below it; nobody was asked blindly."""
    story = Story(*PAIR).started()
    story.tmux = False
    number = story.ask("stop", everything=True)
    story.wait(14)
    assert story.actions(EndServer, *WAYS_OUT) == []
    story.wait(3)
    assert story.actions(EndServer)
    assert story.actions(*WAYS_OUT) == []
    assert answer(story, number) == (0, "stopped")


def test_a_deaf_server_with_a_foreign_session_is_waited_for() -> None:
    story = Story(*PAIR).started()
    story.tmux = False
    story.keep_terminal = True
    number = story.ask("stop", everything=True)
    story.wait(60)
    assert (story.actions(EndServer), answer(story, number)) == ([], None)
    story.tmux = True
    story.wait(5)
    assert answer(story, number) == (0, "stopped")


def test_a_start_during_a_stop_wins_and_the_stop_is_told() -> None:
    """Nobody waits for ever for something that another person has called off."""
    story = Story(*PAIR).started()
    story.agent().deaf = True
    number = story.ask("stop", everything=True)
    story.wait(2)
    story.ask("start")
    found = answer(story, number)
    assert found is not None and found[0] == 1 and "started it again" in found[1]
    story.wait(20)
    assert all(agent.process is not None for agent in story.agents.values())


def test_a_start_of_a_role_that_is_being_stopped_wins_too() -> None:
    story = Story(*PAIR).started()
    story.agent().deaf = True
    number = story.ask("stop", "builder")
    story.wait(2)
    story.ask("start", "builder")
    story.wait(20)
    found = answer(story, number)
    assert found is not None and found[0] == 1
    assert story.agent().process is not None


# ---------------------------------------------------------------------------------- restart


def test_a_restart_keeps_the_conversation_and_is_answered_when_it_runs() -> None:
    """By the operator, not a heal; it doesn't count as a crash."""
    story = Story(*PAIR).started()
    before = story.mem()
    number = story.ask("restart", "builder")
    assert answer(story, number) is None
    story.wait(3)
    assert answer(story, number) == (0, "restarted builder")
    (start,) = story.actions(StartSession)
    assert (start.resume, start.conversation) == (True, before.conversation)
    assert story.told[-1].event.by == "operator"
    assert (story.mem().restarts, story.mem().restart_times) == (1, ())


def test_a_fresh_restart_begins_a_new_conversation_with_the_kickoff() -> None:
    story = Story(*PAIR).started()
    before = story.mem().conversation
    story.ask("restart", "builder", fresh=True)
    story.wait(3)
    (start,) = story.actions(StartSession)
    assert start.conversation != before
    assert (start.resume, start.prompt.kind) == (False, PromptKind.KICKOFF)


def test_a_restart_of_everything_leaves_down_what_is_to_stay_down() -> None:
    story = Story(*PAIR).started()
    story.ask("stop", "builder")
    story.wait(5)
    number = story.forget().ask("restart")
    story.wait(5)
    assert [a.role for a in story.actions(StartSession)] == ["adversary"]
    assert answer(story, number) == (0, "restarted adversary")


def test_a_restart_starts_a_dead_role_at_once() -> None:
    """And ends the giving up."""
    story = Story().started()
    story.agent().dies_at_once = True
    story.die()
    story.wait(100)
    story.agent().dies_at_once = False
    number = story.forget().ask("restart", "builder")
    story.wait(3)
    assert answer(story, number) == (0, "restarted builder")
    assert not story.mem().gave_up


def test_a_restart_ends_the_giving_up_of_a_stall() -> None:
    story = Story(max_restarts=0).started()
    story.agent().works = story.agent().answers = False
    story.wait(1600)
    assert (story.mem().gave_up, story.mem().rung) == (True, Rung.GAVE_UP)
    story.ask("restart", "builder")
    story.wait(3)
    assert (story.mem().gave_up, story.mem().rung) == (False, Rung.NONE)


def test_a_restart_that_fails_says_so() -> None:
    story = Story(*PAIR).started()
    story.agent().cannot_start = "no such program"
    number = story.ask("restart", "builder")
    story.wait(3)
    assert answer(story, number) == (1, "builder did not start again")


def test_a_restart_during_a_stop_is_refused() -> None:
    story = Story(*PAIR).started()
    story.agent().deaf = True
    story.ask("stop", everything=True)
    number = story.ask("restart", "adversary")
    assert answer(story, number) == (1, "the instance is being stopped")


def test_a_restart_that_can_not_be_asked_is_not_forgotten() -> None:
    """The process ended by itself in that moment: the second look is for heals only."""
    story = Story().started()
    number = story.ask("restart", "builder")
    story.die()
    story.outcomes = [replace(o, ok=False, skipped=True) for o in story.outcomes]
    story.wait(3)
    assert answer(story, number) == (0, "restarted builder")


def test_a_restart_waits_its_turn_in_a_burst() -> None:
    """start_burst holds for restarts, too."""
    story = Story(*(role(f"r{i}") for i in range(6)), start_burst=1).started(20)
    number = story.ask("restart")
    story.wait(0.1)
    assert len(story.actions(StartSession)) <= 2
    story.wait(20)
    assert len(story.actions(StartSession)) == 6
    assert answer(story, number) is not None


# ------------------------------------------------------------------------- hold and release


def test_holding_twice_is_one_event() -> None:
    story = Story(*PAIR).started()
    codes = [answer(story, story.ask(kind, "builder")) for kind in ("hold", "hold", "release")]
    assert [c[0] for c in codes if c] == [0, 0, 0]
    assert story.events() == ["session.held", "session.released"]


def test_a_hold_lasts_over_supervisors_and_reboots() -> None:
    story = Story().started()
    story.ask("hold", "builder")
    story.supervisor_restarts()
    story.wait(5)
    story.boot_id = "boot-2"
    story.wait(5)
    assert story.mem().held


def test_a_stop_of_a_held_role_is_a_persons_wish_and_is_done() -> None:
    story = Story().started()
    story.ask("hold", "builder")
    number = story.ask("stop", "builder")
    story.wait(5)
    assert answer(story, number) == (0, "stopped builder")


# ------------------------------------------------------------------------------------ nudge


@pytest.mark.parametrize(
    ("prepare", "code", "words"),
    [
        ("held", 1, "it is held"),
        ("dead", 1, "it is not running"),
        ("unreadable", 75, "tmux doesn't answer"),
        ("deaf tmux", 75, "tmux doesn't answer"),
        ("blocked", 1, "it is blocked: a dialog"),
        ("limited", 1, "it is limited: a limit"),
    ],
)
def test_a_nudge_that_can_not_arrive_is_refused_at_once(
    prepare: str, code: int, words: str
) -> None:
    """A prompt typed hours later does harm; typed into a dialog it answers it."""
    story = Story(client())
    story.started()
    agent = story.agent()
    match prepare:
        case "held":
            story.ask("hold", "builder")
        case "dead":
            story.die()
        case "unreadable":
            agent.readable = False
        case "deaf tmux":
            story.tmux = False
        case "blocked":
            agent.account = Account(Doing.BLOCKED, "a dialog")
        case "limited":
            agent.account = Account(Doing.LIMITED, "a limit")
    if agent.account:
        story.wait(2)
    number = story.forget().ask("nudge", "builder", text="hello")
    found = answer(story, number)
    assert found is not None and found[0] == code and words in found[1]
    assert story.actions(Type) == []


def test_a_nudge_without_a_supervisor_is_refused_for_now() -> None:
    """Nobody would prove it, and a prompt typed hours later does harm."""
    story = Story().started()
    story.supervising = False
    number = story.ask("nudge", "builder", text="hello")
    found = answer(story, number)
    assert found is not None and found[0] == 75
    assert story.mem().typing is None


def test_nudges_arrive_one_after_the_other() -> None:
    """Each has its own proof and its own answer."""
    story = Story().started()
    numbers = [story.ask("nudge", "builder", text=text) for text in ("one", "two")]
    story.wait(3)
    assert [a.prompt.text for a in story.actions(Type)] == ["one", "two"]
    assert [answer(story, n) and answer(story, n)[0] for n in numbers] == [0, 0]  # type: ignore[index]


def test_a_nudge_waits_for_the_end_of_an_interrupt() -> None:
    """Its text would be cancelled by the next key."""
    story = Story().started()
    story.agent().works = story.agent().answers = False
    while story.mem().interrupting is None:
        story.tick()
        story.pass_by(0.5)
    number = story.ask("nudge", "builder", text="hello")
    assert (answer(story, number), [r.id for r in story.memory.waiting]) == (None, [number])
    story.wait(20)
    assert answer(story, number) is not None
    keys = [a.keys for a in story.actions(Press)]
    assert keys.index(("C-c",)) < len(keys)


@pytest.mark.parametrize("kind", ["stop", "restart"])
def test_whoever_waits_for_a_nudge_is_told_when_its_process_is_ended(kind: Any) -> None:
    story = Story().started()
    story.agent().works = story.agent().answers = False
    number = story.ask("nudge", "builder", text="hello")
    story.ask(kind, "builder")
    found = answer(story, number)
    assert found is not None and found[0] == 1 and "a person" in found[1]


def test_whoever_waits_for_a_nudge_is_told_when_it_dies() -> None:
    story = Story().started()
    story.agent().works = story.agent().answers = False
    number = story.ask("nudge", "builder", text="hello")
    story.die()
    story.tick()
    assert answer(story, number) == (1, "can't nudge builder: its process ended")


# ----------------------------------------------------------------------------------- wrong


@pytest.mark.parametrize(
    ("kind", "roles", "words"),
    [
        ("stop", ("nobody", "builder", "else"), "no such role: else, nobody"),
        ("nudge", (), "a nudge goes to one role"),
        ("nudge", ("builder", "adversary"), "a nudge goes to one role"),
        ("phase", (), "there are no phases"),
    ],
)
def test_a_request_that_makes_no_sense_is_answered_and_changes_nothing(
    kind: Any, roles: tuple[str, ...], words: str
) -> None:
    story = Story(*PAIR).started()
    roles_before = set(story.memory.roles)
    number = story.ask(kind, *roles)
    assert answer(story, number) == (1, words)
    story.wait(5)
    assert set(story.memory.roles) == roles_before
    assert story.actions(*WAYS_OUT) == []


@pytest.mark.parametrize(
    ("text", "phase", "code", "words"),
    [
        ("defer", "2", 0, "phase 2 is deferred"),
        ("defer", "3", 1, "no such phase: '3': accepted: 1, 2"),
        ("skip", "2", 1, "can't change the phase: 'skip': accepted: set, advance, defer"),
    ],
)
def test_a_change_of_the_phase_is_answered_at_once(
    text: str, phase: str, code: int, words: str
) -> None:
    story = Story(*PAIR)
    story.phases = (PhaseSpec("1", "one", "1.md"), PhaseSpec("2", "two", "2.md"))
    story.started()
    number = story.ask("phase", text=text, phase=phase)
    assert answer(story, number) == (code, words)


def test_without_a_supervisor_only_what_was_asked_is_done() -> None:
    """A `stop` by itself stops; nothing is healed or started on the way."""
    story = Story(*PAIR).started()
    story.die("adversary")
    story.supervising = False
    story.viewer = Seen.ABSENT
    number = story.ask("stop", "builder")
    story.wait(5)
    assert answer(story, number) == (0, "stopped builder")
    assert story.actions(StartSession) == []
    assert story.mem("adversary").liveness is Liveness.EXITED


def test_every_reply_names_its_request_once() -> None:
    """A closing look at one busy day."""
    story = Story(*PAIR).started()
    asked = [
        story.ask("nudge", "builder", text="a"),
        story.ask("restart"),
        story.ask("hold", "adversary"),
        story.ask("nudge", "adversary", text="b"),
        story.ask("stop", everything=True),
    ]
    story.wait(30)
    assert sorted(a.request for a in story.actions(Reply)) == asked


def test_a_nudge_whose_asker_has_given_up_is_not_typed() -> None:
    """It waits behind another prompt, or for a dialog; typed later it would do harm."""
    story = Story().started()
    story.agent().works = story.agent().answers = False
    first = story.ask("nudge", "builder", text="one")
    second = story.ask("nudge", "builder", text="two", by=story.now + 1.0)
    story.wait(20)
    assert [typed.prompt.text for typed in story.actions(Type)] == ["one"]
    reply = story.reply(second)
    assert reply is not None and (reply.code, "waits no longer" in reply.text) == (75, True)
    assert story.reply(first) is not None


def test_a_nudge_that_is_held_up_by_a_dialog_until_too_late_is_dropped() -> None:
    class Asking(Story):
        shows: str | None = "Down"

        def view(self, name: str, agent: Agent) -> SessionView:
            return replace(super().view(name, agent), answer=self.shows)

    story = Asking().started()
    number = story.ask("nudge", "builder", text="one", by=story.now + 1.0)
    story.wait(5)
    story.shows = None
    story.wait(5)
    assert story.actions(Type) == []
    reply = story.reply(number)
    assert reply is not None and "waits no longer" in reply.text
