"""What people do: hold, type, stop, start, restart, nudge."""

from __future__ import annotations

from tests.scripts import NUDGE, hangs, wedged, works
from tests.sight import ROLES
from tests.sim.referee import Referee
from tests.sim.test_stories_agents import CLAUDE, HOUR, world
from tests.sim.test_stories_machine import untouched
from tests.world import World


def test_a_person_holds_types_and_releases() -> None:
    """Held: no key and no heal, over a hang, a death and a reboot. Released: all as before."""
    w = world()
    asked = w.ask("hold", "builder")
    w.wait(1.0)
    assert asked.replies[0].code == 0
    w.agent().play(hangs())
    w.wait(2 * HOUR)
    w.person_types()
    w.kill_agent()
    w.wait(HOUR)
    w.reboot()
    w.wait(HOUR)
    assert len(w.lives_of("builder")) == 1 and not w.agent().prompts
    assert w.agent("adversary").working
    w.ask("release", "builder")
    assert w.wait_for(lambda: w.agent().working, 30.0) < 5.0
    assert w.agent().proc.conversation == w.lives_of("builder")[0].proc.conversation


def test_nothing_is_added_to_what_a_person_is_typing() -> None:
    """Half a line stands in a hung session: a person's for ten minutes after their last key."""
    w = world()
    w.agent().play(hangs(NUDGE))
    for _ in range(30):
        w.wait(120.0)
        w.person_types(text="a")
    assert w.agent().draft == "a" * 30 and not w.agent().prompts
    w.person_leaves()
    w.wait(60.0)
    assert w.agent().working


def test_a_person_who_only_looks_on_keeps_nothing_from_being_healed() -> None:
    w = world()
    w.person_types()
    w.agent().play(hangs())
    w.wait(HOUR)
    assert w.agent().working and len(w.lives_of("builder")) == 2


def test_a_stopped_role_stays_down_over_everything_but_its_own_start() -> None:
    """A dead supervisor, a dead tmux server, a reboot, and a start of whatever isn't running."""
    w = world()
    asked = w.ask("stop", "builder")
    w.wait(5.0)
    assert asked.replies[0].code == 0 and not w.agent().alive
    w.kill_supervisor()
    w.wait(60.0)
    w.machine.end_server()
    w.wait(60.0)
    w.reboot()
    w.wait(60.0)
    w.ask("start")
    w.wait(HOUR)
    assert len(w.lives_of("builder")) == 1 and w.agent("adversary").working
    w.ask("start", "builder")
    w.wait(5.0)
    assert w.agent().proc.conversation == w.lives_of("builder")[0].proc.conversation
    assert w.all_work()


def test_a_stop_ends_everything_and_a_start_brings_the_conversations_back() -> None:
    """Also a deaf agent, and a tool that outlives its agent."""
    w = World()
    Referee(w)
    w.plays("builder", works(5.0), wedged(), leaves_behind=True)
    w.started(60.0)
    asked = w.ask("stop", everything=True)
    w.wait(30.0)
    assert asked.replies[0].code == 0 and w.dog is None
    assert not w.machine.procs and w.machine.server is None
    w.cast.clear()
    w.start_supervisor(begin=True)
    w.wait(10.0)
    for role in ROLES:
        old, new = w.lives_of(role)
        assert new.working and old.proc.conversation == new.proc.conversation


def test_a_stop_is_carried_out_although_tmux_does_not_answer() -> None:
    w = world()
    w.tmux_stalls(10 * HOUR)
    asked = w.ask("stop", everything=True)
    w.wait(120.0)
    assert asked.replies[0].code == 0 and not w.machine.procs


def test_a_restart_keeps_the_conversation_and_a_fresh_one_does_not() -> None:
    w = world(CLAUDE)
    w.wait(HOUR)
    for fresh in (False, True):
        asked = w.ask("restart", "builder", fresh=fresh)
        w.wait(30.0)
        assert asked.replies[0].code == 0
    first, second, third = (agent.proc.conversation for agent in w.lives_of("builder"))
    assert first == second != third
    assert w.all_work() and len(w.lives_of("adversary")) == 1


def test_a_nudge_that_cannot_arrive_is_answered_with_the_reason() -> None:
    """Held, stopped, or tmux silent: nothing is typed hours later."""
    w = world()
    w.ask("hold", "builder")
    w.ask("stop", "adversary")
    w.wait(20.0)
    held = w.ask("nudge", "builder", text="a")
    down = w.ask("nudge", "adversary", text="b")
    w.wait(5.0)
    assert [held.replies[0].code, down.replies[0].code] == [1, 1]
    w.ask("release", "builder")
    w.wait(5.0)
    w.tmux_stalls(60.0)
    silent = w.ask("nudge", "builder", text="c")
    w.wait(HOUR)
    assert silent.replies[0].code == 75
    assert not any(agent.prompts for agent in w.lives)


def test_two_agents_that_work_for_twelve_hours_are_left_alone() -> None:
    w = world(poll=30.0)
    w.wait(12 * HOUR)
    assert untouched(w) and w.notes == []
