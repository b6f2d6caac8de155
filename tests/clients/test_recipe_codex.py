"""Codex under the `command` backend, with the settings that docs/recipes.md gives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.client_instance import REPOSITORY, ClientInstance, npm_client
from tests.e2e.instance import alive, kill

PATIENT = {
    "ORCH_POLL": "0.5s",
    "ORCH_STALL_AFTER": "5m",
    "ORCH_IDLE_NUDGE_AFTER": "5m",
    "ORCH_START_GRACE": "20s",
    "ORCH_STABLE_AFTER": "60s",
    "ORCH_SUBMIT_WAIT": "2s",
}
IMPATIENT = {
    **PATIENT,
    "ORCH_STALL_AFTER": "9s",
    "ORCH_INTERRUPT_AFTER": "4s",
    "ORCH_HEAL_AFTER": "4s",
    "ORCH_COOLDOWN": "5m",
}


def recipe() -> tuple[str, str]:
    """The settings, and the client's configuration for another provider, as the page has them."""
    page = (REPOSITORY / "docs" / "recipes.md").read_text()
    settings, provider = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    return settings, provider


class CodexInstance(ClientInstance):
    """Set up as the page says; only the address of the provider is the fake model's."""

    def __init__(self, program: Path, binary: Path, **settings: str) -> None:
        super().__init__(program, "tests.clients.fake_responses")
        for name in ("LOOP_BACKEND", "LOOP_COMMAND"):
            del self.settings[name]
        own, provider = recipe()
        (self.root / "orch.toml").write_text(own)
        (self.home / ".codex").mkdir()
        provider = provider.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
        (self.home / ".codex" / "config.toml").write_text(provider)
        programs = self.folder / "programs"
        programs.mkdir()
        (programs / "codex-native").symlink_to(binary)
        path = f"{programs}:{self.env['PATH']}"
        self.settings |= {"PATH": path, "OWN_API_KEY": "sk-fake", **settings}

    def asked(self, role: str = "builder") -> list[Any]:
        """What that role's client asked of the model, in its order."""
        place = f"/clones/{role}<"
        return [r for r in self.requests() if place in json.dumps(r["input"][:4])]


def prompts(request: Any) -> list[str]:
    """What the user said in the conversation that this request carries."""
    return [
        part["text"]
        for item in request["input"]
        if item.get("role") == "user"
        for part in item["content"]
        if not part["text"].startswith(("<environment_context>", "# AGENTS.md"))
    ]


Make = Callable[..., CodexInstance]


@pytest.fixture(scope="session")
def codex_binary() -> Path:
    """The installed client; its absence skips the test and says so."""
    found = npm_client("@openai/codex", "codex")
    if found is None:
        pytest.skip("no Codex: npm or its package @openai/codex is missing")
    return next(found.parent.parent.glob("**/vendor/*/bin/codex"))


@pytest.fixture
def codex(program: Path, codex_binary: Path, only_loopback: None) -> Iterator[Make]:
    """Make an instance with the real client, with any settings."""
    made: list[CodexInstance] = []

    def make(**settings: str) -> CodexInstance:
        made.append(CodexInstance(program, codex_binary, **settings))
        return made[-1]

    yield make
    for it in made:
        it.end()


def test_it_works_in_its_clone_takes_nudges_and_goes_on_after_a_kill(codex: Make) -> None:
    """Two roles with one home: a nudge comes once, and each keeps its own conversation."""
    it = codex(**PATIENT)
    it.behave("tool pwd > made; printenv ORCH_ROLE >> made")
    it.start()
    for role in ("builder", "adversary"):
        clone = it.state / "clones" / role
        it.until(lambda clone=clone: (clone / "made").exists())
        it.until(lambda role=role: len(it.asked(role)) == 2)
        assert (clone / "made").read_text().split() == [str(clone), role]
        assert role in prompts(it.asked(role)[0])[0]
    it.behave("slow 6")
    assert it.run("nudge", "builder", "first-nudge\nof two lines").code == 0
    it.until(lambda: len(it.asked()) == 3)
    assert it.run("nudge", "builder", "second-nudge, while it works").code == 0
    it.until(lambda: len(it.asked()) == 4)
    it.behave("ok")
    said = prompts(it.asked()[-1])
    assert said[1:] == ["first-nudge\nof two lines", "second-nudge, while it works"], said

    before = {role: it.session(role) for role in ("builder", "adversary")}
    kill(*(session["pid"] for session in before.values()))
    for role, old in before.items():
        it.until(lambda role=role, old=old: it.session(role)["pid"] not in (None, old["pid"]))
        count = {"builder": 4, "adversary": 2}[role]
        it.until(lambda role=role, count=count: len(it.asked(role)) > count)
        assert it.session(role)["conversation"] == old["conversation"]
        earlier, later = prompts(it.asked(role)[count - 1]), prompts(it.asked(role)[-1])
        assert later[:-1] == earlier, "the model is told the earlier turns"
        assert len(later) == len(earlier) + 1
    it.stop()


def test_a_stream_that_stops_in_the_middle_is_stalled(codex: Make) -> None:
    """Nothing is drawn, so it is seen."""
    it = codex(**IMPATIENT, ORCH_ROLES="builder")
    it.behave("silent 600")
    it.start()
    it.until(it.asked)
    assert it.wait_for("stalled") > 5
    it.stop()


def test_a_hang_is_nudged_interrupted_and_healed(codex: Make) -> None:
    """The model never answers: all rungs, and then the same conversation in a new process."""
    it = codex(**IMPATIENT, ORCH_ROLES="builder")
    it.start()
    it.until(it.asked)
    before, earlier = it.session(), prompts(it.asked()[0])
    it.behave("hang 600")
    assert it.run("nudge", "builder", "the-last-word").code == 0
    assert it.wait_for("stalled") > 5
    it.until(lambda: it.events("session.nudged"))
    it.until(lambda: it.events("session.interrupted"))
    it.until(lambda: it.events("session.healed"))
    it.behave("slow 60")
    it.until(lambda: it.session()["pid"] not in (None, before["pid"]))
    assert not alive(before["pid"])
    it.until(lambda: it.asked()[-1]["kind"] == "slow")
    said = prompts(it.asked()[-1])
    assert said[0] == earlier[0], "the model is told the earlier turns"
    assert said.count("the-last-word") == 1, said
    it.stays("starting", "working", seconds=4)
    assert it.session()["conversation"] == before["conversation"]
    assert it.session()["restarts"] == 1
    it.stop()


def test_slow_words_and_a_silent_tool_are_work(codex: Make) -> None:
    """Both last three times as long as what makes a stall, and neither is touched."""
    words, tool = (codex(**IMPATIENT, ORCH_ROLES="builder") for _ in range(2))
    words.behave("slow 27 5")
    tool.behave("tool timeout 27 tail -f /dev/null")
    for it in (words, tool):
        it.start()
    for it in (words, tool):
        it.until(it.asked)
    for _ in range(5):
        for it in (words, tool):
            it.stays("starting", "working", seconds=2.5)
    for it in (words, tool):
        assert it.session()["restarts"] == 0
        assert not it.events("session.nudged")
        assert not it.events("session.stalled")
        it.stop()
