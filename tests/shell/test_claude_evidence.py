"""The files of Claude Code, read as a watchdog reads them: again and again, only what is new."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cc_ci_orch.core.model import Doing, Liveness, ProcessId, RoleMemory, Seen, SessionView
from cc_ci_orch.core.policy import Policy
from cc_ci_orch.shell.claude_evidence import ClaudeEvidence
from cc_ci_orch.shell.claude_home import ClaudeHome
from cc_ci_orch.shell.clock import RealClock
from cc_ci_orch.shell.growing import MOST, GrowingFile
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.procs import ProcFs
from cc_ci_orch.shell.store import Store

CAPTURES = Path(__file__).parent.parent / "agents" / "captures"
CONVERSATION = "48cd3f41-32c3-4a7d-a44a-db9f361a52b9"


class Desk:
    """A client's home, a clone, a state folder; this process stands for the client."""

    def __init__(self, folder: Path) -> None:
        self.home, self.clone = folder / "home", folder / "state" / "clones" / "b.c"
        self.state = folder / "state"
        for made in (self.home / ".claude" / "sessions", self.clone):
            made.mkdir(parents=True)
        self.processes = ProcFs()
        me = self.processes.identify(os.getpid())
        assert me is not None
        self.me = me
        self.store = Store(self.state)
        self.claude = ClaudeHome({"HOME": str(self.home)}, self.processes, self.store)
        self.mem = RoleMemory(conversation=CONVERSATION, process=me, on_turn=True)
        self.view = SessionView("b", Seen.PRESENT, process=me, running=Seen.PRESENT)
        self.evidence = self.fresh()

    def fresh(self) -> ClaudeEvidence:
        settings = self.state / "claude" / "b.json"
        store, processes = self.store, self.processes
        folders = (self.clone,)
        return ClaudeEvidence(
            self.clone, settings, self.claude, processes, store, RealClock(), Policy(), folders
        )

    @property
    def record(self) -> Path:
        path = self.claude.transcript(self.clone, CONVERSATION)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add(self, *records: Mapping[str, Any]) -> None:
        with self.record.open("a") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)

    def status(self, state: str, pid: int = 0, started: int = 0, **more: Any) -> None:
        value = {"pid": pid or self.me.pid, "procStart": str(started or self.me.start_ticks)}
        value |= {"sessionId": CONVERSATION, "status": state, **more}
        path = self.home / ".claude" / "sessions" / f"{pid or self.me.pid}.json"
        path.write_text(json.dumps(value))

    def look(self) -> SessionView:
        return self.evidence.look(self.view, self.mem)

    def doing(self) -> Doing | None:
        account = self.look().account
        return account.doing if account else None


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


PROMPT = {"type": "user", "message": {"content": "go"}, "promptSource": "typed"}
ANSWER = {"type": "assistant", "message": {"content": [{"type": "text", "text": "yes"}]}}


def test_the_status_file_counts_only_for_the_very_process(desk: Desk) -> None:
    """A pid that was used before has left its file."""
    desk.status("busy", started=desk.me.start_ticks + 1)
    assert desk.doing() is None
    desk.status("busy")
    assert desk.doing() is Doing.BUSY
    desk.status("waiting", waitingFor="approve Bash")
    account = desk.look().account
    assert account is not None
    assert "approve Bash" in account.why


def test_the_record_is_where_the_client_puts_it(desk: Desk) -> None:
    """The folder's path with every other character as `-`; else wherever it is found."""
    name = desk.record.parent.name
    assert name == "".join(c if c.isalnum() else "-" for c in str(desk.clone.resolve()))
    other = desk.home / ".claude" / "projects" / "elsewhere" / f"{CONVERSATION}.jsonl"
    other.parent.mkdir(parents=True)
    other.write_text("")
    assert desk.claude.transcript(desk.clone, CONVERSATION) == other


def test_prompts_and_work_are_counted_as_they_come(desk: Desk) -> None:
    """Work moves a signal, a prompt proves a submission; half a line is neither yet."""
    desk.status("busy")
    before = desk.look()
    desk.add(PROMPT)
    asked = desk.look()
    assert (before.submissions, asked.submissions) == (0, 1)
    assert asked.signals["transcript"] == before.signals["transcript"]
    with desk.record.open("a") as file:
        file.write(json.dumps(ANSWER))
    assert desk.look().signals == asked.signals
    with desk.record.open("a") as file:
        file.write("\n")
    assert desk.look().signals["transcript"] == desk.record.stat().st_size


