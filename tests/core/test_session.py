"""Histories of one role: deaths, stalls, idleness, people, housekeeping."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from cc_ci_orch.core.actions import (
    ArmPipe,
    AskExit,
    Kill,
    Notify,
    Press,
    RotateLog,
    StartSession,
    Terminate,
    Type,
)
from cc_ci_orch.core.events import Name
from cc_ci_orch.core.model import (
    Account,
    Doing,
    Liveness,
    Outcome,
    PromptKind,
    Rung,
    Then,
)
from tests.core.builders import BUSY, IDLE, WAYS_OUT, Story, client, role

STALL_EVENTS = ["session.stalled", "session.nudged", "session.interrupted", "session.nudged"]


def kinds(story: Story) -> list[str]:
    """The prompts that were typed."""
    return [str(action.prompt.kind) for action in story.actions(Type)]


def silent(story: Story, name: str = "builder") -> float:
    """The agent falls silent now."""
    story.agent(name).works = False
    story.agent(name).answers = False
    return story.now


# ----------------------------------------------------------------------------------- deaths


def test_the_first_death_is_healed_at_once_in_the_same_conversation() -> None:
    """No back-off for a process that dies for the first time."""
    story = Story().started()
    conversation = story.mem().conversation
    story.die(code=3)
    died = story.now
    story.wait(1)
    (start,) = story.actions(StartSession)
    assert (died, conversation, True) == (
        story.times(StartSession)[0],
        start.conversation,
        start.resume,
    )
    assert start.prompt.kind is PromptKind.RESUME
    assert story.events() == ["session.exited", "session.healed"]
    assert story.event(Name.SESSION_EXITED).evidence["status"] == "status 3"
    assert story.mem().restarts == 1


def test_deaths_in_a_row_wait_longer_and_longer() -> None:
    """The back-off doubles from one second."""
    story = Story(max_restarts=100).started()
    story.agent().dies_at_once = True
    story.die()
    story.wait(1000)
    times = story.times(StartSession)
    pauses = [round(b - a, 1) for a, b in pairwise(times)]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert all(pause <= 301 for pause in pauses)


def test_the_backoff_ends_at_five_minutes() -> None:
    """A machine that comes to itself is noticed within five minutes."""
    story = Story(max_restarts=100).started()
    story.agent().dies_at_once = True
    story.die()
    story.wait(3600)
    times = story.times(StartSession)
    assert round(times[-1] - times[-2]) == 300


def test_a_crash_loop_cools_down_and_tells_a_person_and_is_forgotten_in_time() -> None:
    """More than max_restarts in restart_period: a pause, one notification, then it goes on."""
    story = Story().started()
    story.agent().dies_at_once = True
    story.die()
    story.wait(60)
    assert len(story.actions(StartSession)) == 5
    assert [n.cause for n in story.actions(Notify)] == ["gave up:builder"]
    assert "session.gave_up" in story.events()
    assert story.mem().gave_up
    story.wait(1700)
    assert len(story.actions(StartSession)) == 5
    story.agent().dies_at_once = False
    story.wait(200)
    assert len(story.actions(StartSession)) == 6
    assert not story.mem().gave_up
    story.wait(700)
    story.forget().die()
    died = story.now
    story.wait(1)
    assert story.times(StartSession) == [died]


def test_a_process_that_ran_well_is_healed_at_once_however_often() -> None:
    """A life of stable_after resets the back-off."""
    story = Story().started()
    for _ in range(8):
        story.wait(650)
        story.forget().die()
        died = story.now
        story.wait(1)
        assert story.times(StartSession) == [died]


def test_a_process_that_is_gone_before_anybody_saw_it_is_a_death_too() -> None:
    """A start of which only "ok" is known and no process must not spin without back-off."""
    story = Story(max_restarts=100).started()
    story.agent().dies_at_once = True
    story.die()
    for _ in range(200):
        story.tick()
        story.outcomes = [replace(o, process=None) for o in story.outcomes]
        story.pass_by(0.1)
    assert len(story.actions(StartSession)) <= 5
    assert story.mem().restarts == len(story.actions(StartSession))


def test_two_resumed_processes_that_die_at_once_lose_the_conversation() -> None:
    """Then a fresh one begins, with the hand-over text, and says which one was lost."""
    story = Story().started()
    first = story.mem().conversation
    story.agent().dies_at_once = True
    story.die()
    story.wait(4)
    starts = story.actions(StartSession)
    assert [s.resume for s in starts[:3]] == [True, True, False]
    assert starts[2].conversation != first
    assert starts[2].prompt.kind is PromptKind.HANDOVER
    lost = [t.event.evidence["lost_conversation"] for t in story.told if "lost" in t.event.why]
    assert lost[0] == first


def test_a_conversation_that_the_client_does_not_know_is_lost_at_once() -> None:
    """No second try with an id that the client has refused."""
    story = Story().started()
    story.agent().lost = True
    story.die()
    story.wait(1)
    (start,) = story.actions(StartSession)
    assert (start.resume, start.mode) == (False, Then.RENEW)


def test_a_start_that_fails_backs_off_is_told_and_becomes_a_crash_loop() -> None:
    """Nothing was ever running, and still it is neither a spin nor silent."""
    story = Story()
    story.agent().cannot_start = "no such program"
    story.ask("start", everything=True)
    story.wait(120)
    assert story.events().count("trouble") == 6
    assert [n.cause for n in story.actions(Notify)] == ["start:builder", "gave up:builder"]
    assert story.mem().gave_up
    story.agent().cannot_start = ""
    story.wait(1800)
    start = story.actions(StartSession)[-1]
    assert (start.resume, start.prompt.kind) == (False, PromptKind.KICKOFF)
    assert story.mem().liveness is Liveness.WORKING


def test_a_start_of_which_nothing_is_heard_is_not_made_twice() -> None:
    """The outcome of a start is waited for; after a minute it counts as failed."""
    story = Story()
    story.agent().cannot_start = "lost"
    story.ask("start", everything=True)
    for _ in range(290):
        story.outcomes = []
        story.pass_by(0.2)
        story.tick()
    assert len(story.actions(StartSession)) == 1
    assert story.mem().next_step == "hear of its start"
    story.pass_by(5)
    story.tick()
    assert story.event(Name.TROUBLE).why == "can't start builder: nothing was heard of its start"
    story.wait(2)
    assert len(story.actions(StartSession)) == 2


def test_another_backend_begins_a_fresh_conversation() -> None:
    """A conversation is resumed only under the backend that made it."""
    story = Story().started()
    story.roles = (role(backend="other"),)
    story.die()
    story.wait(1)
    (start,) = story.actions(StartSession)
    assert not start.resume


def test_a_backend_without_resume_keeps_its_conversation_id() -> None:
    """One template for both: the id stays, the prompt is the hand-over."""
    story = Story(role(resumable=False)).started()
    conversation = story.mem().conversation
    story.die()
    story.wait(1)
    (start,) = story.actions(StartSession)
    assert (start.conversation, start.resume) == (conversation, False)
    assert start.prompt.kind is PromptKind.HANDOVER


# ----------------------------------------------------------------------------------- stalls


def test_a_silent_agent_is_nudged_then_interrupted_then_replaced_at_the_set_times() -> None:
    """The whole ladder: nudge, interrupt, resume, fresh conversation, give up, try again."""
    story = Story().started()
    since = silent(story)
    conversation = story.mem().conversation
    story.wait(900 + 300 + 300 + 20)
    nudged, interrupted = story.times(Type)[0], story.times(Press)
    keys = [a.keys for a in story.actions(Press) if a.keys != ("Enter",)]
    assert 898 <= nudged - since <= 902
    assert keys == [("Escape",), ("C-c",)]
    assert story.events()[:4] == STALL_EVENTS
    assert 298 <= story.when(Name.SESSION_INTERRUPTED)[0] - nudged <= 302
    (asked,) = story.times(AskExit)
    assert 298 <= asked - story.when(Name.SESSION_INTERRUPTED)[0] <= 302
    (resumed,) = story.actions(StartSession)
    assert (resumed.resume, resumed.conversation) == (True, conversation)
    assert interrupted
    story.forget().wait(910)
    (renewed,) = story.actions(StartSession)
    assert (renewed.resume, renewed.prompt.kind) == (False, PromptKind.HANDOVER)
    assert renewed.conversation != conversation
    story.forget().wait(910)
    assert story.events() == ["session.stalled", "session.gave_up"]
    assert [n.cause for n in story.actions(Notify)] == ["gave up:builder"]
    assert story.mem().gave_up and story.mem().next_step == "nudge it"
    gave_up = story.when(Name.SESSION_GAVE_UP)[0]
    story.forget().wait(1810)
    assert kinds(story) == ["stalled"]
    assert 1800 <= story.times(Type)[0] - gave_up <= 1802


@pytest.mark.parametrize(("helps", "wait"), [(Type, 905), (Press, 1205)])
def test_an_agent_that_recovers_keeps_its_process(helps: type[Type], wait: float) -> None:
    """Progress after the nudge, or after the first key of the interrupt, ends the episode."""
    story = Story().started()
    silent(story)
    story.agent().heals_by = helps
    if helps is Press:  # an unproved nudge presses Enter, which doesn't help here
        story.agent().heals_by = None
        story.wait(1190)
        story.agent().heals_by = Press
    story.wait(wait + 300 + 310 if helps is Type else 700)
    assert story.actions(AskExit, StartSession) == []
    assert story.events().count("session.recovered") == 1
    assert ("C-c",) not in [a.keys for a in story.actions(Press)]
    assert story.mem().rung is Rung.NONE


def test_after_a_heal_the_ladder_is_kept_until_the_new_process_is_stable() -> None:
    """An agent that only greets and hangs again doesn't start from the bottom for ever."""
    story = Story().started()
    silent(story)
    story.agent().heals_by = StartSession
    story.wait(1600)
    assert story.mem().rung is Rung.RESUMED
    story.wait(700)
    assert story.mem().rung is Rung.NONE
    assert story.mem().liveness is Liveness.WORKING


