"""Ends and starts that no story reaches by itself."""

from __future__ import annotations

import uuid
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cc_ci_orch.core.actions import AskExit, Close, Kill, StartSession, Terminate
from cc_ci_orch.core.events import Name
from cc_ci_orch.core.model import Liveness, Seen
from cc_ci_orch.core.starting import new_conversation
from tests.core.builders import WAYS_OUT, Story, role


@given(st.integers(0, (1 << 128) - 1), st.text(max_size=32))
def test_a_new_conversation_has_a_version_4_uuid(entropy: int, name: str) -> None:
    """In the canonical form, as a client expects it."""
    text = new_conversation(entropy, name)
    assert str(uuid.UUID(text)) == text
    assert uuid.UUID(text).version == 4


def test_two_roles_that_start_in_one_tick_have_two_conversations() -> None:
    assert new_conversation(5, "builder") != new_conversation(5, "adversary")


def test_a_stop_without_grace_kills_at_once() -> None:
    """Asked once, then KILL; no TERM in between."""
    story = Story().started()
    story.agent().deaf = True
    story.ask("stop", "builder", grace=0.0)
    story.wait(0.1)
    assert [type(a) for a in story.actions(*WAYS_OUT)] == [AskExit, Kill]


def test_a_process_that_can_not_be_killed_is_killed_again() -> None:
    """And nothing is started beside it."""
    story = Story().started()
    story.agent().deaf = story.agent().immortal = True
    story.ask("restart", "builder", grace=0.0)
    story.wait(10)
    assert len(story.actions(Kill)) >= 5
    assert story.actions(StartSession, Terminate) == []


def test_a_stop_while_the_start_is_under_way_waits_for_it() -> None:
    """Two hands on one session would leave a process behind."""
    story = Story()
    story.agent().cannot_start = "later"
    story.ask("start", everything=True)
    story.outcomes = []
    story.memory = replace(
        story.memory,
        roles={"builder": replace(story.mem(), kept_down=True)},
    )
    story.ask("stop", "builder")
    story.wait(5)
    assert story.actions(Close) == []
    assert story.mem().liveness is Liveness.ABSENT
    assert not story.mem().starting


def test_a_heal_says_how_long_it_was_down_and_what_was_resumed() -> None:
    """The evidence of the event."""
    story = Story().started()
    story.die()
    story.wait(1)
    event = story.event(Name.SESSION_HEALED)
    assert event.evidence["resumed"] is True
    assert event.evidence["down_s"] == 0.0
    assert event.evidence["restarts"] == 1
    assert event.why == "its process ended with status 1"


def test_a_session_that_vanished_comes_back() -> None:
    """The tmux server died: no exit status is known of any of them."""
    roles = [role(f"r{i}") for i in range(3)]
    story = Story(*roles).started()
    conversations = [mem.conversation for mem in story.memory.roles.values()]
    for agent in story.agents.values():
        agent.process, agent.session = None, False
    story.wait(5)
    starts = story.actions(StartSession)
    assert [s.conversation for s in starts] == conversations
    assert all(s.resume for s in starts)
    exited = [t.event.why for t in story.told if t.event.name is Name.SESSION_EXITED]
    assert len(exited) == 3 and "unknown status" in exited[0]


def test_a_dead_session_of_a_role_that_is_to_stay_down_is_closed_by_the_next_supervisor() -> None:
    story = Story().started()
    story.ask("stop", "builder")
    story.supervisor_restarts()
    story.wait(3)
    assert story.actions(Close) and not story.agent().session
    assert story.view("builder", story.agent()).presence is Seen.ABSENT
