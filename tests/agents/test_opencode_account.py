"""What opencode says of itself, as its API says it: captured from opencode 1.18.33."""

from __future__ import annotations

from typing import Any

import pytest

from cc_ci_orch.agents import opencode_screen
from cc_ci_orch.agents.opencode_account import Failure, Sight, Talk, account, is_progress, read_talk
from cc_ci_orch.core.model import Account, Doing

NOW = 1795381890.0
ME = "ses_dfae8833affeiNdbwskNks1ue9"
RETRY = {"type": "retry", "attempt": 1, "message": "Provider is overloaded", "next": 1795381892000}


def seen(**changes: Any) -> Account:
    sight = Sight(**{"conversation": ME, "talk": Talk(), **changes})
    told = account(sight, NOW)
    assert told is not None
    return told


def test_absent_from_the_status_it_is_idle() -> None:
    assert seen() == Account(Doing.IDLE, "it is at its prompt")


def test_without_a_conversation_it_says_nothing() -> None:
    assert account(Sight(), NOW) is None


def test_a_subagent_works_for_it() -> None:
    told = seen(status={"ses_child": {"type": "busy"}})
    assert (told.doing, told.why) == (Doing.BUSY, "a subagent of it is busy")


def test_a_retry_is_one_unless_it_is_far_away() -> None:
    told = seen(status={ME: RETRY})
    assert told.doing is Doing.RETRYING and "overloaded" in told.why and not told.timed_out
    later = {**RETRY, "next": (NOW + 3600) * 1000}
    told = seen(status={ME: later})
    assert (told.doing, told.until) == (Doing.LIMITED, NOW + 3600)


def test_a_retry_after_a_timeout_is_part_of_the_hang() -> None:
    told = seen(status={ME: {**RETRY, "message": "The operation timed out."}})
    assert told.doing is Doing.RETRYING and told.timed_out


def test_a_usage_limit_without_a_time_is_one() -> None:
    message = "You've hit your session limit - resets 3pm"
    told = seen(status={ME: {**RETRY, "message": message}})
    assert (told.doing, told.until) == (Doing.LIMITED, None)


@pytest.mark.parametrize(
    "permissions, questions, why",
    [
        (({"permission": "bash", "patterns": ["touch made"]},), (), "bash (touch made)"),
        ((), ({"questions": [{"question": "Which one?"}]},), "an answer: (Which one?)"),
    ],
)
def test_what_waits_for_a_person_blocks_it(permissions: Any, questions: Any, why: str) -> None:
    """Although its status is busy."""
    told = seen(status={ME: {"type": "busy"}}, permissions=permissions, questions=questions)
    assert told.doing is Doing.BLOCKED and why in told.why


@pytest.mark.parametrize(
    "error, doing, words",
    [
        (Failure("APIError", "invalid api key", 401), Doing.BLOCKED, "its login fails"),
        (Failure("APIError", "OAuth token has been revoked", 403), Doing.BLOCKED, "login"),
        (Failure("ProviderAuthError", "no key"), Doing.BLOCKED, "login"),
        (Failure("APIError", "Insufficient credits", 402), Doing.BLOCKED, "no credit"),
        (Failure("APIError", "Your credit balance is too low", 400), Doing.BLOCKED, "no credit"),
        (Failure("ContextOverflowError", "too large"), Doing.BLOCKED, "too long"),
        (Failure("ProviderModelNotFoundError", "x/y"), Doing.BLOCKED, "model isn't there"),
        (Failure("APIError", "slow down", 429), Doing.LIMITED, "slow down"),
        (Failure("MessageAbortedError", "Aborted"), Doing.IDLE, "interrupted"),
        (Failure("UnknownError", "boom"), Doing.IDLE, "boom"),
    ],
)
def test_how_its_last_turn_ended(error: Failure, doing: Doing, words: str) -> None:
    told = seen(talk=Talk(error=error))
    assert told.doing is doing and words in told.why


def test_one_that_is_too_long_is_spent_if_it_ever_worked() -> None:
    """A fresh one can go on then; one that never worked shows that it couldn't."""
    error = Failure("ContextOverflowError", "too large")
    assert seen(talk=Talk(error=error, worked=True)).spent
    assert not seen(talk=Talk(error=error)).spent


# ------------------------------------------------------------------------------- messages