def test_a_stalled_agent_that_was_replaced_too_often_is_given_up() -> None:
    """Heals count against the restart intensity like deaths do."""
    story = Story(max_restarts=0).started()
    silent(story)
    story.wait(1600)
    assert story.actions(AskExit) == []
    assert "too often" in story.event(Name.SESSION_GAVE_UP).why


def test_a_deaf_agent_is_killed_two_seconds_after_it_was_asked() -> None:
    """Ask, TERM, KILL to the tree; the next process starts only when it is gone."""
    story = Story().started()
    silent(story)
    story.agent().deaf = True
    while not story.actions(Kill):
        story.wait(1)
    story.wait(3)
    asked, termed, killed = story.times(*WAYS_OUT)
    order = [type(a) for a in story.actions(*WAYS_OUT, StartSession)]
    assert order == [AskExit, Terminate, Kill, StartSession]
    assert 0.9 <= termed - asked <= 1.2
    assert 2 <= killed - asked <= 2.2


def test_a_heal_is_called_off_when_the_second_look_finds_it_moved() -> None:
    """The rung is taken back, and the process lives."""
    story = Story().started()
    silent(story)
    while not story.actions(AskExit):
        story.wait(1)
        if story.outcomes and story.outcomes[0].action == "AskExit":
            break
    process = story.mem().process
    story.agent().process = process
    story.outcomes = [Outcome("builder", "AskExit", ok=False, detail="moved", skipped=True)]
    story.tick()
    assert story.mem().ending is None
    assert story.mem().rung is Rung.INTERRUPTED
    assert story.actions(StartSession) == []


