"""The journal and the reboot log as people use them: nothing is lost, and nothing moves."""

from __future__ import annotations

import os
import pty
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Done, Instance

PROSE = "\n".join(f"line {n}: {'words ' * 20}" for n in range(8000))
assert len(PROSE) > 1_000_000

BOOTS = ["1f0e6ea8-0000-4000-8000-000000000001", "1f0e6ea8-0000-4000-8000-000000000002"]


def journal(it: Instance) -> Path:
    return it.root / "JOURNAL.md"


def titles(it: Instance) -> list[str]:
    return re.findall(r"^## Session .* UTC — (.*)$", journal(it).read_text(), re.MULTILINE)


def whole(entry: bytes) -> bool:
    """One entry with all its parts, in their order."""
    parts = (b"## Session ", b"**What happened**", b"**Current state**", b"**Open items**")
    places = [entry.find(part) for part in parts]
    return -1 not in places and places == sorted(places) and entry.endswith(b"\n")


@pytest.mark.slow
def test_a_hundred_at_once_lose_nothing(instance: Make) -> None:
    """Each entry is there, once and whole, after what a person wrote."""
    it = instance()
    journal(it).write_text("# Ours\n\nBy hand.\n")
    running = []
    for number in range(100):
        process = it.background("journal", "append", "--title", f"n{number}", stdin=subprocess.PIPE)
        running.append(process)
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"It happened.\n\nOpen items\n- one\n")
        process.stdin.close()
    assert {process.wait(10 * LONG) for process in running} == {0}
    for process in running:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        process.stderr.close()
    text = journal(it).read_text()
    assert sorted(titles(it)) == sorted(f"n{number}" for number in range(100))
    assert text.startswith("# Ours\n\nBy hand.\n\n## Session ")
    entries = re.split(r"(?m)^(?=## Session )", text)[1:]
    assert all(whole(entry.encode()) for entry in entries)
    assert sorted(path.name for path in it.root.iterdir()) == ["JOURNAL.md", "plan"]


