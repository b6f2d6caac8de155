"""Hand-offs on their way: typed when they can be taken, kept until their delivery is proved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cc_ci_orch.core.actions import Press, StartSession, Type
from cc_ci_orch.core.events import Name
from cc_ci_orch.core.handoff import Handoff, Kind
from cc_ci_orch.core.model import Account, Doing
from cc_ci_orch.core.protocol import Word
from tests.core.builders import BUSY, IDLE, Story, client, role

VERDICT = Handoff(7, "builder", Kind.VERDICT, 1, "1", "V1", "abc1234", word=Word.FAIL)


def handed(story: Story) -> Story:
    """A hand-off waits for the builder from now on."""
    mem = replace(story.mem(), inbox=(VERDICT,))
    story.memory = replace(story.memory, roles={**story.memory.roles, "builder": mem})
    return story


def test_a_hand_off_is_typed_and_leaves_the_inbox_with_its_proof() -> None:
    """Once, with its number; the event is its own, not a nudge's."""
    story = handed(Story().started())
    story.wait(10)
    (typed,) = story.actions(Type)
    assert VERDICT.text in typed.prompt.text
    assert story.events() == ["handoff.delivered"]
    assert story.event(Name.HANDOFF_DELIVERED).handoff == "H-7"
    assert story.mem().inbox == ()


def test_a_program_that_says_nothing_has_taken_it_if_it_lives_on() -> None:
    """Typed, Enter, submit_wait without its death; Enter isn't pressed again."""
    story = handed(Story().started())
    story.agent().works = story.agent().answers = False
    story.wait(10)
    assert story.events() == ["handoff.delivered"]
    assert story.actions(Press) == []


@pytest.mark.parametrize(
    ("account", "typed"),
    [
        (IDLE, 1),
        (BUSY, 0),
        (replace(BUSY, queues=True), 1),
        (Account(Doing.BLOCKED, "a dialog"), 0),
        (Account(Doing.LIMITED, "a limit"), 0),
    ],
)
def test_a_client_gets_it_when_it_can_take_it(account: Account, typed: int) -> None:
    """At its prompt, or while it provably queues; never into a dialog."""
    story = Story(client())
    story.agent().account = account
    story.agent().submissions = 0
    handed(story.started()).wait(30)
    assert len(story.actions(Type)) == typed
    assert len(story.mem().inbox) == 1 - typed


def test_a_delivery_without_proof_is_tried_again_later_with_the_same_number() -> None:
    """30 s, a minute, two minutes …; nothing is lost."""
    story = Story(client())
    story.agent().account, story.agent().submissions = replace(BUSY, queues=True), 0
    handed(story.started())
    story.agent().answers = False
    story.wait(120)
    times = story.times(Type)
    assert 30 <= times[1] - times[0] <= 36
    assert 60 <= times[2] - times[1] <= 66
    assert set(story.events()) == {"handoff.failed"}
    story.agent().answers = True
    story.wait(130)
    assert story.mem().inbox == ()
    assert len({typed.prompt.text for typed in story.actions(Type)}) == 1


@pytest.mark.parametrize("types_first", [True, False])
def test_a_healed_agent_gets_it_with_its_first_prompt(types_first: bool) -> None:
    """Typed or on the command line; it leaves the inbox when the new process lives on."""
    story = handed(Story(role(types_first=types_first)).started())
    story.die()
    story.wait(1)
    (start,) = story.actions(StartSession)
    assert VERDICT.text in start.prompt.more
    assert story.mem().inbox == (VERDICT,) or types_first
    story.wait(10)
    assert story.events().count("handoff.delivered") == 1
    assert len(story.actions(Type)) == types_first


def test_a_first_prompt_that_dies_with_its_process_keeps_the_hand_off() -> None:
    """It comes with the next one."""
    story = handed(Story().started())
    story.agent().dies_at_once = True
    story.die()
    story.wait(4)
    assert story.mem().inbox == (VERDICT,)
    story.agent().dies_at_once = False
    story.wait(20)
    assert story.mem().inbox == ()
    assert story.events().count("handoff.delivered") == 1


def test_a_hold_keeps_the_hand_off_until_the_release() -> None:
    story = handed(Story().started())
    story.ask("hold", "builder")
    story.wait(60)
    assert story.mem().inbox == (VERDICT,)
    story.ask("release", "builder")
    story.wait(10)
    assert story.mem().inbox == ()