def test_a_client_whose_spinner_draws_can_still_be_healed() -> None:
    """The second look compares only what is progress: a spinner's log always grows."""
    story = Story(client())
    story.agent().account = BUSY
    story.agent().signals = {"transcript": 1}
    story.started()
    story.wait(1520)
    (asked,) = story.actions(AskExit)
    assert asked.expect is not None
    assert (asked.expect.log, asked.expect.signals) == (None, {"transcript": 1})


def test_the_log_is_part_of_the_second_look_where_it_is_progress() -> None:
    """A program that printed in the last moment is left alone."""
    story = Story().started()
    silent(story)
    story.wait(1520)
    (asked,) = story.actions(AskExit)
    assert asked.expect is not None and asked.expect.log is not None


def test_a_turn_that_ends_ends_a_stall() -> None:
    """Silence off its turn is waiting."""
    story = Story().started()
    silent(story)
    story.wait(910)
    assert story.mem().rung is Rung.NUDGED
    story.turn = frozenset()
    story.wait(2000)
    assert story.mem().liveness is Liveness.WAITING
    assert story.mem().rung is Rung.NONE
    assert story.actions(AskExit) == []


# --------------------------------------------------------------------- idle, waiting, limited


def test_idle_on_its_turn_is_nudged_at_doubling_intervals_and_then_a_person_is_told() -> None:
    """1, 2, 4 … minutes up to an hour; from then on with a notification."""
    story = Story(client())
    story.agent().works = False
    story.agent().account = IDLE
    story.agent().submissions = 0
    story.started()
    story.wait(4 * 3600)
    times = story.times(Type)
    pauses = [round((b - a) / 60) for a, b in pairwise(times)]
    assert pauses[:6] == [2, 4, 8, 16, 32, 60]
    assert set(kinds(story)) == {"nudge"}
    notes = [d.at for d in story.done if isinstance(d.action, Notify)]
    assert notes == times[6:]
    assert all(t.event.proved for t in story.told if t.event.name is Name.SESSION_NUDGED)


