"""What the machine does to us: tmux, disk, clocks, reboots, and the supervisor's own death."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.scripts import computes, exits, hangs, touches, wedged, works
from tests.sight import ROLES
from tests.sim.referee import Referee
from tests.sim.test_stories_agents import CLAUDE, HOUR, world
from tests.world import World

BACKENDS = pytest.mark.parametrize("backends", [{}, CLAUDE], ids=["command", "client"])


def untouched(w: World) -> bool:
    """Nobody was started again, and nothing was typed into anybody."""
    return len(w.lives) == 2 and not any(agent.prompts for agent in w.lives)


# ------------------------------------------------------------------------------ tmux


@BACKENDS
@pytest.mark.parametrize("minutes", [10, 40])
def test_the_night_in_which_tmux_stalls(backends: dict[str, str], minutes: int) -> None:
    """No answer for many minutes, then answers but no output for another one: nothing follows."""
    w = world(backends)
    w.agent().play(works(every=800.0))
    w.wait(HOUR)
    w.tmux_stalls(minutes * 60.0, flushed_after=60.0)
    w.wait(minutes * 60.0 + HOUR)
    assert untouched(w) and w.all_work()
    assert [e["event"] for e in w.events() if e["event"] != "session.started"] == ["trouble"]


def test_a_hang_is_not_forgotten_over_many_short_stalls_of_tmux() -> None:
    w = world()
    w.agent().play(hangs())
    for _ in range(30):
        w.wait(100.0)
        w.tmux_stalls(4.0)
    assert w.agent().working and len(w.lives_of("builder")) == 2


@BACKENDS
def test_the_tmux_server_is_killed_and_both_come_back_with_their_conversations(
    backends: dict[str, str],
) -> None:
    """Even where one of them outlives the hang-up: it is ended first, as the referee sees."""
    w = world(backends)
    w.wait(HOUR)
    w.agent().play(wedged())
    w.machine.end_server()
    w.wait(10.0)
    for role in ROLES:
        old, new = w.lives_of(role)
        assert new.working and not old.alive
        assert old.proc.conversation == new.proc.conversation


def test_a_pipe_that_dies_is_armed_again() -> None:
    w = world()
    w.pane().piped = False
    w.wait(30.0)
    assert w.pane().piped and untouched(w)


# ------------------------------------------------------------------------------ the disk


@BACKENDS
@pytest.mark.parametrize("every", [5.0, 100.0, 800.0])
def test_the_disk_is_full_for_hours_and_nobody_at_work_is_disturbed(
    backends: dict[str, str], every: float
) -> None:
    """Their logs stand still, however often they print and the pipes are armed again."""
    w = world(backends)
    w.agent().play(works(every=every))
    w.machine.faults.disk_full = True
    w.wait(5 * HOUR)
    w.machine.faults.disk_full = False
    w.wait(HOUR)
    assert untouched(w) and w.all_work()


def test_with_a_full_disk_a_death_is_healed_and_its_event_is_written_later() -> None:
    w = world()
    w.wait(HOUR)
    w.machine.faults.disk_full = True
    w.wait(60.0)
    w.kill_agent()
    w.wait(10.0)
    assert w.agent().working and "session.healed" not in w.names()
    assert any(note.cause == "trouble:state" for note in w.notes)
    w.machine.faults.disk_full = False
    w.wait(60.0)
    assert w.names("builder") == ["session.started", "session.exited", "session.healed"]
    assert w.dog is not None and w.dog.memory.troubles == ()


def test_what_cannot_be_read_leads_to_nothing() -> None:
    """The state folder gives errors for an hour; one agent only ever touches its file in it."""
    w = world()
    w.agent().play(touches())
    w.wait(600.0)
    w.machine.faults.state_unreadable = True
    w.wait(HOUR)
    w.machine.faults.state_unreadable = False
    w.wait(HOUR)
    assert untouched(w)


# ------------------------------------------------------------------------------ clocks


@pytest.mark.parametrize("step", [8 * HOUR, -8 * HOUR])
def test_a_step_of_the_date_and_a_suspended_laptop_age_nothing(step: float) -> None:
    w = world()
    w.agent().play(computes())
    w.wait(600.0)
    w.suspend(step)
    w.wait(HOUR)
    assert untouched(w)


def test_a_machine_that_was_paused_ages_nothing() -> None:
    w = world()
    w.wait(600.0)
    w.machine.freeze(2 * HOUR)
    w.wait(HOUR)
    assert untouched(w)


def test_a_supervisor_that_stood_still_counts_no_silence_that_it_did_not_see() -> None:
    """A program that began to hang meanwhile gets its 15 minutes from then on."""
    w = world()
    w.wait(600.0)
    w.agent().play(hangs())
    w.leave_unwatched(HOUR)
    w.wait(800.0)
    assert untouched(w)
    w.wait(HOUR)
    assert w.agent().working


# ------------------------------------------------------------------------------ reboots


@BACKENDS
def test_a_reboot_brings_both_back_with_their_conversations(backends: dict[str, str]) -> None:
    """The clock begins at zero again; nothing of before it counts as an age."""
    w = world(backends)
    w.wait(5 * HOUR)
    w.reboot()
    w.wait(15.0)
    assert w.all_work()
    for role in ROLES:
        old, new = w.lives_of(role)
        assert old.proc.conversation == new.proc.conversation
    w.wait(HOUR)
    assert len(w.lives) == 4 and "session.nudged" not in w.names()


def test_a_sign_of_life_from_before_a_crash_does_not_count_against_the_next_process() -> None:
    """An old activity file; the new process may be silent at its start as long as any other."""
    w = world()
    w.agent().play(touches(60.0), exits(1))
    w.wait(HOUR)
    w.reboot(down=5 * HOUR)
    w.plays("builder", computes(600.0), works(), greets=False)
    w.wait(2 * HOUR)
    assert len(w.lives_of("builder")) == 3 and not w.agent().prompts


# ------------------------------------------------------------------------------ our own death


def heal_of_a_wedged_one(w: World) -> None:
    w.plays("builder", works(1.0), wedged(), leaves_behind=True)
    w.started()
    w.cast.clear()
    w.wait(200.0)


def a_stop_and_a_start(w: World) -> None:
    w.started(30.0)
    w.ask("stop", "builder", grace=2.0)
    w.wait(20.0)
    w.ask("start", "builder")
    w.wait(20.0)


def a_renewal(w: World) -> None:
    """It hangs again after it was healed, so it is healed with a fresh conversation."""
    w.plays("builder", works(1.0), wedged())
    w.started()
    w.wait(150.0)
    w.cast.clear()
    w.wait(150.0)
    lives = [agent.proc.conversation for agent in w.lives_of("builder")]
    assert lives.count(lives[0]) <= 2, "the conversation that was given up is resumed once more"


def a_lost_conversation(w: World) -> None:
    """A client that doesn't find its conversation any more."""
    w.started(30.0)
    w.conversations.known.clear()
    w.kill_agent()
    w.wait(30.0)


