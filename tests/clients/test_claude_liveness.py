"""What the watchdog makes of the real Claude Code in each state, and what it does about it."""

from __future__ import annotations

import time

import pytest

from tests.clients.conftest import Make


def test_an_answered_prompt_leaves_it_idle_and_a_nudge_is_proved(claude: Make) -> None:
    """A fresh machine: its folder is trusted, nobody is asked, the first prompt is taken."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.begin()
    assert len(it.prompts()) == 1
    done = it.run("nudge", "builder", "!echo a nudge\nof two lines")
    assert done.code == 0, done
    it.until(lambda: len(it.prompts()) == 2)
    assert it.prompts()[1] == "> !echo a nudge\nof two lines"
    it.stop()


def test_its_word_wakes_the_watchdog_at_once(claude: Make) -> None:
    """Between two ticks that are minutes apart, it is seen to begin, to end, and to ask."""
    it = claude(ORCH_POLL="4m", ORCH_IDLE_NUDGE_AFTER="30m", ORCH_STALL_AFTER="20m")
    it.ask_before("Bash(touch:*)")
    it.begin()
    it.behave("slow 4 1")
    assert it.run("nudge", "builder", "work").code == 0
    it.wait_for("working", timeout=10)
    it.wait_for("idle", timeout=15)
    it.behave("tool touch made")
    assert it.run("nudge", "builder", "ask").code == 0
    it.wait_for("blocked", timeout=15)
    it.stop()


def test_a_hang_is_nudged_interrupted_and_healed_with_the_same_conversation(claude: Make) -> None:
    """The API never answers: its spinner goes on, and its log stays fresh."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.begin()
    conversation, pid = it.session()["conversation"], it.session()["pid"]
    it.behave("hang 600")
    begin = time.monotonic()
    assert it.run("nudge", "builder", "go on").code == 0
    it.wait_for("stalled")
    assert 7 < time.monotonic() - begin < 30
    it.until(lambda: it.events("session.interrupted"))
    it.until(lambda: it.events("session.healed"), 40)
    it.behave("ok after the heal")
    it.wait_for("idle")
    now = it.session()
    assert now["conversation"] == conversation
    assert now["pid"] != pid
    assert "after the heal" in str(it.records()[-12:])
    assert it.requests()[-1]["turns"] > 2, "the model is told the earlier turns"
    it.stop()


def test_a_stream_that_stops_in_the_middle_is_stalled(claude: Make) -> None:
    """It says `esc to interrupt` and draws on."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m", ORCH_INTERRUPT_AFTER="5m")
    it.behave("silent 600")
    it.start()
    it.until(it.prompts)
    assert 6 < it.wait_for("stalled") < 30
    it.stop()


def test_words_that_come_slowly_are_work(claude: Make) -> None:
    """The record and the log tell a stream from a hang as little as the screen's movement does."""
    it = claude(ORCH_STALL_AFTER="10s", ORCH_IDLE_NUDGE_AFTER="5m")
    it.behave("slow 24 5")
    it.start()
    it.until(it.prompts)
    it.stays("starting", "working", seconds=20)
    it.wait_for("idle")
    assert not it.events("session.nudged")
    it.stop()


def test_a_subagent_at_work_is_work(claude: Make) -> None:
    """The client itself only waits for it; nothing but the subagent's counter moves."""
    it = claude(ORCH_STALL_AFTER="6s", ORCH_IDLE_NUDGE_AFTER="5m")
    it.behave("delegate 20 0.01")
    it.start()
    it.until(lambda: [r for r in it.requests() if r["delegated"]])
    it.behave("ok")
    it.until(lambda: "Waiting for 1 background agent" in it.screen())
    it.stays("working", seconds=14)
    it.wait_for("idle")
    assert not it.events("session.stalled")
    it.stop()


@pytest.mark.parametrize("command", ["tail -f /dev/null", "sh -c 'while :; do :; done'"])
def test_a_long_tool_is_work(claude: Make, command: str) -> None:
    """Silent or at full speed: it has a child, and neither that nor the client says a word."""
    it = claude(ORCH_STALL_AFTER="4s", ORCH_IDLE_NUDGE_AFTER="5m")
    it.behave(f"tool timeout 16 {command}")
    it.start()
    it.until(it.prompts)
    it.stays("starting", "working", seconds=14)
    it.wait_for("idle")
    assert not it.events("session.nudged")
    it.stop()


def test_words_about_a_limit_in_a_file_change_nothing(claude: Make) -> None:
    """The agent reads them, and quotes them."""
    words = "You've hit your 5-hour limit · resets 6:51pm (UTC) · Credit balance too low"
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.behave(f"tool echo '{words}'; echo '✻ 529 Overloaded · retrying in 3s · attempt 6/10'")
    it.begin()
    it.behave(f"ok {words}")
    assert it.run("nudge", "builder", "and now?").code == 0
    it.stays("working", "idle", seconds=6)
    assert words in it.screen()
    it.stop()


def test_the_logs_are_the_conversation(claude: Make) -> None:
    """Who said what, tools with their outcome, errors; `--raw` is the pane."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.behave("tool echo out; exit 3")
    it.begin()
    it.behave("credit")
    it.run("nudge", "builder", "once more")
    it.wait_for("blocked")
    told = it.run("logs", "builder", "-n", "100").out
    for words in (
        "tool Bash: echo out; exit 3",
        "failed: ",
        "agent: Fake answer.",
        "you: once more",
    ):
        assert words in told, told
    assert told.rstrip().endswith("error: Credit balance is too low")
    assert "esc to interrupt" in it.run("logs", "builder", "--raw", "-n", "500").out
    it.stop()
