"""A client with exact evidence: dialogs that are answered, blocks told once, hangs in retries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cc_ci_orch.core import liveness
from cc_ci_orch.core.actions import Notify, Press, Type
from cc_ci_orch.core.events import Name
from cc_ci_orch.core.model import Account, Doing, Liveness, SessionView
from tests.core.builders import BUSY, IDLE, Agent, Story, client
from tests.core.test_inbox import VERDICT

LOGIN = Account(Doing.BLOCKED, "a person is needed: its login fails (401)", recheck=True)


class Client(Story):
    """Its agent can show a dialog, and choose its conversation."""

    shows: str | None = None
    chose: str | None = None

    def view(self, name: str, agent: Agent) -> SessionView:
        view = super().view(name, agent)
        if view.process is None:
            return view
        return replace(view, answer=self.shows, conversation=self.chose)


def started(**policy: Any) -> Client:
    story = Client(client(), **policy)
    story.agent().submissions = 0
    story.agent().signals = {"transcript": 0}
    story.agent().account = BUSY
    story.started()
    return story


def test_a_client_that_has_not_taken_its_first_prompt_yet_is_starting_not_idle() -> None:
    """It stands on its command line; if it was lost, the client is idle like any other."""
    story = Client(client())
    story.agent().submissions = 0
    story.agent().account = IDLE
    story.started(2)
    assert story.mem().liveness is Liveness.STARTING
    story.wait(31)
    assert story.mem().liveness is Liveness.IDLE


def test_a_login_that_was_mended_is_tried_at_once_and_only_once() -> None:
    """What the client needs may be there now. If it isn't, the next try has time."""
    story = started()
    story.agent().account = LOGIN
    story.wait(600)
    assert story.actions(Type) == []
    story.agent().works = False
    story.agent().account = replace(LOGIN, again=True)
    story.wait(300)
    assert len(story.actions(Type)) == 1
    story.wait(1800)
    assert len(story.actions(Type)) == 2


def test_a_known_dialog_is_answered_key_by_key() -> None:
    """As the screen asks for it; nothing is typed meanwhile."""
    story = started()
    story.shows = "Down"
    story.tick()
    story.shows = None
    story.wait(1)
    story.shows = "Enter"
    story.tick()
    story.shows = None
    pressed = story.actions(Press)
    assert [(p.keys, p.dialog) for p in pressed] == [(("Down",), True), (("Enter",), True)]
    assert story.actions(Type) == []


def test_a_limit_that_begins_with_a_dialog_is_told_once() -> None:
    """Its menu is answered in the same moments; one that is over soon is nobody's business."""
    story = started()
    story.agent().account = Account(Doing.LIMITED, "weekly limit", until=story.wall + 90000)
    story.shows = "Down"
    story.wait(3)
    story.shows = None
    story.wait(600)
    assert [n.cause for n in story.actions(Notify)] == ["limited:builder"]
    assert story.events().count("session.limited") == 1

    story = started()
    story.agent().account = Account(Doing.LIMITED, "a limit", until=story.wall + 600)
    story.wait(600)
    assert story.actions(Notify) == []


def test_a_held_role_answers_no_dialog() -> None:
    story = started()
    story.ask("hold", "builder")
    story.shows = "Enter"
    story.wait(10)
    assert story.actions(Press) == []


def test_a_login_is_told_once_and_tried_again_now_and_then() -> None:
    """Each try ends as before, with other words even; only work makes it news again."""
    story = started()
    story.agent().account = LOGIN
    story.wait(1900)
    assert len(story.actions(Type)) == 1, "tried again after the cool-down"
    story.agent().account = BUSY
    story.wait(4)
    story.agent().account = replace(LOGIN, why="a person is needed: its login fails (expired)")
    story.wait(10)
    assert len(story.actions(Notify)) == 1
    story.agent().account = BUSY
    story.wait(4)
    story.agent().signals = {"transcript": 7}
    story.wait(4)
    story.agent().account = LOGIN
    story.wait(4)
    assert len(story.actions(Notify)) == 2
    assert len(story.when(Name.SESSION_HEALED)) == 0