QUICK: dict[str, Any] = {
    "stall_after": 60.0,
    "interrupt_after": 20.0,
    "heal_after": 20.0,
    "poll": 5.0,
}


@pytest.mark.parametrize(
    "history", [heal_of_a_wedged_one, a_renewal, a_stop_and_a_start, a_lost_conversation]
)
@BACKENDS
def test_the_supervisor_may_die_at_any_point(
    history: Callable[[World], None], backends: dict[str, str]
) -> None:
    """Before and after everything that it changes in the world; the next one goes on from there.

    The referee sees to it that there are never two on one conversation. What died with the
    supervisor was not answered, so the person asks again.
    """
    whole = World(backends, **QUICK)
    history(whole)
    assert whole.mortality.points
    for point in range(1, whole.mortality.points + 1):
        w = World(backends, **QUICK)
        Referee(w)
        w.mortality.dies_at = point
        history(w)
        w.wait(30.0)
        w.ask("start", *ROLES)
        w.wait_for(w.all_work, 600.0)
        assert w.mortality.dies_at is None, f"it did not die at point {point}"
        assert not any("in use" in agent.script.last_words for agent in w.lives), point


@BACKENDS
@pytest.mark.parametrize("roles", [("builder",), ()])
def test_a_start_on_a_full_disk_outlives_the_supervisor(
    backends: dict[str, str], roles: tuple[str, ...]
) -> None:
    """What stands on the disk says that it was stopped; it works, so it is left at work."""
    w = world(backends)
    w.wait(60.0)
    w.ask("stop", *roles, grace=2.0, everything=not roles)
    w.wait(20.0)
    if not roles:
        w.start_supervisor()
    w.machine.faults.disk_full = True
    w.ask("start", *roles)
    w.wait(20.0)
    lives = len(w.lives)
    w.kill_supervisor()
    w.wait(HOUR)
    assert w.all_work() and len(w.lives) == lives
    w.machine.faults.disk_full = False
    w.wait(60.0)
    w.kill_agent()
    w.wait(20.0)
    assert w.all_work() and len(w.lives) == lives + 1


def test_a_nudge_is_not_typed_again_by_the_next_supervisor() -> None:
    """It died a moment after it had typed; the ladder goes on from where it stood."""
    w = world()
    w.agent().play(hangs())
    w.wait_for(lambda: "session.nudged" in w.names("builder"), 1000.0)
    w.kill_supervisor()
    w.wait(320.0)
    assert [n for n in w.names("builder") if n != "session.started"] == [
        "session.stalled", "session.nudged", "session.interrupted", "session.nudged",
    ]  # fmt: skip


def test_supervisors_that_die_all_the_time_still_heal_a_hang() -> None:
    """One every three minutes."""
    w = world()
    w.agent().play(hangs())
    for _ in range(40):
        w.wait(180.0)
        w.kill_supervisor()
    assert w.agent().working and len(w.lives_of("builder")) == 2
