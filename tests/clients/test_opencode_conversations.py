"""Conversations, questions and other servers, with the real opencode."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import pytest

from tests.clients.conftest import MakeOpencode
from tests.clients.opencode_instance import OpencodeInstance
from tests.e2e.instance import alive, kill

pytestmark = pytest.mark.timeout(600)

ASKS = {"permission": {"bash": {"touch *": "ask"}}}
"""Its user wants to be asked before some commands."""


def test_a_permission_prompt_is_a_persons(opencode: MakeOpencode) -> None:
    """It is told once, nothing is pressed or typed, and it goes on when it is answered."""
    it = opencode(ASKS, NOTIFY_COMMAND="cat")
    it.behave("tool touch made")
    it.begin()
    it.wait_for("blocked")
    it.stays("blocked", seconds=5)
    assert "bash (touch made)" in it.session()["reason"]
    done = it.run("nudge", "builder", "go on")
    assert done.code == 1 and "waits for a permission" in done.err
    assert not (it.state / "clones" / "builder" / "made").exists()
    assert len([e for e in it.events("notified") if "blocked" in e["why"]]) == 1
    it.tmux("send-keys", "-t", "=cc-ci-builder:", "Enter")
    it.until((it.state / "clones" / "builder" / "made").exists)
    it.wait_for("idle")
    it.stop()


def test_what_lies_outside_its_folder_is_not_asked_about(opencode: MakeOpencode) -> None:
    """Nobody is there to answer; the user's own configuration isn't touched."""
    it = opencode()
    it.behave(f"tool cat {it.folder}/outside/x; ls {it.folder} /etc/hostname > seen")
    it.begin()
    it.wait_for("idle")
    assert "hostname" in (it.state / "clones" / "builder" / "seen").read_text()
    assert not list((it.home / ".config").rglob("opencode.json*"))
    it.stop()


def test_killed_in_a_tool_it_goes_on_with_the_same_conversation(opencode: MakeOpencode) -> None:
    """In a new process, told to go on; of the old one, its server and tool, nothing is left."""
    it = opencode()
    it.behave("tool timeout 100 tail -f /dev/null")
    it.begin()
    it.until(lambda: "tail -f" in str(it.messages()))
    it.until(lambda: str(it.session()["conversation"]).startswith("ses_"))
    before = it.session()
    it.behave("ok it goes on")
    kill(before["pid"])
    it.until(lambda: it.session()["pid"] not in (None, before["pid"]))
    it.until(lambda: len(it.prompts(before["conversation"])) == 2)
    it.until(lambda: "it goes on" in str(it.messages(before["conversation"])))
    assert it.session()["conversation"] == before["conversation"]
    assert "restarted" in it.prompts()[1]
    assert it.requests()[-1]["turns"] > 3, "the model is told the earlier turns"
    assert not any("tail -f" in words for words in it.processes().values())
    told = it.run("logs", "builder", "-n", "100").out
    for words in ("you: You are the builder", "agent: it goes on"):
        assert words in told, told
    it.stop()
    told = it.run("logs", "builder", "-n", "100").out
    assert "agent: it goes on" in told, "from the client's storage, when no server runs"


def test_a_lost_conversation_is_replaced_and_said(opencode: MakeOpencode) -> None:
    it = opencode()
    it.begin()
    it.wait_for("idle")
    before = it.session()
    answer = api(it, "DELETE", f"/session/{before['conversation']}")
    assert answer is True
    kill(before["pid"])
    it.until(lambda: it.session()["conversation"] != before["conversation"])
    it.until(lambda: str(it.session()["conversation"]).startswith("ses_"))
    lost = [e for e in it.events() if e.get("evidence", {}).get("lost_conversation")]
    assert [e["evidence"]["lost_conversation"] for e in lost] == [before["conversation"]]
    it.stop()


def test_a_supervisor_that_comes_back_finds_the_same_server(opencode: MakeOpencode) -> None:
    """And judges by it; the password stands in no command line."""
    it = opencode()
    it.begin()
    it.wait_for("idle")
    before, supervisor = it.session(), it.supervisor
    kept = it.state / "opencode" / "builder.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    password = json.loads(kept.read_text())["password"]
    assert not any(password in words for words in it.processes().values())
    assert password not in (it.state / "events.jsonl").read_text()
    kill(supervisor)
    it.until(lambda: it.supervisor not in (None, supervisor))
    it.wait_for("idle")
    assert it.run("nudge", "builder", "still there?").code == 0
    assert it.prompts()[1:] == ["still there?"]
    assert it.session()["pid"] == before["pid"]
    it.stop()


def test_a_server_elsewhere_is_used_and_never_killed(opencode: MakeOpencode) -> None:
    """State and prompts by its API; while it is down nothing is known, and nothing is done."""
    it = opencode()
    server, url = serve(it)
    it.settings["OPENCODE_URL"] = url
    it.start()
    it.until(it.prompts)
    it.wait_for("idle")
    conversation = it.session()["conversation"]
    assert conversation.startswith("ses_")
    it.behave("slow 6 1")
    assert it.run("nudge", "builder", "long work").code == 0
    it.wait_for("working")
    it.wait_for("idle")
    it.behave("ok")
    first = it.pid()
    kill(first)
    it.until(lambda: len(it.prompts(conversation)) == 3)
    assert it.session()["conversation"] == conversation
    done = it.run("stop", "--grace", "3s")
    assert done.code == 0 and alive(server.pid)
    server.kill()
    server.wait()


def serve(it: OpencodeInstance) -> tuple[subprocess.Popen[bytes], str]:
    """A server that a person runs."""
    log = (it.folder / "serve.log").open("wb")
    argv = [it.settings["OPENCODE_BIN"], "serve", "--port", "0", "--hostname", "127.0.0.1"]
    server = subprocess.Popen(argv, cwd=it.folder, env=it.env, stdout=log, stderr=log)
    said = it.folder / "serve.log"
    it.until(lambda: "http://" in said.read_text())
    url = next(w for w in said.read_text().split() if w.startswith("http://"))
    return server, url


def api(it: OpencodeInstance, method: str, path: str) -> Any:
    """What the server of the builder answers."""
    value = json.loads((it.state / "opencode" / "builder.json").read_text())
    folder = it.state / "clones" / "builder"
    login = f"opencode:{value['password']}"
    url = f"http://127.0.0.1:{value['port']}{path}?directory={folder}"
    argv = ["curl", "-s", "-m", "20", "-u", login, "-X", method, url]
    done = subprocess.run(argv, capture_output=True, check=True)
    time.sleep(0.5)
    return json.loads(done.stdout)