def message(id: str, role: str, *parts: Any, **info: Any) -> Any:
    return {"info": {"id": id, "role": role, **info}, "parts": list(parts)}


def text(words: str, **more: Any) -> Any:
    return {"id": f"prt_{words}", "type": "text", "text": words, **more}


def tool(status: str) -> Any:
    return {"id": "prt_tool", "type": "tool", "tool": "bash", "state": {"status": status}}


def test_a_conversation_is_read_from_its_newest_messages() -> None:
    """Prompts are counted, not the client's own messages; an old error is forgotten."""
    error = {"name": "APIError", "data": {"message": "no", "statusCode": 401}}
    talk = [
        message("m1", "user", text("begin")),
        message("m2", "assistant", error=error),
    ]
    assert read_talk(talk).error == Failure("APIError", "no", 401)
    talk += [message("m3", "user", {"type": "compaction"}), message("m4", "user", text("go on"))]
    told = read_talk(talk)
    assert (told.prompts, told.error) == ({"m1", "m4"}, None)
    talk.append(message("m5", "assistant", text("I do"), tool("running")))
    working = read_talk(talk)
    assert working.open_tools == {"prt_tool"}
    talk[-1] = message("m5", "assistant", text("I do"), tool("completed"))
    assert read_talk(talk).open_tools == frozenset()
    assert read_talk(talk).mark != working.mark


@pytest.mark.parametrize("junk", [[], [{}], [{"info": 3, "parts": 4}], [message("m", "user")]])
def test_messages_of_another_shape_say_nothing(junk: Any) -> None:
    assert read_talk(junk).error is None and read_talk(junk).prompts == frozenset()


def part(value: Any, of: str = "m2") -> Any:
    return {"type": "message.part.updated", "properties": {"part": {"messageID": of, **value}}}


@pytest.mark.parametrize(
    "event, work",
    [
        ({"type": "message.part.delta", "properties": {"messageID": "m2"}}, True),
        (part({"type": "step-start"}), False),
        (part(tool("running")), True),
        (part(tool("completed")), True),
        (part(text("", time={"start": 1})), False),
        (part(text("yes", time={"start": 1, "end": 2})), True),
        (part(text("a prompt")), False),
        (part(text("x", time={"start": 1}), of="m1"), False),
        (part({"type": "tool", "state": {"status": "error", "error": "Tool aborted"}}), False),
        ({"type": "session.status", "properties": {}}, False),
        ({"type": "server.heartbeat"}, False),
        ({"type": "message.updated", "properties": {"info": {}}}, False),
    ],
)
def test_what_is_work_and_what_is_our_own_doing(event: Any, work: bool) -> None:
    assert is_progress(event, {"m1"}) is work


# --------------------------------------------------------------------------------- screens

BOX = """
  ┃
  ┃  first prompt
  ┃
     Fake answer 2.
     ▣  Build · Fake1 · 6.7s

  ┃                                               Context
  ┃  {draft}
  ┃
  ┃  Build · Fake1 Fake
  ╹▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀
   /tmp/oc/w                                105 (0%)
"""


@pytest.mark.parametrize(
    "draft, box",
    [("", ""), ("half a thought", "half a thought"), ('Ask anything… "Fix a TODO"', "")],
)
def test_a_draft_in_its_box_is_seen(draft: str, box: str) -> None:
    assert opencode_screen.read(BOX.replace("{draft}", draft)).box == box


def test_a_screen_without_a_box_has_none() -> None:
    asks = "  ┃  △ Permission required\n  ┃\n  ┃   Allow once   Allow always   Reject\n"
    assert opencode_screen.read(asks).box is None


def test_the_model_has_not_been_asked_about_a_prompt_at_first() -> None:
    """A prompt that waits behind an answer under way is another matter: that one may hang."""
    first = message("m1", "user", text("begin"))
    assert read_talk([first]).unasked
    under_way = [first, message("m2", "assistant", time={"created": 1})]
    assert not read_talk(under_way).unasked
    assert not read_talk([*under_way, message("m3", "user", text("more"))]).unasked
    ended = [first, message("m2", "assistant", time={"created": 1, "completed": 2})]
    assert not read_talk(ended).unasked
    assert read_talk([*ended, message("m3", "user", text("more"))]).unasked
    assert not read_talk([]).unasked
