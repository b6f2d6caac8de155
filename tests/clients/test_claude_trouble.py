"""What the model's API, or the account, refuses to the real Claude Code, and what is done."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.clients.claude_instance import ClaudeInstance
from tests.clients.conftest import Make

SUBSCRIBER = {"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-fake"}
SLOW_500 = pytest.param("500", marks=pytest.mark.slow)
SLOW_DROP = pytest.param("drop", marks=pytest.mark.slow)
"""The client treats both as it does 529, and each takes half a minute."""

SOON = {"CLAUDE_CODE_MAX_RETRIES": "2"}
"""The client gives up after seconds, not minutes."""


def told(it: ClaudeInstance) -> list[Any]:
    """What the notifier was given."""
    path = it.folder / "told"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def with_notifier(it: ClaudeInstance) -> ClaudeInstance:
    it.settings["NOTIFY_COMMAND"] = f"sh -c 'cat >> {it.folder}/told'"
    return it


# ------------------------------------------------------------------------------- overloaded


@pytest.mark.parametrize("how", ["529", SLOW_500, "429", "429 20", SLOW_DROP])
def test_errors_that_it_retries_are_left_alone(claude: Make, how: str) -> None:
    """Retrying, past the time of a stall; it goes on when the model does."""
    it = claude(ORCH_STALL_AFTER="6s", ORCH_IDLE_NUDGE_AFTER="5m")
    it.behave(how)
    it.start()
    it.wait_for("retrying")
    it.stays("retrying", "working", seconds=10)
    it.behave("ok")
    it.wait_for("idle")
    assert len(it.prompts()) == 1
    assert not it.events("session.nudged")
    assert not it.events("session.stalled")
    it.stop()


@pytest.mark.parametrize("how", ["529", SLOW_500, "429", SLOW_DROP])
def test_an_error_that_it_gave_up_on_is_continued_by_a_nudge(claude: Make, how: str) -> None:
    """In the same conversation, and again if need be."""
    it = claude(**SOON, ORCH_IDLE_NUDGE_AFTER="3s")
    it.behave(how)
    it.start()
    it.until(lambda: it.events("session.nudged"))
    it.behave("ok at last")
    it.until(lambda: "at last" in str(it.records()))
    it.wait_for("idle", "working")
    assert it.session()["restarts"] == 0
    assert it.requests()[-1]["turns"] > 1
    it.stop()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_after_minutes_of_tries_it_is_continued_by_a_nudge(claude: Make) -> None:
    """With the patience that the client has by itself."""
    it = claude(ORCH_STALL_AFTER="15s", ORCH_IDLE_NUDGE_AFTER="5s")
    it.behave("529")
    it.start()
    it.wait_for("retrying")
    it.until(lambda: it.liveness() == "idle", 400)
    assert not it.events("session.stalled")
    it.behave("ok at last")
    it.until(lambda: "at last" in str(it.records()))
    it.stop()


# ------------------------------------------------------------------------------------ limits


def planned(it: ClaudeInstance) -> datetime:
    """When the watchdog looks whether the limit is over."""
    plan = it.run("explain", "builder").out
    found = re.search(r"see whether the limit is over, in \S+ \((\S+)\)", plan)
    assert found, plan
    return datetime.fromisoformat(found[1])


@pytest.mark.parametrize("claim", ["five_hour", "seven_day"])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland"])
def test_a_usage_limit_is_slept_out(claude: Make, claim: str, zone: str) -> None:
    """Until the right minute, here past midnight; nothing is typed or pressed meanwhile."""
    now = datetime.now(ZoneInfo(zone))
    days = 1 if claim == "five_hour" else 5
    end = now.replace(hour=1, minute=23, second=0, microsecond=0) + timedelta(days=days)
    it = with_notifier(claude(**SUBSCRIBER, TZ=zone))
    it.behave(f"limit {claim} {(end - now).total_seconds():.0f}")
    it.start()
    it.until(lambda: "Continuing automatically" in it.screen())
    it.wait_for("limited")
    it.stays("limited", seconds=6)
    assert timedelta(0) <= planned(it) - end <= timedelta(minutes=5)
    assert "Continuing automatically" in it.screen()
    assert len(it.events("session.limited")) == 1
    assert [note["title"] for note in told(it)] == ["builder is limited"]
    it.stop()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_goes_on_after_its_limit(claude: Make) -> None:
    """By itself, about two minutes after the stated time, and we don't come between."""
    it = claude(**SUBSCRIBER)
    it.behave("limit five_hour 60")
    it.start()
    it.wait_for("limited")
    it.behave("ok after the limit")
    it.until(lambda: "after the limit" in str(it.records()), 400)
    assert it.session()["restarts"] == 0
    it.stop()


