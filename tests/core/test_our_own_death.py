"""What the next supervisor makes of a memory that ends in the middle, or lags behind the world."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cc_ci_orch.core.actions import AskExit, Kill, StartSession, Type
from cc_ci_orch.core.codec import decode, encode
from cc_ci_orch.core.events import Name
from cc_ci_orch.core.model import Liveness, Memory, Rung, Then, Wanted
from tests.core.builders import WAYS_OUT, Story, role


def hung(**policy: float) -> Story:
    """A program that hangs and is deaf, whatever is done."""
    story = Story(**policy).started()
    story.agent().works = story.agent().answers = False
    story.agent().deaf = True
    return story


def until(story: Story, kind: type, times: int = 1) -> Story:
    """Up to the tick with so many of these actions; what came of the last isn't known yet."""
    for _ in range(50_000):
        if len(story.actions(kind)) >= times:
            return story
        story.pass_by(0.2)
        story.tick()
    raise AssertionError(f"never {kind.__name__}")


# ----------------------------------------------------------------- a heal that is cut short


def test_a_renewal_that_is_cut_short_after_the_kill_is_one_all_the_same() -> None:
    """The conversation that was given up is not resumed once more by the next supervisor."""
    story = until(hung(), Kill, 2)
    assert story.mem().rung is Rung.RENEWED
    old = story.mem().conversation
    story.agent().deaf = False
    story.supervisor_restarts()
    story.forget().wait(5)
    (start,) = story.actions(StartSession)
    assert (start.mode, start.resume) == (Then.RENEW, False)
    assert start.conversation != old
    assert start.event is not None and start.event.evidence["lost_conversation"] == old


@pytest.mark.parametrize(("heals", "then"), [(1, Then.RESUME), (2, Then.RENEW)])
def test_a_heal_that_is_cut_short_before_the_kill_is_taken_up_again(heals: int, then: Then) -> None:
    """The process lives on and hangs on: the same rung again, not the one above it."""
    story = until(hung(), AskExit, heals)
    story.supervisor_restarts()
    story.forget().agent().deaf = False
    until(story, StartSession)
    assert [start.mode for start in story.actions(StartSession)] == [then]
    assert "session.gave_up" not in story.events()


def test_a_process_that_recovers_while_nobody_supervises_is_not_healed() -> None:
    story = until(hung(), AskExit)
    story.supervisor_restarts()
    story.forget().agent().works = True
    story.wait(3000)
    assert story.actions(StartSession, *WAYS_OUT) == []
    assert story.mem().rung is Rung.NONE


# ----------------------------------------------------------------- a start that fails


@pytest.mark.parametrize("dies", [False, True])
def test_a_fresh_conversation_keeps_its_id_until_it_has_begun(dies: bool) -> None:
    """However often its start fails; the event then names the one that was really lost."""
    story = Story().started()
    lost = story.mem().conversation
    story.agent().lost = True
    story.agent().cannot_start = "no room"
    story.die()
    story.wait(60)
    starts = story.actions(StartSession)
    assert len(starts) > 2
    assert len({start.conversation for start in starts}) == 1
    if dies:
        story.supervisor_restarts()
    story.agent().cannot_start = ""
    story.wait(1900)
    healed = story.event(Name.SESSION_HEALED)
    assert healed.evidence["lost_conversation"] == lost
    assert healed.evidence["conversation"] == story.mem().conversation != lost
    assert story.mem().lost is None


def test_a_start_whose_outcome_nobody_knows_gets_another_id() -> None:
    """The conversation may have begun, or not; what was lost stays known."""
    story = Story().started()
    lost = story.mem().conversation
    story.agent().lost = True
    story.die()
    (first,) = until(story, StartSession).actions(StartSession)
    story.agent().process, story.agent().session = None, False
    story.supervisor_restarts()
    story.pass_by(3)
    story.wait(5)
    second = story.actions(StartSession)[-1]
    assert len({lost, first.conversation, second.conversation}) == 3
    assert second.event is not None and second.event.evidence["lost_conversation"] == lost


# ----------------------------------------------------------------- a disk that was full


def test_a_start_that_could_not_be_written_down_is_not_undone() -> None:
    """The next supervisor reads `stopped` and finds the agent at work: it leaves it there."""
    story = Story().started()
    story.ask("stop", everything=True)
    story.wait(20)
    on_disk = encode(story.memory)
    story.ask("start", everything=True)
    story.wait(20)
    story.memory = decode(Memory, on_disk)
    assert story.memory.stopped
    story.forget().wait(100)
    assert story.actions(*WAYS_OUT) == [] and not story.memory.stopped
    assert story.events() == ["trouble"]
    story.die()
    story.wait(5)
    assert len(story.actions(StartSession)) == 1


def test_a_role_whose_start_could_not_be_written_down_is_not_ended() -> None:
    story = Story(role(), role("adversary")).started()
    story.ask("stop", "builder")
    story.wait(20)
    on_disk = encode(story.memory)
    story.ask("start", "builder")
    story.wait(20)
    story.memory = decode(Memory, on_disk)
    story.forget().wait(100)
    assert story.actions(*WAYS_OUT) == []
    assert story.mem().wanted is Wanted.UP and not story.mem().kept_down