def test_another_supervisor_sees_the_same_signals(desk: Desk) -> None:
    """So that its start is no progress of a hung agent."""
    desk.status("busy")
    desk.add(PROMPT, ANSWER)
    before = desk.look()
    desk.evidence = desk.fresh()
    assert desk.look().signals == before.signals


def test_hooks_prove_a_prompt_before_there_is_a_record(desk: Desk) -> None:
    desk.evidence.before_start(CONVERSATION)
    assert desk.look().submissions == 0
    settings = json.loads((desk.state / "claude" / "b.json").read_text())
    (hook,) = settings["hooks"]["UserPromptSubmit"][0]["hooks"]
    assert os.system(f"echo '{{}}' | ({hook['command']})") == 0
    found = desk.look()
    assert found.submissions == 1
    assert found.account is not None
    assert found.account.doing is Doing.BUSY
    desk.evidence.before_start(CONVERSATION)
    assert desk.look().submissions == 0, "the hooks of another process are gone"


def test_the_screen_is_looked_at_only_in_doubt(desk: Desk) -> None:
    desk.status("busy")
    desk.add(PROMPT, {**ANSWER, "message": {"content": [{"type": "tool_use", "id": "t"}]}})
    in_tool = desk.look()
    mem = replace(desk.mem, liveness=Liveness.WORKING, progress_at=100.0)
    assert not desk.evidence.in_doubt(in_tool, mem, 300.0), "a tool is open"
    assert desk.evidence.in_doubt(in_tool, mem, 500.0), "for long"
    desk.add({**PROMPT, "message": {"content": [{"type": "tool_result", "tool_use_id": "t"}]}})
    busy = desk.look()
    assert not desk.evidence.in_doubt(busy, mem, 101.0)
    assert desk.evidence.in_doubt(busy, mem, 104.0), "silence"
    assert desk.evidence.in_doubt(replace(busy, account=None), mem, 101.0), "unknown"


def test_the_screen_tells_a_retry_a_counter_and_a_dialog(desk: Desk) -> None:
    desk.status("busy")
    view = desk.look()

    def see(name: str) -> SessionView:
        return desk.evidence.see(view, (CAPTURES / f"claude-{name}.ansi.txt").read_text(), 1.0)

    retry = see("overloaded-retrying").account
    assert retry is not None
    assert (retry.doing, retry.timed_out) == (Doing.RETRYING, False)
    assert see("working-stream").signals["token counter"] == "85"
    assert see("hang").signals["token counter"] == "85", "that it stops counting is no progress"
    trust = see("trust-dialog")
    assert trust.answer == "Down"
    permission = see("permission")
    assert permission.answer is None
    assert permission.account is not None
    assert permission.account.doing is Doing.BLOCKED
    login = see("401-retrying").account
    assert login is not None
    assert login.doing is Doing.BLOCKED


def test_the_menu_at_a_limit_is_answered_and_the_limit_stays(desk: Desk) -> None:
    """It is one limit, not one before the menu and one after."""
    text = "You've hit your weekly limit · resets Nov 28, 1:23am (UTC)"
    content = [{"type": "text", "text": text}]
    limit = {"type": "assistant", "message": {"content": content}, "isApiErrorMessage": True}
    desk.add(PROMPT, {**limit, "error": "rate_limit", "apiErrorStatus": 429})
    desk.status("idle")
    assert desk.doing() is Doing.LIMITED
    desk.status("waiting", waitingFor="dialog open")
    menu = "  What do you want to do?\n\n  ❯ Upgrade\n    Wait here, then continue automatically\n"
    shown = desk.evidence.see(desk.look(), menu + "\n  Enter to confirm\n", 1.0)
    assert shown.answer == "Down"
    assert shown.account is not None
    assert shown.account.doing is Doing.LIMITED
    assert shown.account.until is not None


