"""The orchestrator with the real opencode: a turn on a server of its own, then its conversation."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import MakeOpencode
from tests.clients.opencode_instance import OpencodeInstance
from tests.e2e.instance import LONG, gone, kill
from tests.waiting import eventually

NAME = "orchestrator"
ANSWER = "the first word was albatross"
SLOW = 2 * LONG
"""Seconds for the client to start, twice: it takes 5 s each time on an idle machine."""


class Server:
    """`opencode serve`, which the operator runs beside the instance."""

    def __init__(self, it: OpencodeInstance) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._it = it
        self.start()
        it.settings["OPENCODE_URL"] = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        words = ["serve", "--hostname", "127.0.0.1", "--port", str(self.port)]
        argv = [self._it.settings["OPENCODE_BIN"], *words]
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(
            argv, cwd=self._it.root, env=self._it.env, stdin=null, stdout=null, stderr=null,
            start_new_session=True,
        )  # fmt: skip
        eventually(self._listens, SLOW, 0.2)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """It, and what it has started."""
        mark = f"--port {self.port}"
        kill(*(pid for pid, words in self._it.processes().items() if mark in words))
        self.process.wait()


@pytest.fixture
def served(opencode: MakeOpencode) -> Iterator[tuple[OpencodeInstance, Server]]:
    """An instance whose loop is any program, with a server for its orchestrator."""
    it = opencode(ORCH_IDLE_NUDGE_AFTER="5m", BUILDER_BACKEND="command", LOOP_BACKEND="")
    it.settings["ORCHESTRATOR_BACKEND"] = "opencode"
    server = Server(it)
    yield it, server
    if server.process.poll() is None:
        server.kill()


def state(it: OpencodeInstance) -> Any:
    return it.orchestrator("status", "--json").json


def words(it: OpencodeInstance) -> str:
    """The command line of the process in its pane."""
    pid = (state(it) or {}).get("pid")
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_bytes().replace(b"\0", b" ").decode() if pid and path.exists() else ""


def stopped(it: OpencodeInstance) -> None:
    """All is stopped; the server, which isn't the instance's, goes on."""
    assert it.run("stop").code == 0
    eventually(lambda: not any("tmux" in words for words in it.processes().values()), SLOW)


def shown(it: OpencodeInstance, words: str) -> None:
    """Its pane shows these words, as soon as they are there."""
    it.until(lambda: words in it.screen(NAME), SLOW)


Served = tuple[OpencodeInstance, Server]


def begin(it: OpencodeInstance, turns: int) -> Any:
    """Start it; its first prompt is the model's `turns`-th, and its pane shows the answer."""
    done = it.orchestrator(timeout=SLOW)
    assert done.code == 0, (done, it.screen(NAME))
    shown(it, ANSWER)
    assert len(it.requests()) == turns
    return state(it)


def test_a_turn_ends_and_its_conversation_is_shown(served: Served) -> None:
    """The end of the turn is no death; killed, it is healed by a new one; stopped, it stays so."""
    it, _ = served
    it.behave(f"ok {ANSWER}")
    it.start()
    before = begin(it, 1)
    assert "attach http://127.0.0.1" in words(it)
    assert "--session ses_" in words(it)
    assert (before["restarts"], it.events("session.exited", NAME)) == (0, [])
    first = words(it)
    it.behave("ok a nudge was heard")
    assert it.run("nudge", NAME, "look here", timeout=SLOW).code == 0
    shown(it, "a nudge was heard")
    assert "look here" in it.requests()[-1]["last"]
    kill(before["pid"])
    it.until(lambda: "--session ses_" in words(it) and words(it) != first, SLOW)
    assert len(it.requests()) == 3
    assert it.requests()[-1]["turns"] == it.requests()[0]["turns"], "a new conversation"
    assert state(it)["restarts"] == 1
    last = state(it)["pid"]
    assert it.orchestrator("stop").code == 0
    gone([last])
    stopped(it)
    it.start()
    assert it.orchestrator("status").code == 3
    stopped(it)


def test_a_server_that_dies_is_no_death_of_it(served: Served) -> None:
    """What shows the conversation lives on, and nothing is done to it."""
    it, server = served
    it.behave(f"ok {ANSWER}")
    it.start()
    before = begin(it, 1)
    server.kill()
    assert {state(it)["pid"] for _ in range(30)} == {before["pid"]}
    assert state(it)["liveness"] in ("working", "waiting")
    assert it.events("session.exited", NAME) == []
    assert it.orchestrator("stop").code == 0
    stopped(it)


def test_a_turn_that_an_error_of_the_api_ended_is_healed(served: Served) -> None:
    """The client ends with 0 all the same: the conversation tells; the next turn is a new one."""
    it, _ = served
    it.behave("401")
    it.start()
    it.orchestrator(timeout=SLOW)
    event = it.wait_for_event("session.exited", NAME)
    assert "status 1" in event["why"]
    assert "the turn failed: invalid api key" in it.log(NAME)
    it.behave(f"ok {ANSWER}")
    shown(it, ANSWER)
    assert it.orchestrator("stop").code == 0
    stopped(it)


def test_without_a_server_it_is_refused(opencode: MakeOpencode) -> None:
    """OPENCODE_URL is the server that its turn runs on: 78, and nothing is started."""
    it = opencode()
    done = it.orchestrator()
    assert done.code == 78
    assert "OPENCODE_URL" in done.err
    assert it.processes() == {}
