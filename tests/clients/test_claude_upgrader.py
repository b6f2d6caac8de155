"""The upgrader with the real Claude Code: its own word on how it went."""

from __future__ import annotations

from typing import Any

from tests.clients.claude_instance import ClaudeInstance
from tests.clients.conftest import Make
from tests.e2e.instance import LONG, gone, kill
from tests.waiting import eventually

ROLE = "upgrader"


def run(it: ClaudeInstance) -> tuple[int, Any]:
    """One run to its end: the exit status, and the record of it."""
    done = it.upgrader("run", "--wait", timeout=3 * LONG)
    return done.code, it.upgrader("status", "--json").json


def test_it_runs_to_its_end_and_its_log_can_be_read(claude: Make) -> None:
    it = claude()
    it.behave("ok everything is up to date")
    code, record = run(it)
    assert (code, record["status"], record["error"]) == (0, 0, None)
    assert "everything is up to date" in record["said"]
    assert "agent: everything is up to date" in it.upgrader("logs").out
    assert it.events("session.exited", ROLE)[0]["evidence"]["is_error"] is False
    it.stop()


def test_its_tools_can_be_followed_in_the_log(claude: Make) -> None:
    """Run without a question, in its own clone."""
    it = claude()
    it.behave("tool touch upgraded")
    code, _ = run(it)
    assert code == 0
    assert (it.state / "clones" / ROLE / "upgraded").exists()
    assert "touch upgraded" in it.upgrader("logs").out
    it.stop()


def test_an_error_of_the_api_is_a_failure(claude: Make) -> None:
    it = claude(NOTIFY_COMMAND="true")
    it.behave("credit")
    code, record = run(it)
    assert code == 1
    assert "credit" in record["error"].lower()
    assert len(it.events("notified")) == 1
    it.stop()


def test_killed_in_the_middle_it_is_reported(claude: Make) -> None:
    it = claude()
    it.behave("tool timeout 300 tail -f /dev/null")
    assert it.upgrader().code == 0
    eventually(lambda: "tail -f" in it.upgrader("logs").out, LONG)
    ours = [pid for pid, words in it.processes().items() if not words.startswith(("tmux", "cat"))]
    kill(it.upgrader("status", "--json").json["pid"])
    eventually(lambda: it.upgrader("status").code == 1, LONG)
    assert "killed in the middle" in it.upgrader("status").out
    assert len(it.events("session.started", ROLE)) == 1
    gone(ours)
    it.stop()
