"""Prompts into the real opencode: each arrives exactly once, or is reported as not submitted."""

from __future__ import annotations

import pytest

from tests.clients.conftest import MakeOpencode

pytestmark = pytest.mark.timeout(600)


def test_nudges_arrive_exactly_once_in_every_state(opencode: MakeOpencode) -> None:
    """Just after the start, at the prompt, in copy mode, while it is busy, beside a draft."""
    it = opencode()
    it.start()
    early = it.run("nudge", "builder", "so early", timeout=120)
    it.until(lambda: len(it.prompts()) >= 1)
    it.wait_for("idle")
    assert early.code == 0, early
    it.tmux("copy-mode", "-t", "=cc-ci-builder:")
    assert it.run("nudge", "builder", "from copy mode").code == 0
    it.wait_for("idle")
    it.tmux("send-keys", "-X", "-t", "=cc-ci-builder:", "cancel")
    it.tmux("send-keys", "-l", "-t", "=cc-ci-builder:", "half a thought")
    it.until(lambda: "half a thought" in it.screen())
    it.behave("slow 10 1")
    assert it.run("nudge", "builder", "long work").code == 0
    it.wait_for("working")
    it.behave("ok")
    assert it.run("nudge", "builder", "while busy\n" + "line\n" * 60).code == 0
    it.wait_for("idle")
    told = it.prompts()
    for words in ("so early", "from copy mode", "long work", "while busy"):
        assert sum(words in text for text in told) == 1, told
    assert "half a thought" in it.screen(), "a person's draft is left alone"
    assert not any("half a thought" in text for text in told)
    it.stop()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_nudges_in_a_row_arrive_once_each(opencode: MakeOpencode) -> None:
    """At its prompt and while it is busy with the one before, as it comes."""
    it = opencode(ORCH_STALL_AFTER="5m")
    it.begin()
    it.wait_for("idle")
    for number in range(50):
        done = it.run("nudge", "builder", f"number {number}.", timeout=120)
        assert done.code == 0, (number, done, it.screen())
    it.wait_for("idle", timeout=120)
    counts = {n: sum(text == f"number {n}." for text in it.prompts()) for n in range(50)}
    assert counts == dict.fromkeys(range(50), 1)
    it.stop()
