"""Typing: the text once, Enter until it is proved, then the word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cc_ci_orch.core.actions import Press, StartSession, Type
from cc_ci_orch.core.events import Name
from cc_ci_orch.core.model import PromptKind, SessionView
from tests.core.builders import COMMAND, Agent, Story, client, role

QUIET_CLIENT = client(traits=COMMAND)
"""Tells how many prompts it has accepted."""


def test_a_nudge_is_proved_by_the_growth_of_the_log() -> None:
    """The text is typed once, and the answer comes with the proof."""
    story = Story().started()
    story.agent().works = False
    number = story.ask("nudge", "builder", text="go on")
    story.wait(1)
    (typed,) = story.actions(Type)
    assert (typed.prompt.kind, typed.prompt.text) == (PromptKind.TEXT, "go on")
    reply = story.reply(number)
    assert reply is not None and reply.code == 0
    event = story.event(Name.SESSION_NUDGED)
    assert (event.proved, event.by) == (True, "operator")


def test_a_client_that_counts_its_prompts_proves_by_that_alone() -> None:
    """A log that grows for another reason proves nothing."""
    story = Story(QUIET_CLIENT)
    story.agent().submissions = 0
    story.started()
    story.agent().answers = False
    number = story.ask("nudge", "builder", text="go on")
    story.wait(5)
    reply = story.reply(number)
    assert reply is not None and reply.code == 1
    story.forget().agent().answers = True
    number = story.ask("nudge", "builder", text="go on")
    story.wait(1)
    reply = story.reply(number)
    assert reply is not None and reply.code == 0


def test_without_proof_enter_is_pressed_again_but_the_text_never() -> None:
    """Then it is a failed nudge."""
    story = Story().started()
    story.agent().works = story.agent().answers = False
    number = story.ask("nudge", "builder", text="go on")
    story.wait(10)
    assert len(story.actions(Type)) == 1
    assert [a.keys for a in story.actions(Press)] == [("Enter",)]
    (typed,), (pressed,) = story.times(Type), story.times(Press)
    assert 2 <= pressed - typed <= 2.2
    reply = story.reply(number)
    assert reply is not None
    assert (reply.code, reply.text) == (1, "can't nudge builder: no sign that it was submitted")
    assert story.event(Name.SESSION_NUDGED).proved is False


def test_what_could_not_be_typed_is_not_followed_by_an_enter() -> None:
    """It would submit whatever else stands there."""
    story = Story().started()
    story.agent().cannot_be_typed = "its process is another one now"
    number = story.ask("nudge", "builder", text="go on")
    story.wait(5)
    assert story.actions(Press) == []
    reply = story.reply(number)
    assert reply is not None
    assert reply.text == "can't nudge builder: its process is another one now"


def test_a_log_that_is_not_being_written_proves_nothing() -> None:
    story = Story().started()
    story.agent().log_counts = False
    number = story.ask("nudge", "builder", text="go on")
    story.wait(5)
    reply = story.reply(number)
    assert reply is not None and reply.code == 1


def test_the_echo_of_a_nudge_does_not_end_a_stall() -> None:
    """The terminal answers for a hung program; the ladder goes on."""
    story = Story().started()
    story.agent().works = story.agent().answers = False
    story.agent().echoes = True
    story.wait(1520)
    assert [s.resume for s in story.actions(StartSession)] == [True]
    assert "session.recovered" not in story.events()


def test_the_echo_is_no_sign_of_life_where_only_the_window_counts() -> None:
    """The same with a dead pipe that can't be armed again."""
    story = Story().started()
    story.agent().works = story.agent().answers = False
    story.agent().echoes = True
    story.agent().log_counts = False
    story.wait(1540)
    assert "session.recovered" not in story.events()
    assert len(story.actions(StartSession)) == 1


def test_a_first_prompt_is_typed_when_the_program_has_drawn_something() -> None:
    """No event of its own: it is part of the start."""
    story = Story(role(types_first=True))
    story.ask("start", everything=True)
    story.wait(5)
    (typed,), (started,) = story.actions(Type), story.times(StartSession)
    assert typed.prompt.kind is PromptKind.KICKOFF
    assert 0 < story.times(Type)[0] - started <= 1
    assert story.events() == ["session.started"]


