"""The orchestrator with the real Claude Code: its conversation outlives everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.clients.claude_instance import ClaudeInstance
from tests.clients.conftest import Make
from tests.e2e.instance import LONG, alive, gone, kill
from tests.waiting import eventually

NAME = "orchestrator"


def state(it: ClaudeInstance) -> Any:
    return it.orchestrator("status", "--json").json


def pid(it: ClaudeInstance) -> int:
    session = state(it)
    return int(session["pid"] or 0) if session else 0


def told(it: ClaudeInstance) -> list[str]:
    """The prompts that its client took, in their order."""
    return it.prompts(state(it)["conversation"])


def begin(it: ClaudeInstance, prompts: int) -> Any:
    """Start it; its first prompt is the `prompts`-th of the conversation, and answered."""
    done = it.orchestrator()
    assert done.code == 0, (done, it.screen(NAME))
    eventually(lambda: len(told(it)) == prompts, LONG)
    eventually(lambda: state(it)["liveness"] == "waiting", LONG)
    return state(it)


def words(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")


def reboot(it: ClaudeInstance, boot: Path, number: int) -> None:
    """Everything dies at once, and the kernel has another boot id."""
    it.power_cut()
    boot.write_text(f"boot-{number}\n")


def test_its_conversation_goes_on_after_two_reboots(claude: Make) -> None:
    """Each time nobody but a person starts it, and then it knows what was said before."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    boot = it.folder / "boot"
    boot.write_text("boot-1\n")
    it.settings["ORCH_BOOT_ID_FILE"] = str(boot)
    it.start()
    it.behave("ok the first word was albatross")
    first = begin(it, 1)
    for number in (2, 3):
        reboot(it, boot, number)
        it.start()
        it.until(lambda: it.session("builder")["pid"])
        assert it.orchestrator("status").code == 3
        assert it.run("status").code == 0
        it.behave(f"ok after boot {number}")
        again = begin(it, number)
        assert again["conversation"] == first["conversation"]
        assert again["restarts"] == 0
    prompts = told(it)
    assert prompts == [prompts[0]] * 3
    assert "JOURNAL.md" in prompts[0] and "REBOOTS.md" in prompts[0]
    said = str(it.records(first["conversation"]))
    assert "albatross" in said and "after boot 3" in said
    asked = [r for r in it.requests() if r["turns"] >= 5]
    assert asked, "the model was given the earlier turns"
    argv = words(pid(it))
    assert argv[argv.index("--resume") + 1] == first["conversation"]
    assert argv[argv.index("--name") + 1] == "autonomous-orchestrator"
    assert argv[argv.index("--remote-control") + 1] == "autonomous-orchestrator"
    assert "--dangerously-skip-permissions" in argv
    assert it.orchestrator("stop").code == 0
    it.stop()


def test_alone_it_comes_up_through_its_dialogs(claude: Make) -> None:
    """No supervisor runs: the start itself answers what the client asks about the folder."""
    it = claude()
    it.client_config({str(it.root): {"hasTrustDialogAccepted": False}}, approved=False)
    session = begin(it, 1)
    assert len(told(it)) == 1
    assert it.orchestrator().code == 0
    assert pid(it) == session["pid"]
    assert it.orchestrator("stop").code == 0
    assert it.processes() == {}


def test_killed_it_is_healed_and_stopped_it_stays_stopped(claude: Make) -> None:
    """The same conversation in a new process; and none, once a person has stopped it."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.start()
    before = begin(it, 1)
    kill(before["pid"])
    it.until(lambda: pid(it) not in (0, before["pid"]))
    eventually(lambda: len(told(it)) == 2, LONG)
    assert state(it)["conversation"] == before["conversation"]
    after = pid(it)
    assert it.run("stop").code == 0
    assert alive(after)
    it.start()
    assert pid(it) == after
    assert it.orchestrator("stop").code == 0
    gone([after])
    assert it.run("start", "--takeover").code == 0
    assert it.orchestrator("status").code == 3
    it.stop()


def test_a_conversation_that_the_client_has_not_is_not_resumed(claude: Make) -> None:
    """Its record is gone: a new conversation begins at once, without a try that fails."""
    it = claude()
    first = begin(it, 1)
    assert it.orchestrator("stop").code == 0
    for path in (it.home / ".claude" / "projects").glob("*/*.jsonl"):
        path.unlink()
    second = begin(it, 1)
    assert second["conversation"] != first["conversation"]
    assert "--session-id" in words(second["pid"])
    assert it.events("session.exited")[-1]["by"] == "operator"
    assert it.orchestrator("stop").code == 0
    it.run("stop")


def test_stalled_in_an_error_of_the_api_it_is_healed(claude: Make) -> None:
    """A model that never answers: nudge, interrupt, a new process with the conversation."""
    it = claude(ORCH_IDLE_NUDGE_AFTER="5m")
    it.start()
    before = begin(it, 1)
    it.behave("hang 300")
    assert it.run("nudge", NAME, "look").code == 0
    eventually(lambda: it.events("session.stalled", NAME), LONG)
    it.behave("ok better")
    eventually(lambda: state(it)["liveness"] == "waiting", 2 * LONG)
    assert state(it)["conversation"] == before["conversation"]
    assert it.orchestrator("stop").code == 0
    it.stop()