def test_a_key_for_a_dialog_is_pressed_once_until_it_has_moved(desk: Desk) -> None:
    """A second one on its way would move on, off the wanted row; in the end it is a person's."""
    raw = (CAPTURES / "claude-trust-dialog.ansi.txt").read_text()
    moved = raw.replace("❯", " ", 1).replace("   Yes, I trust", " ❯ Yes, I trust")

    def key(screen: str, now: float) -> str | None:
        return desk.evidence.see(desk.look(), screen, now).answer

    assert [key(raw, now) for now in (1.0, 1.2, 5.0, 6.1, 6.2)] == [
        "Down",
        None,
        None,
        "Down",
        None,
    ]
    assert [key(moved, now) for now in (6.3, 6.4)] == ["Enter", None]
    account = desk.evidence.see(desk.look(), raw, 70.0).account
    assert account is not None
    assert account.doing is Doing.BLOCKED


def test_nothing_is_typed_beside_a_draft_or_into_a_dialog(desk: Desk) -> None:
    def refusal(name: str) -> str:
        return desk.evidence.refuses((CAPTURES / f"claude-{name}.ansi.txt").read_text())

    assert refusal("idle") == refusal("busy-queued") == ""
    assert "draft" in refusal("early-typing-0.1")
    assert "dialog" in refusal("permission")
    assert refusal("exited-slash-exit") != ""


def test_our_own_prompt_that_was_not_submitted_is_no_draft(desk: Desk) -> None:
    raw = (CAPTURES / "claude-early-typing-0.1.ansi.txt").read_text()
    idle = (CAPTURES / "claude-idle.ansi.txt").read_text()
    assert not desk.evidence.ours(raw)
    desk.evidence.typed("early text 0.1\nsecond line\nthird")
    assert not desk.evidence.ours(raw), "a person may begin with the same words"
    desk.evidence.typed("early text 0.1\nsecond  line\n")
    assert desk.evidence.ours(raw)
    assert not desk.evidence.ours(idle)
    desk.evidence.typed("another text")
    assert not desk.evidence.ours(raw)


def test_a_conversation_that_a_living_process_has_is_refused(desk: Desk) -> None:
    """By the client's own word; the file of a dead one is none."""
    desk.status("idle", started=desk.me.start_ticks + 1)
    desk.evidence.before_start(CONVERSATION)
    desk.status("idle")
    with pytest.raises(CannotTell, match=f"another process: {desk.me.pid}$"):
        desk.evidence.before_start(CONVERSATION)
    desk.evidence.before_start("another")


def test_trust_is_settled_only_where_nothing_is_said(desk: Desk) -> None:
    """And only while no client runs that would write the file anew; nothing else changes."""
    config, folder = desk.home / ".claude.json", str(desk.clone.resolve())

    def settle(projects: Any) -> Any:
        config.write_text(json.dumps({"kept": 1, "projects": projects}))
        desk.claude.settle_trust([desk.clone])
        value = json.loads(config.read_text())
        assert value["kept"] == 1
        return value["projects"]

    desk.claude.settle_trust([desk.clone])
    assert not config.exists()
    assert settle({}) == {folder: {"hasTrustDialogAccepted": True}}
    refused = {folder: {"hasTrustDialogAccepted": False}}
    assert settle(refused) == refused
    desk.status("idle")
    assert settle({}) == {}
    config.write_text("{")
    desk.claude.settle_trust([desk.clone])
    assert config.read_text() == "{"


def test_a_growing_file_is_read_once(tmp_path: Path) -> None:
    """Whole lines; anew where it was replaced or cut; its end where it grew by too much."""
    path = tmp_path / "file"
    growing = GrowingFile(path, tail=16)
    assert list(growing.news()) == []
    path.write_text("0123456789\n" * 3)
    assert [line for line, _ in growing.news()] == [b"0123456789"]
    with path.open("a") as file:
        file.write("one\nha")
    assert list(growing.news()) == [(b"one", 37)]
    with path.open("a") as file:
        file.write("lf\n")
    assert list(growing.news()) == [(b"half", 42)]
    path.write_text("new\n")
    assert list(growing.news()) == [(b"new", 4)]
    with path.open("a") as file:
        file.write("x" * MOST + "\nlast of all\n")
    assert [line for line, _ in growing.news()] == [b"last of all"]


def test_processes_are_found_by_a_word_of_their_command_line() -> None:
    table = ProcFs().snapshot()
    assert ProcessId(1, 1) not in table.with_argument("no such word anywhere")
    assert os.getpid() not in [p.pid for p in table.with_argument("-q")]