def test_a_first_prompt_is_typed_after_a_second_at_the_latest() -> None:
    """A program may draw nothing before it is typed to."""
    story = Story(role(types_first=True))
    story.agent().works = False
    story.ask("start", everything=True)
    story.wait(5)
    (typed,), (started,) = story.times(Type), story.times(StartSession)
    assert 1 <= typed - started <= 1.2


def test_a_first_prompt_without_proof_is_a_failed_nudge() -> None:
    story = Story(role(types_first=True))
    story.agent().works = story.agent().answers = False
    story.ask("start", everything=True)
    story.wait(10)
    assert story.event(Name.SESSION_NUDGED).proved is False


def test_a_first_prompt_dies_with_its_process_and_the_next_one_gets_its_own() -> None:
    """Nothing is said of the one that was never typed."""
    story = Story(role(types_first=True))
    story.agent().dies_at_once = True
    story.ask("start", everything=True)
    story.agent().dies_at_once = False
    story.wait(10)
    (typed,) = story.actions(Type)
    assert typed.prompt.kind is PromptKind.RESUME
    assert story.events() == ["session.started", "session.exited", "session.healed"]


def test_a_first_prompt_waits_for_a_hold_and_for_a_person_who_types() -> None:
    """It isn't lost, and it isn't typed into a person's draft."""
    story = Story(role(types_first=True))
    story.ask("start", everything=True)
    story.agent().typed_ago = 3.0
    story.wait(5)
    story.ask("hold", "builder")
    story.agent().typed_ago = None
    story.wait(5)
    assert story.actions(Type) == []
    story.ask("release", "builder")
    story.wait(1)
    assert len(story.actions(Type)) == 1


# ----------------------------------------------------------------- what proves that it was read


class Terminal(Story):
    """Its agent's terminal tells what stands in it unread."""

    reads: bool = True
    keeps: int = 0

    def view(self, name: str, agent: Agent) -> SessionView:
        view = super().view(name, agent)
        typing = self.memory.roles[name].typing if name in self.memory.roles else None
        if typing is None or typing.sent_at is None:
            return view
        return replace(view, unread=0 if self.reads else self.keeps)


def echoing(**changes: Any) -> Terminal:
    story = Terminal(role(**changes))
    story.started()
    story.agent().works = story.agent().answers = False
    story.agent().echoes = True
    return story


def test_a_silent_program_that_reads_its_terminal_proves_by_that() -> None:
    """The whole echo, and nothing left in the terminal: only the program can have taken it."""
    story = echoing()
    number = story.ask("nudge", "builder", text="go on")
    story.wait(5)
    assert story.event(Name.SESSION_NUDGED).proved is True
    reply = story.reply(number)
    assert reply is not None and reply.code == 0
    assert story.actions(Press) == []


def test_the_echo_of_a_terminal_that_nobody_reads_proves_nothing() -> None:
    """It stands there with its Enter, so another Enter would only add an empty line."""
    story = echoing()
    story.reads, story.keeps = False, 6
    number = story.ask("nudge", "builder", text="go on")
    story.wait(10)
    reply = story.reply(number)
    assert reply is not None
    assert (reply.code, story.actions(Press)) == (1, [])
    assert "the program doesn't read it" in reply.text
    assert story.event(Name.SESSION_NUDGED).proved is False


def test_the_echo_of_a_terminal_that_tells_nothing_proves_nothing() -> None:
    story = Story().started()
    story.agent().works = story.agent().answers = False
    story.agent().echoes = True
    number = story.ask("nudge", "builder", text="go on")
    story.wait(10)
    reply = story.reply(number)
    assert reply is not None and reply.code == 1
    assert len(story.actions(Press)) == 1


def test_output_beyond_the_echo_proves_whatever_stands_in_the_terminal() -> None:
    story = echoing()
    story.reads, story.keeps = False, 6
    story.agent().answers = True
    number = story.ask("nudge", "builder", text="go on")
    story.wait(5)
    reply = story.reply(number)
    assert reply is not None and reply.code == 0


def test_a_first_prompt_may_stand_in_the_terminal_of_a_program_that_is_slow_to_begin() -> None:
    """It was given; no event says that it was read."""
    story = Terminal(role(types_first=True))
    story.reads, story.keeps = False, 6
    story.agent().works = story.agent().answers = False
    story.agent().echoes = True
    story.ask("start", everything=True)
    story.wait(10)
    assert story.actions(Press) == []
    assert story.events() == ["session.started"]
