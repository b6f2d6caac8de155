"""What the watchdog makes of the real opencode in each state, and what it does about it."""

from __future__ import annotations

import time

import pytest

from tests.clients.conftest import MakeOpencode

pytestmark = pytest.mark.timeout(600)


def test_an_answered_prompt_leaves_it_idle_and_a_nudge_is_proved(opencode: MakeOpencode) -> None:
    """Its conversation's own id stands in `status` as soon as it has one."""
    it = opencode()
    it.begin()
    it.wait_for("idle")
    assert it.session()["conversation"].startswith("ses_")
    assert len(it.prompts()) == 1
    done = it.run("nudge", "builder", "!echo a nudge\nof two lines")
    assert done.code == 0, done
    it.wait_for("idle")
    assert it.prompts()[1:] == ["> !echo a nudge\nof two lines"]
    it.stop()


def test_a_hang_is_nudged_interrupted_and_healed_with_the_same_conversation(
    opencode: MakeOpencode,
) -> None:
    """The API never answers: its spinner goes on, and its log stays fresh."""
    it = opencode(ORCH_STALL_AFTER="30s")
    it.begin()
    it.wait_for("idle")
    conversation, pid = it.session()["conversation"], it.session()["pid"]
    it.behave("hang 600")
    begin = time.monotonic()
    assert it.run("nudge", "builder", "go on").code == 0
    it.wait_for("stalled")
    assert 29 < time.monotonic() - begin < 60
    it.until(lambda: it.events("session.interrupted"))
    it.until(lambda: it.events("session.healed"))
    it.behave("ok after the heal")
    it.until(lambda: it.session()["pid"] not in (None, pid))
    it.until(lambda: "after the heal" in str(it.messages(conversation)))
    assert it.session()["conversation"] == conversation
    assert it.requests()[-1]["turns"] > 3, "the model is told the earlier turns"
    it.stop()
