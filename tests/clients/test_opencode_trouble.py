"""What the model's API refuses to the real opencode, one after the other in one conversation."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from typing import Any

import pytest

from tests.clients.conftest import MakeOpencode
from tests.clients.opencode_instance import OpencodeInstance

pytestmark = pytest.mark.timeout(600)


def told(it: OpencodeInstance) -> list[Any]:
    """What the notifier was given."""
    path = it.folder / "told"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def begun(opencode: MakeOpencode, **settings: str) -> OpencodeInstance:
    """At its prompt, with its first turn behind it, which is slow; then the settings hold."""
    it = opencode()
    it.begin()
    it.until(lambda: "Fake answer" in str(it.messages()))
    it.wait_for("idle")
    it.settings |= {"NOTIFY_COMMAND": f"sh -c 'cat >> {it.folder}/told'", **settings}
    assert it.run("start", "--takeover").code == 0
    it.wait_for("idle")
    return it


def ask(it: OpencodeInstance, how: str) -> None:
    """A turn that the model answers that way."""
    it.behave(how)
    assert it.run("nudge", "builder", f"go on: {how}").code == 0


@pytest.mark.parametrize(
    "how", [("529", "429 20"), pytest.param(("500", "drop"), marks=pytest.mark.slow)]
)
def test_errors_that_it_retries_are_left_alone(opencode: MakeOpencode, how: tuple[str]) -> None:
    """Retrying, past the time of a stall; it goes on when the model does."""
    it = begun(opencode, ORCH_STALL_AFTER="10s")
    for error in how:
        ask(it, error)
        it.wait_for("retrying")
        it.stays("retrying", "working", seconds=13)
        it.behave(f"ok after {error}")
        it.until(lambda error=error: f"after {error}" in str(it.messages()))
        it.wait_for("idle")
    assert len(it.prompts()) == 1 + len(how)
    assert not it.events("session.stalled")
    assert it.session()["restarts"] == 0
    assert told(it) == []
    it.stop()


def test_what_a_person_has_to_mend_is_told_once(opencode: MakeOpencode) -> None:
    """Blocked within seconds, and left alone; once it is mended, a nudge leads on. The second
    block is within a minute of the first: the person is told of it when that is over."""
    it = begun(opencode, ORCH_STALL_AFTER="10s", ORCH_HEAL_AFTER="5m")
    conversation = it.session()["conversation"]
    for number, (how, words) in enumerate((("401", "login"), ("credit", "credit")), 1):
        ask(it, how)
        assert it.wait_for("blocked") < 15
        it.stays("blocked", seconds=13)
        assert words in it.session()["reason"]
        it.until(lambda number=number: len(told(it)) == number)
        ask(it, f"ok after {how}")
        it.until(lambda how=how: f"after {how}" in str(it.messages()))
        it.wait_for("idle")
    assert {note["title"] for note in told(it)} == {"builder is blocked"}
    assert it.session()["conversation"] == conversation
    assert it.session()["restarts"] == 0
    assert not it.events("session.interrupted")
    it.stop()


def test_a_limit_is_slept_out_and_one_without_a_time_is_tried_again(opencode: MakeOpencode) -> None:
    """The stated time is the client's own word; nothing is typed or pressed meanwhile."""
    it = begun(opencode, ORCH_IDLE_NUDGE_AFTER="8s")
    ask(it, "429 7200")
    begin = time.time()
    it.wait_for("limited")
    it.stays("limited", seconds=12)
    plan = it.run("explain", "builder").out
    found = re.search(r"see whether the limit is over, in \S+ \((\S+)\)", plan)
    assert found, plan
    assert 7200 <= datetime.fromisoformat(found[1]).timestamp() - begin <= 7200 + 600
    assert len(it.events("session.limited")) == 1
    assert it.run("restart", "builder").code == 0
    it.behave("ok after the limit")
    it.until(lambda: "after the limit" in str(it.messages()))
    it.wait_for("idle")
    ask(it, "quota")
    it.wait_for("limited")
    it.behave("ok after the quota")
    it.until(lambda: "after the quota" in str(it.messages()))
    it.stop()


def test_a_conversation_that_became_too_long_is_replaced(opencode: MakeOpencode) -> None:
    """It can never go on. A fresh one gets the hand-over text; the event says what was lost."""
    it = begun(opencode, ORCH_HEAL_AFTER="6s")
    before = it.session()["conversation"]
    ask(it, "toolong")
    it.wait_for("blocked")
    it.behave("ok in a fresh one")
    it.until(lambda: it.session()["conversation"] not in (None, before))
    it.until(it.prompts)
    it.wait_for("idle")
    assert "take over from an earlier conversation" in it.prompts()[0]
    assert it.events("session.healed")[-1]["evidence"]["lost_conversation"] == before
    assert len(told(it)) == 1
    it.stop()