def test_a_stop_that_was_cut_short_goes_on() -> None:
    """The processes that it was about are known."""
    story = Story(role(), role("adversary")).started()
    for agent in story.agents.values():
        agent.deaf = True
    story.ask("stop", everything=True)
    story.supervisor_restarts()
    story.wait(30)
    assert all(agent.process is None for agent in story.agents.values())
    assert "trouble" not in story.events()


# ----------------------------------------------------------------- what was typed


def test_an_echo_that_nobody_saw_is_no_sign_of_life_however_long_that_was() -> None:
    """How much the terminal would echo was noted; then the supervisor died."""
    story = Story().started()
    story.agent().works = story.agent().answers = False
    until(story, Type)
    story.tick()
    story.memory = replace(
        story.memory, roles={"builder": replace(story.mem(), echo=20, typed=False)}
    )
    story.supervisor_restarts()
    story.agent().log_size += 20
    story.pass_by(60)
    story.wait(100)
    assert "session.recovered" not in story.events()


@pytest.mark.parametrize("log_counts", [True, False])
def test_the_echo_of_what_the_last_supervisor_typed_is_no_sign_of_life(log_counts: bool) -> None:
    """It died before it could note how much the terminal echoes."""
    story = Story().started()
    story.agent().works = story.agent().answers = False
    story.agent().echoes, story.agent().log_counts = True, log_counts
    until(story, Type)
    story.supervisor_restarts()
    story.pass_by(8)
    story.wait(200)
    assert story.mem().liveness is Liveness.STALLED
    assert "session.recovered" not in story.events()


# ----------------------------------------------------------------- time


@pytest.mark.parametrize("gap", [0.5, 3.0, 9.0, 3000.0])
def test_a_pause_of_the_supervisor_ages_nothing(gap: float) -> None:
    """However short the settings are: pauses alone make no stall."""
    story = Story(poll=0.2, stall_after=100.0).started()
    story.agent().works = False
    seen = 0.0
    while seen < 60:
        story.pass_by(gap)
        seen += min(gap, 1.0)
        story.tick()
    assert story.mem().liveness is not Liveness.STALLED
    assert story.actions(Type) == []


def test_deadlines_that_no_supervisor_set_keep_nobody_down() -> None:
    """A damaged memory has the next attempt in the year 3000."""
    story = Story().started()
    story.die()
    story.agent().cannot_start = "no room"
    story.wait(5)
    story.agent().cannot_start = ""
    mem = replace(story.mem(), next_attempt=story.now + 3e10)
    story.memory = replace(story.memory, roles={"builder": mem})
    story.forget().wait(2000)
    assert len(story.actions(StartSession)) == 1


def test_times_of_the_past_that_lie_ahead_do_not_keep_a_hang_unseen() -> None:
    story = Story().started()
    story.agent().works = story.agent().answers = False
    mem = replace(story.mem(), quiet_from=3e10, rung_at=3e10, log_at=3e10)
    course = replace(story.memory.course, since=3e10)
    story.memory = replace(
        story.memory, roles={"builder": mem}, viewer_retry_at=3e10, course=course
    )
    story.wait(1000)
    assert story.mem().liveness is Liveness.STALLED
    assert story.memory.course.since <= story.now


def test_a_clock_that_has_gone_back_is_another_boot_although_its_id_is_not_known() -> None:
    """What stands in the memory is of another clock; the conversation is resumed."""
    story = Story().started(5000)
    conversation = story.mem().conversation
    story.supervisor_restarts()
    story.agent().process, story.agent().session = None, False
    story.boot_id, story.now, story._looked_at = "unknown", 20.0, 20.0
    story.forget().wait(5)
    (start,) = story.actions(StartSession)
    assert (start.conversation, start.resume) == (conversation, True)
    assert "host.rebooted" not in story.events()
    story.agent().works = story.agent().answers = False
    story.wait(1000)
    assert story.mem().liveness is Liveness.STALLED


# ----------------------------------------------------------------- the end of a trouble


def test_a_heal_that_worked_is_a_recovery() -> None:
    """Said when the new process works, not when it was started; and once."""
    story = until(hung(), Kill)
    story.agent().deaf = False
    story.wait(5)
    assert "session.healed" in story.events() and "session.recovered" not in story.events()
    story.agent().works = True
    story.wait(2000)
    assert story.events()[-1] == "session.recovered"
    assert story.events().count("session.recovered") == 1
    assert "stalled" in story.event(Name.SESSION_RECOVERED).why


def test_a_heal_that_did_not_work_is_no_recovery() -> None:
    story = hung()
    story.wait(6000)
    assert "session.gave_up" in story.events()
    assert "session.recovered" not in story.events()


# ----------------------------------------------------------------- a template that can't lose


def test_a_template_that_serves_both_keeps_its_conversation() -> None:
    """Processes that die at once say nothing of it: the same command line begins it anew."""
    spec = role()
    spec = replace(spec, traits=replace(spec.traits, can_lose=False))
    story = Story(spec).started()
    conversation = story.mem().conversation
    story.agent().dies_at_once = True
    story.die()
    story.wait(20)
    assert {start.conversation for start in story.actions(StartSession)} == {conversation}
    assert len(story.actions(StartSession)) >= 3