def test_a_commit_or_a_new_turn_begins_the_idle_nudges_anew() -> None:
    """The interval is short again."""
    story = Story(client())
    story.agent().works = False
    story.agent().account = IDLE
    story.agent().submissions = 0
    story.agent().signals = {"commits": "a"}
    story.started()
    story.wait(1000)
    assert story.mem().idle_nudges == 4
    story.agent().signals = {"commits": "b"}
    story.wait(1)
    assert story.mem().idle_nudges == 0
    story.wait(1000)
    story.turn = frozenset()
    story.wait(1)
    assert story.mem().idle_nudges == 0


def test_waiting_is_left_in_peace_but_for_a_reminder_after_long() -> None:
    """Off its turn: one reminder an hour, and no notification."""
    story = Story(turn=frozenset()).started()
    silent(story)
    story.wait(3500)
    assert story.actions(Type) == []
    assert story.mem().liveness is Liveness.WAITING
    assert story.mem().next_step == "remind it"
    story.wait(200)
    assert kinds(story) == ["waiting"]
    assert story.actions(Notify) == []


def test_a_stated_limit_is_slept_out_and_then_looked_at() -> None:
    """Nothing is typed before its end; a client that doesn't go on by itself is nudged."""
    story = Story(client())
    story.agent().works = False
    story.agent().submissions = 0
    story.agent().account = BUSY
    story.started()
    until = story.wall + 7200
    story.agent().account = Account(Doing.LIMITED, "5-hour limit", until=until)
    story.wait(7200)
    assert story.actions(Type, *WAYS_OUT) == []
    assert story.event(Name.SESSION_LIMITED).why == "5-hour limit"
    assert [n.cause for n in story.actions(Notify)] == ["limited:builder"]
    story.wait(240)
    assert kinds(story) == ["nudge"]
    story.wait(1700)
    assert kinds(story) == ["nudge"]
    story.wait(100)
    assert kinds(story) == ["nudge", "nudge"]
    story.agent().account = IDLE
    story.wait(2)
    assert "session.recovered" in story.events()


def test_a_limit_without_a_time_is_tried_soon_and_then_ever_later() -> None:
    """Estimated and re-checked; a person is told when it has lasted long."""
    story = Story(client())
    story.agent().works = False
    story.agent().submissions = 0
    story.agent().account = Account(Doing.LIMITED, "a limit")
    story.ask("start", everything=True)
    story.wait(1900)
    gaps = [b - a for a, b in pairwise([1000.0, *story.times(Type)])]
    assert gaps == pytest.approx([60, 120, 240, 480, 960], abs=25)
    assert story.actions(Notify) == []
    story.wait(1800)
    assert [n.cause for n in story.actions(Notify)] == ["limited:builder"]
    assert kinds(story) == ["nudge"] * 6


def test_a_conversation_that_cant_go_on_is_replaced_after_a_while() -> None:
    """A person was told once and may rescue it; then a fresh one gets the hand-over text."""
    story = Story(client()).started()
    before = story.mem().conversation
    spent = Account(Doing.BLOCKED, "its conversation is too long", spent=True)
    story.agent().account = spent
    story.wait(290)
    assert [n.cause for n in story.actions(Notify)] == ["blocked:builder"]
    assert story.actions(Type, Press, *WAYS_OUT) == []
    story.wait(20)
    start = story.actions(StartSession)[-1]
    assert (start.resume, start.prompt.kind) == (False, PromptKind.HANDOVER)
    assert start.conversation != before
    assert story.event(Name.SESSION_HEALED).evidence["lost_conversation"] == before
    assert story.mem().rung is Rung.NONE


