"""Text -> the lines that count."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ci_orch.core.protocol import (
    LINE_CUT,
    READ_LIMIT,
    Entry,
    File,
    Word,
    essence,
    key_of,
    newest,
    parse,
    parse_line,
)
from tests.histories import section


def said(text: str | bytes, file: File = File.STATUS, key: str = "V1", phase: str = "1") -> str:
    """What the file says of the key, as `WORD #attempt`, or nothing."""
    data = text if isinstance(text, bytes) else text.encode()
    entry = newest(parse(data, file).get(key_of(phase, key), ()))
    return f"{entry.word} #{entry.attempt}" if entry else ""


@pytest.mark.parametrize(
    ("line", "means"),
    [
        ("- V1: CLAIMED #2 — evidence, commit", "CLAIMED #2"),
        ("- V1: CLAIMED", "CLAIMED #1"),
        ("- V1: WIP", "WIP #1"),
        ("* V1: CLAIMED", "CLAIMED #1"),
        ("+ V1: CLAIMED", "CLAIMED #1"),
        ("  - V1: CLAIMED", "CLAIMED #1"),
        ("\t-\tV1 :\tCLAIMED\t#3", "CLAIMED #3"),
        ("- V1:CLAIMED#3", "CLAIMED #3"),
        ("- **V1**: CLAIMED", "CLAIMED #1"),
        ("- **V1:** CLAIMED #2", "CLAIMED #2"),
        ("- __V1__: CLAIMED", "CLAIMED #1"),
        ("- `V1`: CLAIMED", "CLAIMED #1"),
        ("- `V1:` CLAIMED", "CLAIMED #1"),
        ("- **`V1`**: CLAIMED", "CLAIMED #1"),
        ("- **`V1`:** CLAIMED", "CLAIMED #1"),
        ("- V1: CLAIMED, see issue #7", "CLAIMED #1"),
        ("- V1: CLAIMED #2.", "CLAIMED #2"),
        ("- V1: CLAIMED #002", "CLAIMED #2"),
        ("- V1: CLAIMED #999999", "CLAIMED #999999"),
        ("- V1: CLAIMED #two", "CLAIMED #1"),
        ("- V1: CLAIMED—evidence", "CLAIMED #1"),
        ("- V1: CLAIMED #2\r", "CLAIMED #2"),
    ],
)
def test_a_line_of_the_form_counts(line: str, means: str) -> None:
    assert said(section(line)) == means


@pytest.mark.parametrize(
    "line",
    [
        "V1: CLAIMED",
        "-V1: CLAIMED",
        "1. V1: CLAIMED",
        "> - V1: CLAIMED",
        "- [x] V1: CLAIMED",
        "- V1 CLAIMED",
        "- V1: claimed",
        "- V1: Claimed",
        "- v1: CLAIMED",
        "- V11: CLAIMED",
        "- gate V1: CLAIMED",
        "- V1: CLAIMED_NOT",
        "- V1: CLAIMEDLY",
        "- V1: CLAIMED-ish",
        "- V1: not CLAIMED",
        "- V1: PASS",
        "- V1: DONE",
        "- V1: BLOCKED",
        "- V1: **CLAIMED**",
        "- **V1: CLAIMED**",
        "- **V1`: CLAIMED",
        "- *V1*: CLAIMED",
        "- V1: CLAIMED #0",
        "- V1: CLAIMED #1000000",
        "- V1: CLAIMED #2f3a9",
        "- V1: CLAIMED #" + "9" * 5000,
        "- V1: ",
        "- : CLAIMED",
    ],
)
def test_everything_else_is_prose(line: str) -> None:
    assert said(section(line)) == ""


def test_each_file_has_its_own_words() -> None:
    text = section("- V1: PASS", "- V2: CLAIMED", "- phase: FAIL #2")
    assert said(text, File.REVIEW) == "PASS #1"
    assert said(text, File.REVIEW, "V2") == ""
    assert said(text, File.REVIEW, "phase") == "FAIL #2"
    assert said(text, File.STATUS, "phase") == ""
    for file in File:
        assert said(section("- phase: BLOCKED"), file, "phase") == "BLOCKED #1"
    assert said(section("- phase: DONE"), key="phase") == "DONE #1"
    assert said(section("- phase: CLAIMED", "- phase: WIP"), key="phase") == ""


def test_the_highest_attempt_wins_then_the_last_line() -> None:
    assert said(section("- V1: CLAIMED #2", "- V1: WIP #1")) == "CLAIMED #2"
    assert said(section("- V1: CLAIMED #2", "- V1: WIP #2")) == "WIP #2"
    assert said(section("- V1: WIP #10", "- V1: CLAIMED #9")) == "WIP #10"


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("- V1: WIP\n## Phase 1\n- V1: CLAIMED #2", "CLAIMED #2"),
        ("## Phase 1\ntext\n### Gates\n- V1: CLAIMED", "CLAIMED #1"),
        ("## Phase 1\n### Phase 2\n- V1: CLAIMED", "CLAIMED #1"),
        ("## Phase 1\n####### seven\n- V1: CLAIMED", "CLAIMED #1"),
        ("## Phase 1\n#hashtag\n- V1: CLAIMED", "CLAIMED #1"),
        ("## Phase 1\n## Other\n- V1: CLAIMED", ""),
        ("## Phase 1\n##\n- V1: CLAIMED", ""),
        ("## Phase 1\n# Top\n- V1: CLAIMED", ""),
        ("## Phase 1\n## Phase 2\n- V1: CLAIMED", ""),
        ("## Phase 10\n- V1: CLAIMED", ""),
        ("## Phase 1.5\n- V1: CLAIMED", ""),
        ("## Phase 1 notes\n- V1: CLAIMED", ""),
        ("## phase 1\n- V1: CLAIMED", ""),
        ("##Phase 1\n- V1: CLAIMED", ""),
        ("# Phase 1\n- V1: CLAIMED", ""),
        ("### Phase 1\n- V1: CLAIMED", ""),
        ("    ## Phase 1\n- V1: CLAIMED", ""),
        ("##  Phase  1  ##\n- V1: CLAIMED", "CLAIMED #1"),
        ("## Phase 1#\n- V1: CLAIMED", ""),
        ("\ufeff## Phase 1\r\n- V1: CLAIMED\r\n", "CLAIMED #1"),
        ("## Phase 1\r- V1: CLAIMED\r", "CLAIMED #1"),
        ("## Phase 1\n- V1: CLAIMED #2\n## Notes\n## Phase 1\n- V1: WIP #2", "WIP #2"),
    ],
)
def test_a_section_reaches_to_the_next_heading_of_its_level_or_higher(
    text: str, means: str
) -> None:
    assert said(text) == means


@pytest.mark.parametrize(
    ("lines", "means"),
    [
        (["```", "- V1: CLAIMED", "```"], "CLAIMED #1"),
        (["```sh", "# a comment", "```", "- V1: CLAIMED"], ""),
        (["    - V1: CLAIMED"], "CLAIMED #1"),
    ],
)
def test_code_blocks_mean_nothing(lines: list[str], means: str) -> None:
    """A line counts by its form alone, and a heading ends a section wherever it stands."""
    assert said(section(*lines)) == means


def test_a_missing_file_is_no_claim() -> None:
    assert parse(None, File.STATUS) == {}
    assert parse(b"", File.REVIEW) == {}


def test_unreadable_bytes_hide_only_themselves() -> None:
    assert said(b"\xff\xfe\n## Phase 1\n\x00\xc3\n- V1: CLAIMED #2 \xe9\n") == "CLAIMED #2"


def test_what_stands_beyond_the_first_mebibyte_is_not_read() -> None:
    start = b"## Phase 1\n- V1: WIP\n"
    line = b"- V1: CLAIMED #12"
    filler = b"x" * (READ_LIMIT - len(start) - len(line) - 1) + b"\n"
    assert said(start + filler + line) == "CLAIMED #12"
    assert said(start + filler + line + b"\n- V1: WIP #13\n") == "CLAIMED #12"
    assert said(start + filler + line + b"3\n") == "WIP #1", "a cut line is not half read"
    assert said(start.rstrip() + b"x" * READ_LIMIT) == ""
    assert said(b"x" * (READ_LIMIT + 1)) == ""


def test_a_line_is_known_by_its_text_but_for_white_space_and_its_far_end() -> None:
    one = parse_line("-  V1:\tCLAIMED #2 " + "e" * 1000 + "1", "1", File.STATUS)
    two = parse_line("  - V1: CLAIMED #2  " + "e" * 1000 + "2\r", "1", File.STATUS)
    assert one == two
    assert one is not None
    assert len(one.line) == LINE_CUT


def test_an_entry_has_a_real_attempt() -> None:
    with pytest.raises(ValueError, match="attempt 0"):
        Entry("1", "V1", Word.WIP, 0, "- V1: WIP #0")


@pytest.mark.parametrize(
    "text",
    [
        "`" * READ_LIMIT,
        "```a\n" * (READ_LIMIT // 5),
        "".join("`" * n + "a\n" for n in range(1300, 3, -1)) + "```\n" * 50_000,
        "# " + " " * READ_LIMIT + "x",
        "## Phase 1\n" + "-" + " " * READ_LIMIT,
        "## Phase 1\n" + "- " * (READ_LIMIT // 2),
        "## Phase 1\n" + "- V1" + " " * READ_LIMIT,
        "## Phase 1\n" + "- V1: CLAIMED" + " " * READ_LIMIT,
        "## Phase 1\n" + "- V1: CLAIMED\n" * (READ_LIMIT // 14),
        "\n" * READ_LIMIT,
    ],
    ids=range(10),
)
def test_an_absurd_file_is_read_in_no_time(text: str) -> None:
    began = time.process_time()
    parse(text.encode(), File.STATUS)
    assert time.process_time() - began < 10


MARKS = ["## Phase 1", "## ", "#", "- ", "* ", "V1", "phase", "**", "`", "```", "~~~", ":", " "]
WORDS = ["CLAIMED", "PASS", "DONE", "BLOCKED", "WIP", "#", "2", "0", "99999999", "\n", "\r\n"]
PIECES = st.sampled_from(MARKS + WORDS)


@given(st.binary() | st.lists(PIECES).map(lambda p: "".join(p).encode()), st.sampled_from(File))
def test_no_bytes_are_an_error_and_every_entry_reads_as_itself(text: bytes, file: File) -> None:
    for key, entries in parse(text, file).items():
        for entry in entries:
            assert key == key_of(entry.phase, entry.key)
            assert parse_line(entry.line, entry.phase, file) == entry


def test_the_essence_has_headings_and_the_lines_that_could_count() -> None:
    text = "prose\n#  Top\n##\tPhase 1 ##\r\n### x\n -   V1:  CLAIMED  #2\tyes\n- V1: PASS\n"
    assert essence(text.encode(), File.STATUS) == b"#\n## Phase 1\n- V1: CLAIMED #2 yes"


@given(st.binary() | st.lists(PIECES).map(lambda p: "".join(p).encode()), st.sampled_from(File))
def test_the_essence_of_a_text_reads_like_the_text(text: bytes, file: File) -> None:
    """So that only it need be kept; it is no longer, and has no prose."""
    short = essence(text, file)
    assert parse(short, file) == parse(text, file)
    assert essence(short, file) == short
    assert len(short) <= len(text.decode("utf-8", "replace").encode())
