"""Adding to a file that people write in: real files, real crashes, real competition."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cc_ci_orch.errors import OrchError
from cc_ci_orch.shell import prose
from cc_ci_orch.shell.lock import Lock

ROOT = Path(__file__).resolve().parents[2]

ADD_FOREVER = """
import sys, itertools
from pathlib import Path
from cc_ci_orch.shell import prose
from cc_ci_orch.shell.lock import Lock
path, lock, name, count = Path(sys.argv[1]), Lock(Path(sys.argv[2])), sys.argv[3], int(sys.argv[4])
for n in range(count) if count else itertools.count():
    prose.change(path, lock, lambda text: text + f"{name}-{n}\\n")
    print(n, flush=True)
"""


def writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", ADD_FOREVER, path, path.with_suffix(".lock"), name, str(count)]
    return subprocess.Popen([*map(str, argv)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_many_writers_at_once_lose_nothing(tmp_path):
    """Each waits for the others, and what each added is there, in its order."""
    path = tmp_path / "J.md"
    path.write_text("mine\n")
    writers = [writer(path, f"w{n}", 10) for n in range(8)]
    assert [w.wait(60) for w in writers] == [0] * 8
    lines = path.read_text().splitlines()
    assert lines[0] == "mine" and len(lines) == 81
    for n in range(8):
        own = [line for line in lines if line.startswith(f"w{n}-")]
        assert own == [f"w{n}-{k}" for k in range(10)]
    for w in writers:
        w.stdout.close()


@pytest.mark.parametrize("after", [1, 5, 17])
def test_a_writer_that_is_killed_leaves_a_valid_file(tmp_path, after):
    """Whatever the moment: the old text or the new one, nothing in between."""
    path = tmp_path / "J.md"
    with writer(path, "w", 0) as process:
        for _ in range(after):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    lines = path.read_text().splitlines()
    assert lines == [f"w-{n}" for n in range(len(lines))] and len(lines) >= after


def test_bytes_that_are_no_text_stay_as_they_are(tmp_path):
    path = tmp_path / "J.md"
    path.write_bytes(b"\xff\xfe\r\nno newline at the end")
    prose.change(path, Lock(tmp_path / "lock"), lambda text: text + "\nnew\n")
    assert path.read_bytes() == b"\xff\xfe\r\nno newline at the end\nnew\n"


def test_the_mode_and_a_link_stay(tmp_path):
    real, link = tmp_path / "real.md", tmp_path / "link.md"
    real.write_text("a\n")
    real.chmod(0o640)
    link.symlink_to(real)
    prose.change(link, Lock(tmp_path / "lock"), lambda text: text + "b\n")
    assert link.is_symlink() and real.read_text() == "a\nb\n"
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_person_who_saves_meanwhile_loses_nothing(tmp_path):
    """The text is made anew from what they saved."""
    path = tmp_path / "J.md"
    path.write_text("first\n")
    saved = []

    def make(text: str) -> str:
        if not saved:
            saved.append(True)
            path.write_text(text + "by hand\n")
        return text + "ours\n"

    prose.change(path, Lock(tmp_path / "lock"), make)
    assert path.read_text() == "first\nby hand\nours\n"


def test_nothing_to_add_writes_nothing(tmp_path):
    path = tmp_path / "J.md"
    assert prose.change(path, Lock(tmp_path / "lock"), lambda text: None) is False
    assert not path.exists()


def test_a_folder_that_is_gone_is_an_error_in_words(tmp_path):
    with pytest.raises(OrchError, match="can't write"):
        prose.change(tmp_path / "no" / "J.md", Lock(tmp_path / "lock"), lambda text: "x")
