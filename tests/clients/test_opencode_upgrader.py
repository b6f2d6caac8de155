"""The upgrader with the real opencode: `opencode run`, and what its output says of its end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.conftest import MakeOpencode
from tests.clients.opencode_instance import OpencodeInstance
from tests.e2e.instance import LONG, gone, kill
from tests.waiting import eventually

ROLE = "upgrader"
TOOL = "timeout 300 tail -f /dev/null"


def run(it: OpencodeInstance) -> tuple[int, Any]:
    """One run to its end: the exit status, and the record of it."""
    done = it.upgrader("run", "--wait", timeout=3 * LONG)
    return done.code, it.upgrader("status", "--json").json


def started(it: OpencodeInstance) -> dict[int, str]:
    """The client and what it runs: all but tmux and what keeps the log for it."""
    running = it.processes()
    return {pid: words for pid, words in running.items() if not words.startswith(("tmux", "cat"))}


def in_the_middle(it: OpencodeInstance) -> dict[int, str]:
    """Begin a run; the processes of it, as soon as a tool of it runs."""
    it.behave(f"tool {TOOL}")
    assert it.upgrader().code == 0
    eventually(lambda: any("tail -f" in words for words in started(it).values()), 2 * LONG, 0.2)
    return started(it)


def test_it_runs_once_to_its_end_and_its_log_can_be_read(opencode: MakeOpencode) -> None:
    """In its own clone, without a question; its tools and its words can be followed."""
    it = opencode()
    it.behave("tool touch upgraded")
    code, record = run(it)
    assert (code, record["status"], record["error"]) == (0, 0, None)
    assert (it.state / "clones" / ROLE / "upgraded").exists()
    assert record["said"] == "Fake answer."
    printed = it.upgrader("logs").out
    assert "tool bash (completed): touch upgraded" in printed
    assert "agent: Fake answer." in printed
    assert '{"type"' not in printed
    assert [e["evidence"]["status"] for e in it.events("session.exited", ROLE)] == [0]
    assert len(it.events("session.started", ROLE)) == 1
    it.stop()


@pytest.mark.parametrize(("how", "words"), [("401", "invalid api key"), ("credit", "Insufficient")])
def test_an_error_of_the_api_is_a_failure(opencode: MakeOpencode, how: str, words: str) -> None:
    """It is said in its log, in its record, and to a person, with the server's own words."""
    it = opencode(NOTIFY_COMMAND="true")
    it.behave(how)
    code, record = run(it)
    assert code == record["status"] == 1
    assert words in record["error"]
    assert f"error: {record['error']}" in it.upgrader("logs").out
    assert len(it.events("notified")) == 1
    it.stop()


def test_a_second_one_is_refused_and_a_killed_agent_is_reported(opencode: MakeOpencode) -> None:
    """The client dies of a KILL: its guardian says so, at once, and nothing is left of it."""
    it = opencode(NOTIFY_COMMAND="true")
    ours = in_the_middle(it)
    second = it.upgrader("run", "--wait")
    assert second.code == 75
    assert "runs already" in second.err
    assert it.upgrader("status").code == 0
    guardian = it.upgrader("status", "--json").json["pid"]
    kill(*(pid for pid, words in ours.items() if " run --format json " in words))
    eventually(lambda: it.upgrader("status").code == 1, LONG)
    record = it.upgrader("status", "--json").json
    assert (record["signal"], record["status"]) == (9, 137)
    assert "killed in the middle" in record["error"]
    assert [e["evidence"]["signal"] for e in it.events("session.exited", ROLE)] == [9]
    assert len(it.events("notified")) == len(it.events("session.started", ROLE)) == 1
    gone([*ours, guardian])
    it.stop()


def test_killed_as_a_whole_it_is_reported_by_the_supervisor(opencode: MakeOpencode) -> None:
    """Its guardian dies of a KILL, and the client with it; it is told once, not restarted."""
    it = opencode(NOTIFY_COMMAND="true", BUILDER_BACKEND="command", LOOP_BACKEND="")
    it.settings["UPGRADER_BACKEND"] = "opencode"
    it.start()
    ours = in_the_middle(it)
    kill(it.upgrader("status", "--json").json["pid"])
    event = it.wait_for_event("session.exited", ROLE)
    assert "killed in the middle" in event["why"]
    gone([pid for pid, words in ours.items() if "opencode" in words or "tail -f" in words])
    told = eventually(lambda: [e for e in it.events("notified") if ROLE in e["why"]], LONG)
    assert len(told) == 1
    assert it.upgrader("status").code == 1
    assert len(it.events("session.started", ROLE)) == 1
    it.stop()