def test_conversations_that_cant_go_on_one_after_the_other_are_a_crash_loop() -> None:
    story = Story(client(), heal_after=1.0, max_restarts=2).started()
    story.agent().account = Account(Doing.BLOCKED, "its conversation is too long", spent=True)
    for _ in range(40):
        story.agent().account = Account(Doing.BLOCKED, "its conversation is too long", spent=True)
        story.wait(10)
    assert len(story.actions(StartSession)) == 2
    assert "session.gave_up" in story.events()
    for _ in range(200):
        story.agent().account = Account(Doing.BLOCKED, "its conversation is too long", spent=True)
        story.wait(10)
    assert len(story.actions(StartSession)) == 3


def test_a_blocked_agent_is_left_alone_and_a_person_is_told_once() -> None:
    """An unknown dialog is nobody's business but a person's."""
    story = Story(client())
    story.agent().account = Account(Doing.BLOCKED, "it asks for a login")
    story.ask("start", everything=True)
    story.wait(4000)
    assert [n.cause for n in story.actions(Notify)] == ["blocked:builder"]
    assert story.actions(Type, Press, *WAYS_OUT) == []
    assert story.mem().liveness is Liveness.BLOCKED


# ----------------------------------------------------------------------------------- people


def test_a_session_in_which_a_person_types_is_left_alone_until_they_stop() -> None:
    """Stalled or not; but a dead process is replaced."""
    story = Story().started()
    silent(story)
    story.agent().typed_ago = 5.0
    story.wait(2000)
    assert story.actions(Type, Press, *WAYS_OUT) == []
    assert "a person types" in story.mem().next_step
    story.die()
    story.wait(1)
    assert len(story.actions(StartSession)) == 1
    story.forget().agent().typed_ago = 700.0
    story.wait(1000)
    assert kinds(story)[0] == "stalled"


def test_a_held_role_is_left_alone_dead_or_alive() -> None:
    """Nothing is typed, nothing is healed; only its log is looked after."""
    story = Story().started()
    story.ask("hold", "builder")
    silent(story)
    story.agent().piped = False
    story.wait(4000)
    assert len(story.actions(ArmPipe)) == 1
    story.die()
    story.wait(4000)
    assert story.actions(Type, Press, StartSession, *WAYS_OUT) == []
    story.ask("release", "builder")
    story.wait(1)
    assert len(story.actions(StartSession)) == 1
    assert [e for e in story.events() if "held" in e or "released" in e] == [
        "session.held",
        "session.released",
    ]


def test_a_hold_calls_off_the_heal_and_the_interrupt_that_are_under_way() -> None:
    """What a person holds is theirs from that moment."""
    story = Story().started()
    silent(story)
    story.agent().deaf = True
    while story.mem().interrupting is None:
        story.tick()
        story.pass_by(0.5)
    story.ask("hold", "builder")
    assert story.mem().interrupting is None
    story.ask("release", "builder")
    while story.mem().ending is None:
        story.tick()
        story.pass_by(0.5)
    story.forget().ask("hold", "builder")
    story.wait(60)
    assert story.actions(*WAYS_OUT, StartSession) == []


def test_a_hold_drops_what_was_being_typed() -> None:
    """Enter isn't pressed in a session that a person has just taken."""
    story = Story().started()
    silent(story)
    while story.mem().typing is None:
        story.wait(1)
    story.ask("hold", "builder")
    assert story.mem().typing is None
    assert story.event(Name.SESSION_NUDGED).proved is False
    story.wait(10)
    assert story.actions(Press) == []


def test_a_stop_ends_what_lives_even_if_nobody_is_left_who_asked() -> None:
    """A supervisor that takes over half way goes on with it: wanted down, and alive."""
    story = Story().started()
    story.agent().deaf = True
    story.ask("stop", "builder")
    story.supervisor_restarts()
    assert story.mem().ending is None
    story.wait(20)
    assert story.agent().process is None and not story.agent().session
    assert story.mem().liveness is Liveness.ABSENT


# ------------------------------------------------------------------------ strange processes


def test_a_living_process_that_nobody_knows_is_adopted() -> None:
    """A supervisor died between a start and writing it down; the agent isn't touched."""
    story = Story().started()
    process = story.mem().process
    story.memory = replace(
        story.memory,
        roles={"builder": replace(story.mem(), process=None, mode=Then.RESUME)},
    )
    story.wait(60)
    assert story.mem().process == process
    assert story.actions(StartSession, *WAYS_OUT) == []
    assert story.mem().mode is None


