"""What becomes of agents that hang, crash, fall silent or are just slow."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cc_ci_orch.core.model import Liveness
from tests.scripts import (
    NUDGE,
    Act,
    Kind,
    computes,
    exits,
    hangs,
    idles,
    touches,
    wedged,
    works,
)
from tests.sim.referee import Referee
from tests.world import World

HOUR = 3600.0
BUILDER = frozenset({"builder"})
CLAUDE = {"builder": "claude", "adversary": "claude"}


def world(backends: Mapping[str, str] | None = None, *, poll: float = 10.0) -> World:
    """A world with a referee, up and running."""
    made = World(backends, poll=poll)
    Referee(made)
    return made.started()


# ------------------------------------------------------------------------------ hangs


@pytest.mark.parametrize(
    ("backends", "drawn"),
    [({}, 0), ({}, 1500), (CLAUDE, 0)],
    ids=["command", "full-screen command", "client"],
)
def test_a_hang_is_healed_at_the_set_times_and_not_only_logged(
    backends: dict[str, str], drawn: int
) -> None:
    """Nudge after 15 minutes of silence, interrupt 5 later, replace 5 later; same conversation.

    A client's spinner draws all the while, a program's terminal echoes what is typed, or it
    draws that itself: none of it is progress.
    """
    w = world(backends)
    w.terminal.echo, w.terminal.drawn = not drawn, drawn
    first = w.agent()
    first.play(hangs())
    hung_at = w.now
    steps = (("session.nudged", 900), ("session.interrupted", 1200), ("session.healed", 1500))
    for name, due in steps:
        w.wait_for(lambda name=name: name in w.names("builder"), 1800.0)  # type: ignore[misc]
        assert due - 20 <= w.now - hung_at <= due + 20, name
    assert w.agent().working and w.agent() is not first
    assert w.agent().proc.conversation == first.proc.conversation
    assert len(w.lives_of("adversary")) == 1


def test_the_builder_hangs_while_the_adversary_waits_for_hours() -> None:
    """The hang is healed; whose turn it is not is left in peace but for a reminder an hour."""
    w = world({"adversary": "claude"})
    w.turn = BUILDER
    w.agent("adversary").play(idles())
    w.wait(HOUR / 2)
    w.agent().play(hangs())
    w.wait(2.9 * HOUR)
    assert w.agent().working and len(w.lives_of("builder")) == 2
    assert len(w.agent("adversary").prompts) == 3
    assert set(w.names("adversary")) == {"session.started", "session.nudged"}


@pytest.mark.parametrize("wakes", [NUDGE, "Escape", "C-c"])
def test_whatever_wakes_it_it_keeps_its_process(wakes: str) -> None:
    """No step of the ladder is taken that isn't needed."""
    w = world()
    w.agent().play(hangs(wakes))
    w.wait(HOUR)
    assert w.agent().working and len(w.lives_of("builder")) == 1
    assert ("session.interrupted" in w.names("builder")) == (wakes != NUDGE)


def test_one_that_dies_of_ctrl_c_is_started_again_at_once() -> None:
    w = world()
    w.agent().play(hangs(dies_of=["C-c"]))
    w.wait(1300.0)
    assert w.agent().working and len(w.lives_of("builder")) == 2


def test_what_is_deaf_to_all_but_kill_is_gone_with_its_tools_before_the_next_one_starts() -> None:
    """The referee sees to the second half."""
    w = World()
    Referee(w)
    w.plays("builder", works(60.0), wedged(), leaves_behind=True)
    w.started()
    tools = w.machine.children(w.agent().proc.id.pid)
    w.cast.clear()
    w.wait(HOUR)
    assert w.agent().working and len(w.lives_of("builder")) == 2
    assert tools and not any(w.machine.find(tool.id) for tool in tools)


def test_one_that_only_greets_and_hangs_again_does_not_start_from_the_bottom_for_ever() -> None:
    """Resume, then a fresh conversation, then give up, tell a person and try again later."""
    w = world()
    w.plays("builder", works(5.0), hangs())
    w.kill_agent()
    w.wait(3 * HOUR)
    names = [n for n in w.names("builder") if n in ("session.healed", "session.gave_up")]
    assert names[:4] == ["session.healed"] * 3 + ["session.gave_up"]
    assert len({agent.proc.conversation for agent in w.lives_of("builder")}) >= 2
    assert any(note.cause == "gave up:builder" for note in w.notes)
    w.cast.clear()
    w.wait_for(lambda: w.agent().working, 2 * HOUR)


@pytest.mark.parametrize("backends", [{}, CLAUDE], ids=["command", "client"])
def test_a_log_that_is_rotated_during_a_stall_is_no_progress(backends: dict[str, str]) -> None:
    """It passes 16 MiB with the last output, is truncated, and the hang is healed in its time."""
    w = world(backends)
    log = w.seat().log
    w.agent().play(hangs())
    w.machine.grow(log, w.policy.log_max + 1)
    w.wait(60.0)
    assert w.machine.files[log].size < 10_000
    w.wait_for(lambda: len(w.lives_of("builder")) == 2, 1500.0)


# ------------------------------------------------------------------------------ no hangs


@pytest.mark.parametrize(
    "act", [computes(), touches(every=600.0), works(every=800.0)], ids=lambda act: act.kind.name
)
def test_who_works_in_silence_is_left_alone_all_night(act: Act) -> None:
    """CPU of a child, a touched activity file, a line now and then: each is work."""
    w = world()
    w.agent().play(act)
    w.wait(10 * HOUR)
    assert w.names("builder") == ["session.started"] and not w.agent().prompts