def test_a_limit_without_a_time_is_tried_again(claude: Make) -> None:
    """With a key the client is told no time that it would show: it stops, and doesn't go on."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="6s")
    it.behave("limit five_hour 7200")
    it.start()
    it.wait_for("limited")
    it.behave("ok after the limit")
    it.until(lambda: "after the limit" in str(it.records()))
    assert it.session()["restarts"] == 0
    it.stop()


# ----------------------------------------------------------------------- a person is needed


@pytest.mark.parametrize(
    ("how", "settings", "words"),
    [
        ("credit", {}, "Credit balance"),
        ("toolong", {}, "too long"),
        ("401", {}, "401"),
        ("403", SUBSCRIBER, "login"),
        ("ok", {"ANTHROPIC_API_KEY": ""}, "Not logged in"),
    ],
)
def test_what_a_person_has_to_mend_is_told_once(
    claude: Make, how: str, settings: dict[str, str], words: str
) -> None:
    """Blocked within seconds; nothing is typed, pressed or restarted."""
    it = with_notifier(claude(**settings, ORCH_STALL_AFTER="30s", ORCH_HEAL_AFTER="5m"))
    it.behave(how)
    it.start()
    it.until(it.prompts)
    assert it.wait_for("blocked") < 15
    it.stays("blocked", seconds=8)
    assert words in it.session()["reason"]
    assert [note["title"] for note in told(it)] == ["builder is blocked"]
    assert it.session()["restarts"] == 0
    assert len(it.prompts()) == 1
    it.stop()


def test_credit_that_was_paid_is_picked_up_after_a_while(claude: Make) -> None:
    """Nobody has to say so; a nudge says it at once."""
    it = with_notifier(claude(ORCH_COOLDOWN="8s"))
    it.behave("credit")
    it.start()
    it.wait_for("blocked")
    it.until(lambda: it.events("session.nudged"))
    it.behave("ok it works")
    it.until(lambda: "it works" in str(it.records()))
    it.wait_for("idle", "working")
    assert it.session()["restarts"] == 0
    assert len(told(it)) == 1
    it.stop()


def test_a_key_that_was_mended_is_picked_up_while_it_is_still_tried(claude: Make) -> None:
    """The client tries ten times; each try is seen as the block that it is."""
    it = with_notifier(claude(ORCH_STALL_AFTER="30s", ORCH_IDLE_NUDGE_AFTER="5m"))
    it.behave("401")
    it.start()
    it.wait_for("blocked")
    it.stays("blocked", "working", seconds=6)
    it.behave("ok")
    it.wait_for("idle")
    assert len(told(it)) == 1
    assert it.session()["restarts"] == 0
    it.stop()


def test_a_login_is_picked_up_at_once(claude: Make) -> None:
    """Somebody logged in, in another terminal."""
    it = claude(ANTHROPIC_API_KEY="")
    it.start()
    it.wait_for("blocked")
    token = {"accessToken": "sk-ant-oat01-fake", "refreshToken": "sk-ant-ort01-fake"}
    until = {"expiresAt": int((time.time() + 86400) * 1000), "subscriptionType": "max"}
    login = {**token, **until, "scopes": ["user:inference", "user:profile"]}
    credentials = it.home / ".claude" / ".credentials.json"
    credentials.write_text(json.dumps({"claudeAiOauth": login}))
    it.until(lambda: "Fake answer" in str(it.records()))
    it.wait_for("idle", "working")
    assert it.session()["restarts"] == 0
    it.stop()


def test_a_conversation_that_became_too_long_is_replaced(claude: Make) -> None:
    """It can never go on. A fresh one gets the hand-over text; the event says what was lost."""
    it = with_notifier(claude(ORCH_HEAL_AFTER="6s", ORCH_IDLE_NUDGE_AFTER="5m"))
    it.begin()
    before = it.session()["conversation"]
    it.behave("toolong")
    assert it.run("nudge", "builder", "go on").code == 0
    it.wait_for("blocked")
    it.behave("ok in a fresh one")
    it.until(lambda: it.session()["conversation"] != before)
    it.until(it.prompts)
    it.wait_for("idle")
    assert "take over from an earlier conversation" in it.prompts()[0]
    assert it.events("session.healed")[-1]["evidence"]["lost_conversation"] == before
    assert len(told(it)) == 1
    it.stop()


def test_an_unknown_dialog_is_a_persons(claude: Make) -> None:
    """Here one that a person left open. Told once, no key is pressed; it is over when it is."""
    it = with_notifier(claude(ORCH_IDLE_NUDGE_AFTER="5m"))
    it.begin()
    it.tmux("send-keys", "-l", "-t", "=cc-ci-builder:", "/model")
    it.until(lambda: "/model" in it.screen())
    it.tmux("send-keys", "-t", "=cc-ci-builder:", "Enter")
    assert it.wait_for("blocked") < 25
    before = it.screen()
    it.stays("blocked", seconds=6)
    assert it.screen() == before
    assert len(told(it)) == 1
    it.tmux("send-keys", "-t", "=cc-ci-builder:", "Escape")
    it.wait_for("idle")
    it.stop()