def test_a_heal_is_not_for_the_process_that_took_its_place() -> None:
    """Its successor has neither stalled nor been asked."""
    story = Story(role(), role("other")).started()
    silent(story)
    story.agent().deaf = True
    while story.mem().ending is None:
        story.wait(1)
    other = story.agent("other").process
    assert other is not None
    story.forget().agent().process = replace(other, pid=77)
    story.agent().works = True
    story.wait(60)
    assert story.actions(*WAYS_OUT, StartSession) == []


def test_a_stop_asks_the_process_that_took_the_place_of_the_other_one() -> None:
    """A person wants the role down, whatever runs in it; but politely."""
    story = Story().started()
    story.agent().deaf = True
    story.ask("stop", "builder", grace=60.0)
    story.wait(40)
    assert story.mem().ending is not None and story.mem().ending.termed
    process = story.agent().process
    assert process is not None
    story.forget().agent().process = replace(process, pid=77)
    story.tick()
    (asked,) = story.actions(AskExit)
    assert asked.process.pid == 77


def test_what_was_typed_for_another_process_is_dropped() -> None:
    """Its proof would be looked for in the wrong place."""
    story = Story().started()
    silent(story)
    number = story.ask("nudge", "builder", text="hello")
    process = story.agent().process
    assert process is not None
    story.agent().process = replace(process, pid=77)
    story.tick()
    reply = story.reply(number)
    assert reply is not None and reply.code == 1
    assert story.mem().typing is None


# ----------------------------------------------------------------------------------- unknown


def test_nothing_is_done_while_tmux_does_not_answer() -> None:
    """`unknown` never leads to anything, however long it lasts and whatever it was before."""
    story = Story().started()
    silent(story)
    story.wait(1400)
    story.forget().tmux = False
    story.wait(8000)
    assert story.mem().liveness is Liveness.UNKNOWN
    assert story.actions(Type, Press, StartSession, *WAYS_OUT) == []


def test_an_unreadable_log_and_window_are_no_stall() -> None:
    """Neither source of silence: nothing follows."""
    story = Story(role(traits=replace(role().traits, cpu_always=False))).started()
    silent(story)
    story.agent().log_counts = False
    view = story.view
    story.view = lambda name, agent: replace(view(name, agent), window_activity=None)  # type: ignore[method-assign]
    story.wait(4000)
    assert story.mem().liveness is Liveness.UNKNOWN
    assert story.actions(Type, *WAYS_OUT) == []


# ------------------------------------------------------------------------------ housekeeping


def test_a_dead_pipe_is_armed_again_less_and_less_often() -> None:
    """tmux may refuse: 1, 2, 4 … 60 s; and the pause is short again after a good minute."""
    story = Story().started()
    for _ in range(200):
        story.agent().piped = False
        story.wait(2)
    times = story.times(ArmPipe)
    pauses = [b - a for a, b in pairwise(times)]
    assert pauses == sorted(pauses) and max(pauses) <= 62 and len(times) < 15
    story.agent().piped = True
    story.wait(130)
    assert story.mem().pipe_delay == 1.0


def test_a_long_log_is_rotated_and_that_is_no_progress() -> None:
    """The log shrinks; the silence goes on."""
    story = Story(log_max=1000).started()
    silent(story)
    story.wait(60)
    before = story.mem().progress_at
    story.agent().log_size = 1001
    story.wait(10)
    assert len(story.actions(RotateLog)) == 1
    assert before is not None and story.mem().progress_at is not None
    assert story.mem().progress_at - before < 70
    seen = story.mem().progress_at
    story.wait(60)
    assert story.mem().progress_at == seen


def test_silence_is_no_stall_until_the_cpu_of_the_children_is_known() -> None:
    """Two samples a second apart; the watchdog looks again in time for them."""
    story = Story().started()
    silent(story)
    view, blind = story.view, True
    story.view = lambda name, agent: (  # type: ignore[method-assign]
        replace(view(name, agent), cpu=None) if blind else view(name, agent)
    )
    story.wait(950)
    assert story.mem().liveness is Liveness.WORKING
    assert story.decision.wake is not None and story.decision.wake - story.now <= 1.0
    blind = False
    story.wait(3)
    assert story.mem().liveness is Liveness.STALLED