def test_a_clients_long_tool_call_is_no_hang_nor_is_the_moment_after_it() -> None:
    """Silent for 100 minutes with a living child; then it takes a moment to go on."""
    w = world(CLAUDE)
    w.agent().play(Act(Kind.SLEEP, 6000.0), works(every=60.0))
    w.wait(3 * HOUR)
    assert w.names("builder") == ["session.started"]


def test_a_limited_client_is_not_called_stalled_nor_is_the_moment_after_it() -> None:
    """Slept out to the stated time, five hours away; it goes on by itself and takes a moment."""
    w = world(CLAUDE)
    until = w.machine.wall + 5 * HOUR
    w.agent().play(Act(Kind.LIMITED, 5 * HOUR, until=until), works(every=90.0))
    w.wait(8 * HOUR)
    names = ["session.started", "session.limited", "session.recovered"]
    assert w.names("builder") == names and not w.agent().prompts


def test_a_dialog_is_left_to_a_person_who_is_told_once() -> None:
    w = world(CLAUDE)
    w.agent().play(Act(Kind.BLOCKED))
    w.wait(5 * HOUR)
    assert [note.cause for note in w.notes] == ["blocked:builder"]
    assert len(w.lives_of("builder")) == 1 and not w.agent().prompts


# ------------------------------------------------------------------------------ deaths


@pytest.mark.parametrize("code", [0, 1])
def test_an_end_is_healed_at_once_with_the_conversation(code: int) -> None:
    w = world()
    w.wait(HOUR)
    first = w.agent()
    first.play(exits(code))
    w.wait(1.0)
    assert w.agent().working and w.agent() is not first
    assert w.agent().proc.conversation == first.proc.conversation


def test_rapid_exits_come_to_a_bounded_number_and_the_flag_expires() -> None:
    """Six starts, then a pause of 30 minutes, and so on; after it one death is one restart."""
    w = world()
    w.plays("builder", exits(1))
    w.kill_agent()
    w.wait(6 * HOUR)
    rounds = 6 * HOUR / w.policy.cooldown + 1
    assert 10 < len(w.lives_of("builder")) <= rounds * (w.policy.max_restarts + 1)
    assert "session.gave_up" in w.names("builder")
    w.cast.clear()
    w.wait_for(lambda: w.agent().working, w.policy.cooldown)
    w.wait(HOUR)
    w.kill_agent()
    assert w.wait_for(lambda: w.agent().working, 5.0) < 2.0
    assert w.mem().gave_up is False


def test_a_conversation_that_the_client_lost_is_not_resumed_again_and_again() -> None:
    """One refusal, then a fresh one with the hand-over text."""
    w = world(CLAUDE)
    w.wait(HOUR)
    w.conversations.known.clear()
    w.kill_agent()
    w.wait(60.0)
    lives = w.lives_of("builder")
    assert [agent.alive for agent in lives] == [False, False, True]
    assert lives[1].proc.conversation == lives[0].proc.conversation != lives[2].proc.conversation
    assert "lost" in w.events("session.healed", role="builder")[-1]["why"]


def test_a_client_that_dies_during_its_start_is_never_told_that_its_id_is_in_use() -> None:
    w = World(CLAUDE)
    Referee(w)
    w.plays("builder", works(0.5), exits(1))
    w.started(60.0)
    w.cast.clear()
    w.wait_for(w.all_work, 2 * HOUR)
    assert not any("in use" in agent.script.last_words for agent in w.lives)


def test_a_death_is_seen_although_tmux_and_the_parent_sleep() -> None:
    """It stays a zombie in a pane that is not marked dead."""
    w = world()
    w.machine.faults.zombies = True
    w.kill_agent()
    w.wait(5.0)
    assert w.agent().working and len(w.lives_of("builder")) == 2


def test_the_next_process_waits_until_a_slow_one_is_gone() -> None:
    """Fifteen seconds from KILL to death; the referee sees that they don't meet."""
    w = world()
    w.machine.faults.slow_death = 15.0
    w.agent().play(wedged())
    w.wait(HOUR)
    assert w.agent().working and len(w.lives_of("builder")) == 2


# ------------------------------------------------------------------------------ typing


def test_a_swallowed_enter_is_pressed_again_and_the_text_is_not_typed_twice() -> None:
    w = World()
    Referee(w)
    w.plays("builder", works(10.0), hangs(NUDGE), swallows=1)
    w.terminal.echo = False
    w.started()
    w.wait(HOUR)
    assert w.agent().working and len(w.agent().prompts) == 1
    assert w.events("session.nudged", role="builder")[0]["proved"] is True


def test_copy_mode_does_not_eat_the_nudge() -> None:
    w = world()
    w.agent().play(hangs(NUDGE))
    w.wait(800.0)
    w.pane().in_mode = True
    w.wait(400.0)
    assert w.agent().working and len(w.agent().prompts) == 1


def test_a_message_to_an_idle_client_arrives_at_once_although_its_screen_stands_still() -> None:
    w = world(CLAUDE)
    w.turn = BUILDER
    w.agent("adversary").play(idles())
    w.wait(1800.0)
    asked = w.ask("nudge", "adversary", text="look at V1")
    w.wait(12.0)
    assert w.agent("adversary").prompts == ["look at V1"]
    assert asked.replies[0].code == 0
    assert w.mem("adversary").liveness is Liveness.WORKING
