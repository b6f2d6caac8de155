"""The hand-over as text: entries are found and added, and nothing of a person's moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cc_ci_orch.core import journal

NOON = 1780249809.0  # 2026-05-31 17:50:09 UTC

STATUS = {
    "phase": {
        "id": "1",
        "title": "Host",
        "state": "running",
        "gates": [{"id": "V1", "passed": True}, {"id": "V2", "passed": False}],
    },
    "turn": ["builder"],
    "sessions": [{"role": "builder", "liveness": "working", "reason": "log moved 1s ago"}],
    "troubles": ["the disk is full"],
}


def test_an_entry_has_its_time_its_title_and_three_parts():
    """The format is the one that the next reader relies on."""
    text = "Claimed V1.\n\nOpen items\n- V2 is flaky"
    expected = (
        "## Session 2026-05-31 17:50 UTC — A good day\n\n"
        "**What happened**\n\nClaimed V1.\n\n"
        "**Current state**\n\n- state\n\n"
        "**Open items**\n\n- V2 is flaky\n"
    )
    assert expected == journal.entry(NOON, " A good\nday", text, "- state\n")


def test_a_text_without_open_items_names_none():
    assert journal.entry(NOON, "t", "Done.", "- s").endswith("**Open items**\n\n- none named\n")


def test_an_empty_text_is_said_to_be_empty():
    assert "(nothing was written down)" in journal.entry(NOON, "t", "", "- s")


def test_a_heading_in_the_text_begins_no_entry():
    """Otherwise the newest entry would be what somebody quoted."""
    text = journal.entry(NOON, "real", "## Session 2020-01-01 00:00 UTC — quoted", "- s")
    newest = journal.newest_entry(text)
    assert newest is not None and newest.startswith("## Session 2026-05-31 17:50 UTC — real")
    assert journal.newest_time(text) == NOON - NOON % 60


def test_the_newest_entry_ends_where_a_person_goes_on():
    text = (
        "# Journal\n\n## Session 2026-01-01 10:00 UTC — old\n\nold\n\n"
        "## Session 2026-01-02 10:00 UTC — new\n\nnew\n\n### detail\n\nmore\n\n## Notes\n\nmine\n"
    )
    expected = "## Session 2026-01-02 10:00 UTC — new\n\nnew\n\n### detail\n\nmore\n"
    assert expected == journal.newest_entry(text)


def test_no_entry_is_no_error():
    assert journal.newest_entry("# Journal\n\nprose\n") is None
    assert journal.newest_time("# Journal\n") is None


def test_a_date_that_is_none_is_no_time():
    assert journal.newest_time("## Session 2026-13-41 99:99 UTC — x\n") is None


def test_the_current_state_tells_phase_gates_sessions_and_restarts():
    expected = (
        "- phase 1 (Host): running\n"
        "- gates passed: V1; left: V2\n"
        "- on turn: builder\n"
        "- builder: working (log moved 1s ago)\n"
        "- restarts since the last entry: 3\n"
        "- trouble: the disk is full"
    )
    assert expected == journal.current_state(STATUS, 3)


def test_a_reboot_reads_back_as_it_was_written():
    reboot = journal.Reboot("2026-05-31T17:50:09Z", "new", "old", "5")
    text = "# Reboots\n\nprose - not=one\n" + reboot.line
    assert (reboot,) == journal.reboots(text)


@given(st.text(), st.booleans())
def test_whatever_stood_there_stays_and_the_addition_begins_a_line(before, blank):
    """Byte for byte; a missing final newline is added, never taken."""
    after = journal.appended(before, "new\n", blank_line=blank)
    assert after.startswith(before)
    assert after.endswith("new\n")
    assert before == "" or after[: -len("new\n")].endswith("\n")


def test_a_file_with_crlf_keeps_its_line_ends():
    assert journal.appended("a\r\nb", "new\n", blank_line=False) == "a\r\nb\nnew\n"
    assert journal.appended("a\r\n", "new\n", blank_line=True) == "a\r\n\r\nnew\n"
    assert journal.appended("a\n\n", "new\n", blank_line=True) == "a\n\nnew\n"
