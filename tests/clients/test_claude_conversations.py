"""Dialogs, conversations and typing, with the real Claude Code."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from tests.clients.claude_instance import KEY, ClaudeInstance
from tests.clients.conftest import Make
from tests.e2e.instance import kill


def test_the_trust_dialog_is_answered(claude: Make) -> None:
    """Somebody refused the folder before: what stands there isn't touched, the row is moved to."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    folder = str(it.state / "clones" / "builder")
    it.client_config({folder: {"hasTrustDialogAccepted": False}})
    it.begin()
    assert len(it.prompts()) == 1
    assert it.session()["restarts"] == 0
    it.stop()


def test_the_question_about_the_key_is_answered(claude: Make) -> None:
    """The key of its environment is meant to be used."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.client_config({}, approved=False)
    it.begin()
    assert len(it.prompts()) == 1
    it.stop()


@pytest.mark.parametrize("names", [("one",), ("one", "two")])
def test_what_its_repository_brings_along_holds_nothing_up(
    claude: Make, names: tuple[str, ...]
) -> None:
    """Servers to start and files to read from elsewhere: the client asks, and does without."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.begin()
    servers = {name: {"command": "sleep", "args": ["1000"]} for name in names}
    (it.clone / ".mcp.json").write_text(json.dumps({"mcpServers": servers}))
    (it.clone / "CLAUDE.md").write_text("@/etc/hostname\n")
    assert it.run("restart", "builder").code == 0
    it.until(lambda: len(it.prompts()) == 2)
    it.wait_for("idle")
    assert not it.events("session.blocked")
    assert "sleep 1000" not in str(it.processes())
    it.stop()


def test_a_permission_prompt_is_a_persons(claude: Make) -> None:
    """It is told once, nothing is pressed, and it goes on when it is answered."""
    it = claude(NOTIFY_COMMAND="cat")
    it.ask_before("Bash(touch:*)")
    it.behave("tool touch made")
    it.start()
    assert it.wait_for("blocked") < 20
    it.stays("blocked", seconds=5)
    done = it.run("nudge", "builder", "go on")
    assert done.code == 1
    assert "dialog" in done.err + done.out
    assert not (it.state / "clones" / "builder" / "made").exists()
    assert len([e for e in it.events("notified") if "blocked" in e["why"]]) == 1
    it.tmux("send-keys", "-t", "=cc-ci-builder:", "Enter")
    it.wait_for("idle")
    assert (it.state / "clones" / "builder" / "made").exists()
    it.stop()


def test_killed_in_a_tool_it_goes_on_with_the_same_conversation(claude: Make) -> None:
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.behave("tool timeout 100 tail -f /dev/null")
    it.start()
    it.until(lambda: "tool call" in it.run("explain", "builder").out and it.records())
    it.until(lambda: any(r.get("type") == "assistant" for r in it.records()))
    before = it.session()
    it.behave("ok it goes on")
    kill(before["pid"])
    it.until(lambda: it.session()["pid"] not in (None, before["pid"]))
    it.wait_for("idle")
    after = it.session()
    assert after["conversation"] == before["conversation"]
    assert len(it.prompts()) == 2
    assert it.requests()[-1]["turns"] > 2
    it.stop()


def test_a_lost_conversation_is_replaced_and_said(claude: Make) -> None:
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.begin()
    before = it.session()
    for path in (it.home / ".claude" / "projects").glob("*/*.jsonl"):
        path.unlink()
    kill(before["pid"])
    it.until(lambda: it.session()["conversation"] != before["conversation"], 40)
    it.wait_for("idle")
    lost = [e for e in it.events() if e.get("evidence", {}).get("lost_conversation")]
    assert [e["evidence"]["lost_conversation"] for e in lost] == [before["conversation"]]
    it.stop()


