"""A client that chooses the ids of its conversations, and takes prompts in a way of its own."""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core import liveness
from cc_ci_orch.core.actions import Press, StartSession, Type
from cc_ci_orch.core.events import Name
from cc_ci_orch.core.model import Liveness, PromptKind, Rung, SessionView
from tests.core.builders import BUSY, CLIENT, IDLE, Agent, Story, client

TWO_KEYS = replace(CLIENT, interrupt=("Escape", "Escape"))


class Chooser(Story):
    """Its agent tells its conversation, whether it is ready, and what can't be read."""

    chose: str | None = None
    not_ready = False
    submitting = False
    unreadable: tuple[str, ...] = ()

    def view(self, name: str, agent: Agent) -> SessionView:
        view = super().view(name, agent)
        if view.process is None:
            return view
        return replace(
            view,
            conversation=self.chose,
            not_ready=self.not_ready,
            submitting=self.submitting,
            unreadable=self.unreadable,
        )


def chooser() -> Chooser:
    story = Chooser(client(own_ids="ses_", types_resumed=True, traits=TWO_KEYS))
    story.agent().submissions = 1
    story.agent().signals = {"messages": 0}
    story.agent().account = BUSY
    return story


def test_a_conversation_that_was_learnt_is_resumed_and_its_prompt_typed() -> None:
    """The new one's stands on the command line, the resumed one's can't."""
    story = chooser()
    story.started()
    assert story.actions(Type) == []
    story.chose = "ses_1"
    story.wait(700)
    story.die()
    story.wait(10)
    (started,) = story.actions(StartSession)
    assert (started.conversation, started.resume) == ("ses_1", True)
    assert started.prompt.kind is PromptKind.RESUME
    assert [typed.prompt.kind for typed in story.actions(Type)] == [PromptKind.RESUME]


def test_a_conversation_that_was_never_learnt_begins_anew() -> None:
    """It died before it told: what it was given can't be found again."""
    story = chooser()
    story.started()
    first = story.mem().conversation
    story.die()
    story.wait(10)
    (started,) = story.actions(StartSession)
    assert started.conversation != first
    assert (started.resume, started.prompt.kind) == (False, PromptKind.HANDOVER)


def test_nothing_is_typed_before_the_client_can_take_it() -> None:
    """A nudge just after the start waits; not for ever."""
    story = chooser()
    story.started(0.2)
    story.not_ready = True
    story.ask("nudge", "builder", text="so early")
    story.wait(30)
    assert story.actions(Type) == []
    story.not_ready = False
    story.wait(1)
    assert len(story.actions(Type)) == 1
    story.not_ready = True
    story.wait(200)
    story.ask("nudge", "builder", text="later")
    story.wait(1)
    assert len(story.actions(Type)) == 2, "past its grace it is tried"


def test_a_prompt_that_is_under_way_is_waited_for() -> None:
    """However long: it is neither lost nor reported before the client has said so."""
    story = chooser()
    story.started()
    story.agent().answers = False
    story.submitting = True
    number = story.ask("nudge", "builder", text="go on")
    story.wait(30)
    assert story.reply(number) is None
    story.submitting = False
    story.wait(10)
    reply = story.reply(number)
    assert reply is not None and reply.code == 1
    assert story.event(Name.SESSION_NUDGED).proved is False


def test_a_client_that_cannot_be_read_and_stands_still_is_unknown() -> None:
    """Nothing follows from that: it may be idle, or its server may be down."""
    story = chooser()
    story.agent().account = IDLE
    story.started()
    story.agent().account = None
    story.agent().works = False
    story.unreadable = ("API",)
    story.wait(1000)
    assert story.mem().liveness is Liveness.UNKNOWN
    assert "can't read its API" in story.mem().reason
    assert story.actions(Type) == []


def test_a_client_that_starts_slowly_is_no_stalled_one() -> None:
    """Its silence counts from when it can work."""
    story = chooser()
    story.not_ready = True
    story.started()
    story.wait(1000)
    assert story.mem().liveness is Liveness.WORKING
    story.not_ready = False
    story.wait(800)
    assert story.mem().liveness is Liveness.WORKING
    story.wait(120)
    assert story.mem().liveness is Liveness.STALLED


def test_a_tool_that_runs_elsewhere_is_work_without_a_child() -> None:
    """Its process can't be seen; that it is open is all there is, up to `tool_max`."""
    story = chooser()
    story.agent().account = replace(BUSY, tool_open=True, elsewhere=True)
    story.agent().children = 0
    story.started()
    story.wait(7000)
    assert "session.stalled" not in story.events()
    story.wait(300)
    assert "session.stalled" in story.events()


def test_an_interrupt_that_works_is_followed_by_a_nudge_and_no_further_key() -> None:
    """The client is at its prompt at once, and what it was doing is to go on."""
    story = chooser()
    story.started()
    story.agent().answers = False
    story.wait(900 + 10)
    story.forget()
    while not story.actions(Press):
        story.wait(1)
    story.agent().account = IDLE
    story.wait(3)
    keys = [press.keys for press in story.actions(Press) if press.keys != ("Enter",)]
    assert keys == [("Escape",)]
    assert [typed.prompt.kind for typed in story.actions(Type)] == [PromptKind.STALLED]


def test_silence_begins_with_the_request_and_the_request_is_no_progress() -> None:
    """A client that asks its model late isn't stalled yet; one that asks again and again, in
    vain, climbs on."""
    story = chooser()
    story.agent().signals[liveness.BEGUN] = 1
    story.started()
    story.wait(800)
    story.agent().signals[liveness.BEGUN] = 2
    story.wait(880)
    assert "session.stalled" not in story.events()
    assert story.mem().progress_at is None
    story.wait(40)
    assert "session.stalled" in story.events()
    assert story.mem().rung is Rung.NUDGED
    story.agent().signals[liveness.BEGUN] = 3
    story.wait(20)
    assert story.mem().rung is Rung.NUDGED