def test_a_dialog_of_a_persons_is_not_typed_into() -> None:
    story = started()
    story.agent().account = Account(Doing.BLOCKED, "it shows a dialog")
    story.wait(20_000)
    assert story.actions(Type, Press) == []
    assert len(story.actions(Notify)) == 1


def test_a_person_may_try_a_login_again() -> None:
    story = started()
    story.agent().account = LOGIN
    story.wait(4)
    story.ask("nudge", "builder", text="it is paid")
    story.wait(2)
    assert len(story.actions(Type)) == 1


def test_a_retry_after_a_timeout_is_a_hang_in_time() -> None:
    """An error that comes back isn't."""
    for timed_out, expected in ((True, Liveness.STALLED), (False, Liveness.RETRYING)):
        story = started(stall_after=900.0)
        story.agent().account = Account(Doing.RETRYING, "again", timed_out=timed_out)
        story.wait(880)
        assert story.mem().liveness is Liveness.RETRYING
        story.wait(40)
        assert story.mem().liveness is expected


def test_a_counter_that_was_not_looked_at_shows_no_progress() -> None:
    """What it was in another turn can't be compared."""
    story = started()
    story.agent().signals = {"transcript": 0, liveness.TOKENS: "12"}
    story.wait(4)
    before = story.mem().progress_at
    story.agent().signals = {"transcript": 0}
    story.wait(4)
    story.agent().signals = {"transcript": 0, liveness.TOKENS: "5"}
    story.wait(4)
    assert story.mem().progress_at == before
    story.agent().signals = {"transcript": 0, liveness.TOKENS: "6"}
    story.wait(4)
    assert story.mem().progress_by == liveness.TOKENS


def test_a_conversation_that_the_client_chose_is_the_one_to_resume() -> None:
    story = started()
    story.chose = "ses_own"
    story.agent().account = IDLE
    story.wait(2)
    assert story.mem().conversation == "ses_own"


def test_a_long_tool_is_expected_to_end_by_its_own_limit() -> None:
    """Past `stall_after`, `explain` names the time at which the tool counts as a hang."""
    story = started(stall_after=900.0, tool_max=7200.0)
    story.agent().account = replace(BUSY, tool_open=True)
    story.agent().children = 1
    begun = story.now
    story.wait(1800)
    mem = story.mem()
    assert mem.liveness is Liveness.WORKING
    assert mem.next_at is not None and 7190 <= mem.next_at - begun <= 7210


def test_hand_offs_on_the_command_line_that_are_never_submitted_are_tried_again() -> None:
    """A dialog may stand before the prompt; after `start_grace` it is a failed delivery."""
    story = started(start_grace=120.0)
    story.agent().account = IDLE
    mem = replace(story.mem(), inbox=(VERDICT,), inbox_retry_at=story.now + 1)
    story.memory = replace(story.memory, roles={"builder": mem})
    story.agent().answers = False
    story.ask("restart", "builder")
    story.wait(125)
    failed = story.event(Name.HANDOFF_FAILED)
    assert (failed.handoff, failed.why) == (VERDICT.name, "no sign that it was submitted")
    assert story.mem().inbox == (VERDICT,)
    story.agent().answers = True
    story.wait(60)
    assert story.mem().inbox == () and "handoff.delivered" in story.events()


def test_a_tool_that_has_just_ended_is_work_until_the_client_has_had_its_time() -> None:
    """Its process is gone a moment before its result is written down; a hang after it is one."""
    story = started()
    story.agent().account = replace(BUSY, tool_open=True)
    story.agent().children = 1
    story.wait(1800)
    assert story.mem().liveness is Liveness.WORKING
    story.agent().children = 0
    story.wait(600)
    assert story.mem().liveness is Liveness.WORKING
    story.wait(310)
    assert story.mem().liveness is Liveness.STALLED