def test_a_conversation_that_another_process_has_is_not_resumed(claude: Make) -> None:
    """A person resumed it elsewhere: it is refused with the reason, until that one is gone."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.begin()
    before = it.session()
    argv = [it.settings["CLAUDE_BIN"], "--resume", before["conversation"]]
    session = ["new-session", "-d", "-s", "mine", "-c", str(it.state / "clones" / "builder")]
    env = {**it.env, "TMUX_TMPDIR": "/nowhere"}
    words = ["env", "-i", *(f"{k}={v}" for k, v in env.items()), *argv]
    it.tmux(*session, *words)
    it.until(lambda: _processes_with(before["conversation"]) == 2)
    kill(before["pid"])
    it.until(lambda: [e for e in it.events("trouble") if "another process" in e["why"]])
    time.sleep(3)
    assert _processes_with(before["conversation"]) == 1
    it.tmux("kill-session", "-t", "=mine")
    it.until(lambda: it.session()["pid"], 40)
    assert it.session()["conversation"] == before["conversation"]
    it.stop()


def _processes_with(word: str) -> int:
    done = subprocess.run(["pgrep", "-fc", f"(resume|session-id) {word}"], capture_output=True)
    return int(done.stdout)


# --------------------------------------------------------------------------------- typing


def typed(it: ClaudeInstance, text: str) -> None:
    """A person's keys."""
    it.tmux("send-keys", "-l", "-t", "=cc-ci-builder:", text)


def test_a_persons_draft_is_left_alone(claude: Make) -> None:
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.begin()
    typed(it, "half a thought")
    it.until(lambda: "half a thought" in it.screen())
    done = it.run("nudge", "builder", "go on")
    assert done.code == 1
    assert "draft" in done.err + done.out
    assert "half a thought" in it.screen()
    assert len(it.prompts()) == 1
    it.stop()


def test_nudges_arrive_exactly_once_in_every_state(claude: Make) -> None:
    """At the prompt, in copy mode, while it is busy; each proved."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.begin()
    it.tmux("copy-mode", "-t", "=cc-ci-builder:")
    assert it.run("nudge", "builder", "from copy mode").code == 0
    it.wait_for("idle")
    it.behave("slow 6 1")
    assert it.run("nudge", "builder", "long work").code == 0
    it.wait_for("working")
    it.behave("ok")
    assert it.run("nudge", "builder", "while busy\n" + "line\n" * 60).code == 0
    it.wait_for("idle")
    it.until(lambda: "while busy" in str(it.records()))
    told = str([r for r in it.records() if r.get("type") in ("user", "attachment")])
    assert told.count("from copy mode") == 1
    assert told.count("while busy") == 1
    it.stop()


def test_fifty_nudges_in_a_row_arrive_once_each(claude: Make) -> None:
    """At its prompt and while it is busy with the one before, as it comes."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.begin()
    for number in range(50):
        done = it.run("nudge", "builder", f"number {number}.")
        assert done.code == 0, (number, done, it.screen())
    it.wait_for("idle")
    it.until(lambda: "number 49." in str(it.records()))
    kept = [r for r in it.records() if r.get("type") in ("user", "attachment")]
    told = [json.dumps(r) for r in kept]
    counts = {n: sum(f"number {n}." in text for text in told) for n in range(50)}
    assert counts == dict.fromkeys(range(50), 1)
    it.stop()


def test_a_nudge_just_after_the_start_is_not_lost_silently(claude: Make) -> None:
    """Submitted once, or reported as not submitted."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m", ORCH_SUBMIT_WAIT="1s")
    it.start()
    done = it.run("nudge", "builder", "so early")
    it.wait_for("idle")
    time.sleep(3)
    count = sum("so early" in text for text in it.prompts())
    assert count == (1 if done.code == 0 else 0), (done, it.prompts(), it.screen())
    it.stop()


def test_the_users_own_settings_are_left_alone(claude: Make) -> None:
    """All that is ours stands in the state folder, and no secret in it."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.begin()
    assert not (it.home / ".claude" / "settings.json").exists()
    assert KEY not in (it.state / "claude" / "builder.json").read_text()
    it.stop()