def test_a_kill_at_any_moment_leaves_a_valid_file(instance: Make) -> None:
    """The text as it was, or that and one whole entry; and nobody waits for the one who died."""
    it = instance()
    chance = random.Random(11)
    journal(it).write_text(PROSE)
    began = time.monotonic()
    assert it.run("journal", "append", "-", input="Measured.").code == 0
    takes = time.monotonic() - began
    added = 0
    for _ in range(30):
        before = journal(it).read_bytes()
        process = it.background("journal", "append", "-", stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(b"It happened.\n")
        process.stdin.close()
        time.sleep(chance.uniform(0.3, 1.1) * takes)
        process.send_signal(signal.SIGKILL)
        process.wait(LONG)
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()
        after = journal(it).read_bytes()
        assert after[: len(before)] == before
        if after != before:
            added += 1
            assert whole(after[len(before) :].lstrip(b"\n"))
    assert it.run("journal", "append", "-", input="The last one.").code == 0
    assert "The last one." in it.run("journal", "show").out


@pytest.mark.parametrize(
    ("before", "gap"),
    [
        (b"", b""),
        (b"no newline at the end", b"\n\n"),
        (b"one\r\ntwo\r\n", b"\r\n"),
        (b"one\r\nno newline", b"\n\n"),
        (PROSE.encode(), b"\n\n"),
        (b"\xff\xfe\x00\x01 not text \x80\n", b"\n"),
        (b"## Session 2026-01-01 10:00 UTC \xe2\x80\x94 old\n\nwords\n\n", b""),
        (b"\n\n\n", b""),
    ],
    ids=["empty", "no newline", "CRLF", "mixed", "megabyte", "binary", "entry", "blank"],
)
def test_what_people_wrote_stays_byte_for_byte(instance: Make, before: bytes, gap: bytes) -> None:
    it = instance()
    journal(it).write_bytes(before)
    assert it.run("journal", "append", "--title", "new", "-", input="It happened.").code == 0
    after = journal(it).read_bytes()
    assert after[: len(before) + len(gap)] == before + gap
    assert whole(after[len(before) + len(gap) :])
    shown = it.run("journal", "show")
    assert shown.code == 0 and shown.out.startswith("## Session ") and "— new" in shown.out


def test_a_link_stays_a_link(instance: Make) -> None:
    """Also one that leads to where there is nothing yet."""
    it = instance()
    real = it.folder / "elsewhere.md"
    journal(it).symlink_to(real)
    for count in (1, 2):
        assert it.run("journal", "append", "-", input="It happened.").code == 0
        assert journal(it).is_symlink() and real.read_text().count("## Session ") == count


def test_what_can_not_be_written_to_is_said(instance: Make) -> None:
    it = instance()
    journal(it).mkdir()
    for args in (("journal", "append", "-"), ("journal", "show")):
        done = it.run(*args, input="It happened.")
        assert done.code == 1, done
        assert done.err.startswith("cc-ci-orch: can't read: ") and "Traceback" not in done.err


def test_without_any_text(instance: Make) -> None:
    it = instance()
    assert it.run("journal", "append", "-", input=" \n").code == 2
    assert not journal(it).exists()
    assert it.run("journal").code == 1


# ----------------------------------------------------------------- in an editor


def in_editor(it: Instance, script: str) -> Done:
    """`journal append` at a terminal, with that shell script as the editor."""
    editor = it.folder / "editor.sh"
    editor.write_text(f"#!/bin/sh\n{script}\n")
    editor.chmod(0o755)
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [str(it.launch), "journal", "append"],
            stdin=theirs,
            capture_output=True,
            timeout=LONG,
            env={**it.env, "EDITOR": f"{editor} --wait"},
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_an_entry_that_is_written_in_an_editor(instance: Make) -> None:
    """What the person wrote, as they wrote it, indented lines too; the instructions are not."""
    it = instance()
    write = r"""printf 'It happened.\n\n     indented code\n\nOpen items\n- this\n' >> "$2" """
    done = in_editor(it, write)
    assert done.code == 0, done
    entry = it.run("journal", "show").out
    assert "It happened.\n\n     indented code" in entry and "- this" in entry
    assert "<!--" not in entry


def test_an_editor_that_replaces_its_file(instance: Make) -> None:
    it = instance()
    done = in_editor(it, 'echo "It happened." > "$2.new" && mv "$2.new" "$2"')
    assert done.code == 0, done
    assert "It happened." in it.run("journal", "show").out


@pytest.mark.parametrize(("script", "code"), [("exit 0", 2), ("exit 3", 1), ('rm "$2"', 2)])
def test_an_editor_that_writes_nothing(instance: Make, script: str, code: int) -> None:
    it = instance()
    done = in_editor(it, script)
    assert done.code == code and "Traceback" not in done.err, done
    assert not journal(it).exists()


def test_what_was_written_in_an_editor_is_not_lost_where_it_can_not_be_appended(
    instance: Make,
) -> None:
    """It stays in a file that the message names."""
    it = instance()
    journal(it).mkdir()
    done = in_editor(it, 'echo "Hours of work." > "$2"')
    assert done.code == 1, done
    named = re.search(r"hint: .*?(/\S+)", done.err)
    assert named is not None and "Hours of work." in Path(named[1]).read_text()


# ----------------------------------------------------------------- reboots


def reboots(it: Instance) -> list[str]:
    path = it.root / "REBOOTS.md"
    return [line for line in path.read_text().splitlines() if line] if path.exists() else []


def booted(it: Instance, boot: str) -> None:
    path = it.folder / "boot_id"
    path.write_text(f"{boot}\n")
    it.settings["ORCH_BOOT_ID_FILE"] = str(path)


def test_many_that_record_one_reboot(instance: Make) -> None:
    """The first start on a host logs nothing; however many record the next boot, it is one."""
    it = instance()
    booted(it, BOOTS[0])
    assert it.run("reboots", "record").code == 0
    assert reboots(it) == []
    booted(it, BOOTS[1])
    running = [it.background("reboots", "record") for _ in range(12)]
    for process in running:
        process.communicate(timeout=10 * LONG)
    assert {process.returncode for process in running} == {0}
    (line,) = reboots(it)
    assert re.fullmatch(
        rf"- \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ boot_id={BOOTS[1]} previous={BOOTS[0]} phase=\S+",
        line,
    )
    assert it.run("reboots").out == line + "\n"
    assert it.status()["reboots"]["count"] == 1


def test_a_state_folder_that_was_lost(instance: Make) -> None:
    """The newest entry is then the last boot that is known."""
    it = instance()
    (it.root / "REBOOTS.md").write_text(
        "# Reboots\n\nA person's words.\n"
        f"- 2026-01-01T00:00:00Z boot_id={BOOTS[0]} previous=x phase=1"
    )
    before = (it.root / "REBOOTS.md").read_bytes()
    booted(it, BOOTS[0])
    assert it.run("reboots", "record").code == 0
    assert (it.root / "REBOOTS.md").read_bytes() == before
    (it.state / "boot_id").unlink()
    booted(it, BOOTS[1])
    assert it.run("reboots", "record").code == 0
    after = (it.root / "REBOOTS.md").read_bytes()
    assert after.startswith(before + b"\n- ") and BOOTS[1].encode() in after
    assert it.status()["reboots"]["count"] == 2


@pytest.mark.parametrize("content", [None, "", "  \n", "two words\n", "\x00\x01\n", "x" * 5000])
def test_a_boot_id_that_is_none(instance: Make, content: str | None) -> None:
    """Nothing is recorded, it is said, and everything else works on."""
    it = instance()
    booted(it, BOOTS[0])
    assert it.run("reboots", "record").code == 0
    path = it.folder / "boot_id"
    path.unlink()
    if content is not None:
        path.write_text(content)
    done = it.run("reboots", "record")
    assert done.code == 1 and "boot id" in done.err and "Traceback" not in done.err, done
    assert reboots(it) == []
    booted(it, BOOTS[0])
    assert it.run("reboots", "record").code == 0
    assert reboots(it) == []
