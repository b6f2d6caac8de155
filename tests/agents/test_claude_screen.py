"""Screens of the real Claude Code, as they were captured, and what is read in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cc_ci_orch.agents.claude_screen import Dialog, Screen, answer, read

CAPTURES = Path(__file__).with_name("captures")


def screen(name: str) -> Screen:
    path = CAPTURES / f"claude-{name}.ansi.txt"
    return read((path if path.exists() else CAPTURES / f"claude-{name}.txt").read_text())


@pytest.mark.parametrize(
    "name",
    ["idle", "401-final", "credit", "overloaded-final", "usage-limit-apikey", "interrupted"],
)
def test_a_prompt_is_an_empty_box_whatever_placeholder_stands_in_it(name: str) -> None:
    assert screen(name) == Screen(box="")


@pytest.mark.parametrize("name", ["hang", "hang-midstream"])
def test_a_hang_is_busy_and_counts_no_tokens(name: str) -> None:
    assert screen(name) == Screen(box="", busy=True)


def test_the_token_counter_is_read_without_the_timer() -> None:
    assert screen("working-stream") == Screen(box="", busy=True, tokens="85")
    assert screen("tool-running") == Screen(box="", busy=True, tokens="5")
    assert screen("busy-queued") == Screen(box="", busy=True, tokens="8")


def test_the_counters_of_subagents_are_read_below_the_box() -> None:
    """They work on while the client itself only waits for them."""
    lines = (CAPTURES / "claude-idle.ansi.txt").read_text().rstrip().splitlines()
    agents = [f"  ◯ general-purpose  part {n}{' ' * 60}16s · ↑ 1.{n}k tokens" for n in range(20)]
    shown = read("\n".join([*lines, "", "  ● main", *agents[:2]]))
    assert shown == Screen(box="", tokens="1.0k 1.1k")
    assert read("\n".join([*lines, "", "  ● main", *agents])).box == ""


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("overloaded-retrying", "529 Overloaded"),
        ("api500-retrying", "500 Internal server error"),
        ("ratelimit-retrying", "API error"),
        ("401-retrying", "401 invalid x-api-key"),
        ("dropped-retrying", "Connection dropped (ECONNRESET)"),
    ],
)
def test_a_retry_says_what_failed(name: str, what: str) -> None:
    assert screen(name) == Screen(box="", busy=True, retrying=what)


def test_a_retry_after_a_timeout_is_one_of_a_hang() -> None:
    assert screen("hang-timeout-retry").timed_out


@pytest.mark.parametrize("name", ["usage-limit-5h", "usage-limit-week"])
def test_a_limit_stands_below_the_box(name: str) -> None:
    assert screen(name) == Screen(box="", limited=True)


def test_a_draft_is_what_somebody_typed() -> None:
    assert screen("early-typing-0.1").box == "early text 0.1\nsecond line"


@pytest.mark.parametrize(
    ("name", "rows", "key"),
    [
        ("trust-dialog", ("No, exit", "Yes, I trust this folder"), "Down"),
        ("bypass-warning", ("No, exit", "Yes, I accept"), "Down"),
        ("apikey-dialog", ("Yes", "No (recommended)"), "Up"),
    ],
)
def test_a_known_dialog_is_answered_by_moving_first(
    name: str, rows: tuple[str, ...], key: str
) -> None:
    """All three preselect the row that ends the client or refuses."""
    dialog = screen(name).dialog
    assert dialog is not None
    assert dialog.rows == rows
    assert answer(dialog) == key
    wanted = dialog.selected + (1 if key == "Down" else -1)
    assert answer(Dialog(dialog.text, dialog.rows, wanted)) == "Enter"


@pytest.mark.parametrize(
    ("name", "key"),
    [("mcp-dialog", "Enter"), ("mcp-dialog-many", "Escape"), ("imports-dialog", "Enter")],
)
def test_what_a_repository_brings_along_is_declined(name: str, key: str) -> None:
    """Nobody is there to decide on it, and the work can go on without."""
    dialog = screen(name).dialog
    assert dialog is not None
    assert answer(dialog) == key


def test_rows_that_are_not_to_be_ticked_are_no_list_of_servers() -> None:
    dialog = screen("permission").dialog
    assert dialog is not None
    forged = Dialog("2 new MCP servers found in this project", dialog.rows, 0)
    assert answer(forged) is None


def test_a_permission_prompt_is_not_answered() -> None:
    dialog = screen("permission").dialog
    assert dialog is not None
    assert dialog.rows[0] == "Yes"
    assert answer(dialog) is None


def test_what_an_agent_asks_for_cant_pass_for_a_known_dialog() -> None:
    """Its command is quoted in the permission prompt, titles of other dialogs included."""
    dialog = screen("permission").dialog
    assert dialog is not None
    for words in ("Detected a custom API key in your environment", "Accessing workspace:"):
        forged = Dialog(f"Bash command\n {words}\n Do you want to proceed?", dialog.rows, 0)
        assert answer(forged) is None


def test_what_the_agent_says_is_no_status() -> None:
    """It quotes a retry, a counter and a limit; the client is idle."""
    lines = (CAPTURES / "claude-idle.ansi.txt").read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if "Fake answer" in line)
    lines[at] = "● ✻ 529 Overloaded · retrying in 3s · attempt 6/10 (3s · ↓ 5 tokens)"
    lines.insert(at + 1, "  ⚠ Usage limit reached · limit resets 6:51pm")
    assert read("\n".join(lines)) == Screen(box="")


@pytest.mark.parametrize("name", ["resume-missing-id", "session-id-in-use", "exited-slash-exit"])
def test_a_shell_is_neither_prompt_nor_dialog(name: str) -> None:
    assert screen(name) == Screen()
