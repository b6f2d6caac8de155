"""The state folder on a real file system: whole or not at all, and nothing lost."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cc_ci_orch.shell import logs, private, store
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.shell.ports import CannotTell, Files
from cc_ci_orch.shell.store import Store

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


@pytest.fixture
def files(tmp_path: Path) -> Store:
    return Store(tmp_path, wall=lambda: 0.0)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "none", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        done = False
    if not done:
        pytest.skip("a full disk needs root and a tmpfs, which can't be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill_up(folder: Path, leave: int = 0) -> None:
    """Use up all space but `leave` pages."""
    ballast = folder / "ballast"
    with open(ballast, "ab", buffering=0) as file:
        try:
            while file.write(b"x" * 4096) == 4096 and ballast.stat().st_size < 1 << 20:
                pass
        except OSError:
            pass
    assert ballast.stat().st_size < 1 << 20
    os.truncate(ballast, ballast.stat().st_size - leave * 4096)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_what_the_rest_of_the_program_sees(files: Store) -> None:
    """The type checker compares the two."""
    port: Files = files
    assert port.load("memory.json", dict) is None


# ---------------------------------------------------------------------------- save and load


@SHARED
@given(st.dictionaries(st.text(), JSON))
def test_what_is_saved_is_loaded(files: Store, value: dict[str, object]) -> None:
    files.save("memory.json", value)
    assert (files.load("memory.json"), files.troubles()) == (value, ())


def test_the_version_before_is_kept(files: Store, tmp_path: Path) -> None:
    """After each save: the file and the one before it, and no temporary file."""
    for number in range(3):
        files.save("memory.json", {"n": number})
    assert json.loads((tmp_path / "memory.json.previous").read_text()) == {"n": 1}
    assert names(tmp_path) == ["memory.json", "memory.json.previous"]


def test_a_crash_between_the_link_and_the_replacement_leaves_no_litter(
    files: Store, tmp_path: Path
) -> None:
    """Both names are then one file, and the next save sorts it out."""
    files.save("memory.json", {"n": 1})
    os.link(tmp_path / "memory.json", tmp_path / "memory.json.previous")
    files.save("memory.json", {"n": 2})
    assert names(tmp_path) == ["memory.json", "memory.json.previous"]
    assert json.loads((tmp_path / "memory.json.previous").read_text()) == {"n": 1}


@pytest.mark.parametrize("umask", [0, 0o277, 0o777])
def test_every_file_is_private_whatever_the_umask(files: Store, tmp_path: Path, umask: int) -> None:
    """Those of saves, logs and locks, and the copies of them."""
    (tmp_path / "s.log").write_text("x")
    before = os.umask(umask)
    try:
        files.save("a.json", {})
        files.save("a.json", {})
        files.save_text("socket", "/x\n")
        files.append("events.jsonl", "{}")
        files.rotate(tmp_path / "s.log", 1)
        assert Lock(tmp_path / "lock").acquire()
    finally:
        os.umask(before)
    made = ["a.json", "a.json.previous", "events.jsonl", "lock", "s.log.1", "socket"]
    assert {name: mode(tmp_path / name) for name in made} == dict.fromkeys(made, 0o600)


HOSTILE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe",
    b'{"a": 1} trailing',
    bytes(512),
    b'{"a":' * 100_000,
    b"[" * 100_000,
    b'{"a": ' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_a_corrupt_file_is_set_aside_and_the_one_before_it_used(
    files: Store, tmp_path: Path, content: bytes
) -> None:
    """Its bytes are kept, under its date, and the fact is told."""
    files.save("memory.json", {"n": 1})
    files.save("memory.json", {"n": 2})
    (tmp_path / "memory.json").write_bytes(content)
    assert files.peek("memory.json") == {"n": 1}
    assert files.load("memory.json") == {"n": 1}
    aside = "memory.json.corrupt-19700101T000000Z"
    assert (tmp_path / aside).read_bytes() == content
    (trouble,) = files.troubles()
    assert (trouble.key, aside in trouble.text) == ("state:memory.json", True)
    assert names(tmp_path) == [aside, "memory.json.previous"]


def test_a_file_whose_values_make_no_sense_is_corrupt(files: Store, tmp_path: Path) -> None:
    """JSON that the reader refuses is set aside like one that is no JSON."""

    def read(value: Mapping[str, object]) -> object:
        if value != {"n": 1}:
            raise ValueError("no such thing")
        return "one"

    files.save("memory.json", {"n": 1})
    files.save("memory.json", {"n": 2})
    assert files.load("memory.json", read) == "one"
    assert json.loads((tmp_path / "memory.json.corrupt-19700101T000000Z").read_text()) == {"n": 2}


def test_a_crash_after_a_corrupt_file_loses_nothing(files: Store, tmp_path: Path) -> None:
    """The version before serves until the next save, whoever loads it."""
    files.save("memory.json", {"n": 1})
    files.save("memory.json", {"n": 2})
    (tmp_path / "memory.json").write_text("{")
    files.load("memory.json")
    assert Store(tmp_path).load("memory.json") == {"n": 1}
    files.save("memory.json", {"n": 3})
    assert files.load("memory.json") == {"n": 3}


def test_two_corrupt_files_of_one_second_are_both_kept(files: Store, tmp_path: Path) -> None:
    for content in ("one", "two", "three"):
        (tmp_path / "m.json").write_text(content)
        assert files.load("m.json") is None
    aside = "m.json.corrupt-19700101T000000Z"
    kept = [(tmp_path / name).read_text() for name in (aside, f"{aside}-2", f"{aside}-3")]
    assert kept == ["one", "two", "three"]


def test_when_both_versions_are_corrupt_nothing_is_loaded(files: Store, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("{")
    (tmp_path / "m.json.previous").write_text("{")
    assert files.load("m.json") is None
    assert ["can't be used" in trouble.text for trouble in files.troubles()] == [True]


def test_a_look_from_outside_changes_nothing(files: Store, tmp_path: Path) -> None:
    """`status` reads while the supervisor saves: it must not set aside what it misread."""
    (tmp_path / "m.json").write_text("{")
    assert (files.peek("m.json"), files.troubles()) == (None, ())
    assert names(tmp_path) == ["m.json"]


@SHARED
@given(st.binary(max_size=40))
def test_whatever_stands_in_the_file_it_is_an_object_or_set_aside(
    files: Store, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "m.json").write_bytes(content)
    value = files.load("m.json")
    assert (value is None) == (not (tmp_path / "m.json").exists())


def test_an_unreadable_file_is_not_taken_for_a_missing_one(files: Store, tmp_path: Path) -> None:
    (tmp_path / "m.json").symlink_to("m.json")
    with pytest.raises(OSError):
        files.load("m.json")


def test_a_name_cannot_lead_out_of_the_folder(files: Store) -> None:
    for name in ("../x", "a/b", "", ".", "..", "a\0"):
        with pytest.raises(ValueError):
            files.save(name, {})


def test_what_is_removed_does_not_come_back(files: Store) -> None:
    files.save("m.json", {"n": 1})
    files.save("m.json", {"n": 2})
    files.remove("m.json")
    files.remove("m.json")
    assert files.load("m.json") is None


def test_the_leftovers_of_a_killed_save_are_removed(files: Store, tmp_path: Path) -> None:
    """Those of a process that is gone; one that lives may be at work."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / f".m.json.{gone.pid}-0.tmp").touch()
    (tmp_path / f".m.json.{os.getppid()}-0.tmp").touch()
    files.save("m.json", {})
    assert names(tmp_path) == [f".m.json.{os.getppid()}-0.tmp", "m.json"]


def test_a_full_disk_leaves_the_old_version(tiny: Path) -> None:
    """The error is told, the file and its predecessor stand, no litter uses up more space."""
    files = Store(tiny)
    files.save("m.json", {"n": 1})
    files.save("m.json", {"n": 2})
    fill_up(tiny)
    with pytest.raises(OSError) as caught:
        files.save("m.json", {"n": "x" * 9000})
    assert caught.value.errno == errno.ENOSPC
    assert files.load("m.json") == {"n": 2}
    assert names(tiny) == ["ballast", "m.json", "m.json.previous"]
    (tiny / "ballast").unlink()
    files.save("m.json", {"n": 3})
    assert files.load("m.json") == {"n": 3}


def test_stamps_tell_absent_from_cannot_tell(files: Store, tmp_path: Path) -> None:
    """Three outcomes: a value, absent, no answer."""
    (tmp_path / "f").write_text("abc")
    stamp = files.stamp(tmp_path / "f")
    assert stamp and (stamp.size, stamp.mtime_ns) == (3, (tmp_path / "f").stat().st_mtime_ns)
    assert files.stamp(tmp_path / "missing") is None
    assert files.stamp(tmp_path / "f" / "below") is None
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(CannotTell):
        files.stamp(tmp_path / "loop")


# ------------------------------------------------------------------------------- whole lines


def test_lines_are_appended(files: Store, tmp_path: Path) -> None:
    """Whatever the text, as UTF-8; what can't be that is escaped as JSON escapes it."""
    for line in ("one", "zwei \xe4", "\udc80"):
        files.append("events.jsonl", line)
    assert (tmp_path / "events.jsonl").read_bytes() == "one\nzwei \xe4\n\\udc80\n".encode()


def test_a_line_break_in_a_line_is_refused(files: Store, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        files.append("events.jsonl", "a\nb")
    assert names(tmp_path) == []


def test_half_a_line_of_a_power_cut_spoils_no_other(files: Store, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"a": 1}\n{"b"')
    files.append("events.jsonl", '{"c": 3}')
    assert (tmp_path / "events.jsonl").read_text() == '{"a": 1}\n{"b"\n{"c": 3}\n'


def test_a_full_disk_takes_no_half_lines(tiny: Path) -> None:
    """The page that is there would take a part of the line: it is cut off again."""
    files = Store(tiny)
    files.append("events.jsonl", "first")
    fill_up(tiny)
    with pytest.raises(OSError) as caught:
        files.append("events.jsonl", "x" * 9000)
    assert caught.value.errno == errno.ENOSPC
    assert (tiny / "events.jsonl").read_text() == "first\n"
    files.append("events.jsonl", "short")
    assert (tiny / "events.jsonl").read_text() == "first\nshort\n"


LIMITED = """
import resource, sys
from pathlib import Path
from cc_ci_orch.shell import logs
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    logs.append_line(Path(sys.argv[1]), "x" * 200)
except OSError as error:
    sys.exit(error.errno)
"""


def test_a_limit_of_the_file_size_takes_no_half_lines(files: Store, tmp_path: Path) -> None:
    files.append("events.jsonl", "first")
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "events.jsonl")]
    assert subprocess.run(command).returncode == errno.EFBIG
    assert (tmp_path / "events.jsonl").read_text() == "first\n"


WRITER = """
import sys
from pathlib import Path
from cc_ci_orch.shell import logs
for n in range(200):
    logs.append_line(Path(sys.argv[1]), f"{sys.argv[2]}-{n}-" + "x" * 300, 20_000)
"""


def test_several_processes_append_and_rotate_at_once(tmp_path: Path) -> None:
    """Every line of each is there once, whole and in its order, whoever rotated the file."""
    path = tmp_path / "events.jsonl"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(number)])
        for number in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    parts = [*logs.numbered(path).values(), path]
    lines = [line for part in parts for line in part.read_text().splitlines()]
    for number in range(3):
        expected = [f"{number}-{n}-" + "x" * 300 for n in range(200)]
        assert [line for line in lines if line.startswith(f"{number}-")] == expected
    assert (len(lines), len(parts) > 5) == (600, True)


def test_a_line_never_goes_to_a_file_that_was_rotated_meanwhile(tmp_path: Path) -> None:
    """Who waited for the file while another gave it its number writes to the new one."""
    path = tmp_path / "events.jsonl"
    path.write_text("old\n")
    with open(path) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        waiting = threading.Thread(target=logs.append_line, args=(path, "new"))
        waiting.start()
        waiting.join(0.2)
        path.rename(tmp_path / "events.jsonl.1")
    waiting.join()
    assert [(tmp_path / name).read_text() for name in names(tmp_path)] == ["new\n", "old\n"]


def test_a_full_event_log_gets_the_next_number_and_is_kept(
    files: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers go upward: no file is ever renamed twice, and none is dropped."""
    monkeypatch.setitem(store.ROTATED_AT, "events.jsonl", 5)
    (tmp_path / "events.jsonl.7").write_text("ancient\n")
    (tmp_path / "events.jsonl.x").write_text("somebody's\n")
    for line in ("one-1", "two-2", "three"):
        files.append("events.jsonl", line)
    parts = {part.name: part.read_text() for part in files.parts("events.jsonl")}
    assert list(parts.items()) == [
        ("events.jsonl.7", "ancient\n"),
        ("events.jsonl.8", "one-1\n"),
        ("events.jsonl.9", "two-2\n"),
        ("events.jsonl", "three\n"),
    ]


def test_other_files_are_not_rotated(files: Store, tmp_path: Path) -> None:
    (tmp_path / "notes").write_bytes(b"x\n" * (9 << 20))
    files.append("notes", "y")
    assert names(tmp_path) == ["notes"]


# ---------------------------------------------------------------------------- session logs


def test_a_session_log_is_copied_and_truncated(files: Store, tmp_path: Path) -> None:
    """The writer keeps its open file and goes on at the start; old ones move up, to `keep`."""
    log = tmp_path / "cc-ci-builder.log"
    with open(log, "ab", buffering=0) as writer:
        for text in (b"1", b"2", b"3", b"4"):
            writer.write(text)
            files.rotate(log, keep=2)
        writer.write(b"5")
    found = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    assert found == {log.name: b"5", f"{log.name}.1": b"4", f"{log.name}.2": b"3"}


def test_fewer_logs_are_kept_after_a_change_of_the_setting(files: Store, tmp_path: Path) -> None:
    log = tmp_path / "s.log"
    log.write_text("new")
    for number in range(1, 6):
        (tmp_path / f"s.log.{number}").write_text(str(number))
    files.rotate(log, keep=2)
    assert names(tmp_path) == ["s.log", "s.log.1", "s.log.2"]
    files.rotate(log, keep=0)
    assert names(tmp_path) == ["s.log"]


def test_what_is_written_during_the_copy_is_kept(
    files: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the copy and the truncation the agent goes on printing."""
    log = tmp_path / "s.log"
    log.write_text("before ")
    shift = logs._shift

    def busy(path: Path, keep: int) -> None:
        with open(log, "a") as writer:
            writer.write("meanwhile")
        shift(path, keep)

    monkeypatch.setattr(logs, "_shift", busy)
    files.rotate(log, keep=1)
    assert (tmp_path / "s.log.1").read_text() == "before meanwhile"
    assert log.read_text() == ""


def test_a_full_disk_leaves_the_log_alone(tiny: Path) -> None:
    """No space for the copy: the log and the older ones stay as they are."""
    log = tiny / "s.log"
    log.write_bytes(b"y" * 8192)
    (tiny / "s.log.1").write_text("old")
    fill_up(tiny, leave=1)
    with pytest.raises(OSError) as caught:
        Store(tiny).rotate(log, keep=3)
    assert caught.value.errno == errno.ENOSPC
    assert (log.read_bytes(), (tiny / "s.log.1").read_text()) == (b"y" * 8192, "old")
    assert names(tiny) == ["ballast", "s.log", "s.log.1"]


def test_a_log_that_is_a_link_is_not_followed(files: Store, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "s.log").symlink_to("victim")
    with pytest.raises(OSError):
        files.rotate(tmp_path / "s.log", keep=1)
    assert (tmp_path / "victim").read_text() == "precious"


# ------------------------------------------------------------------------------------- locks


HOLDER = """
import sys
from pathlib import Path
from cc_ci_orch.shell.lock import Lock
lock = Lock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds tmp_path/lock."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout and process.stdout.readline() == "True\n"
            yield process
        finally:
            process.kill()


def test_only_one_holds_the_lock(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    """The other is refused at once, and can say who has it."""
    lock = Lock(tmp_path / "lock")
    assert (lock.acquire(), lock.held, lock.held_by()) == (False, False, holder.pid)


def test_a_killed_holder_leaves_no_stale_lock(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    lock = Lock(tmp_path / "lock")
    holder.kill()
    holder.wait()
    assert (lock.held_by(), lock.acquire(), lock.held_by()) == (None, True, os.getpid())


def test_a_program_that_the_holder_runs_does_not_keep_the_lock(tmp_path: Path) -> None:
    """tmux outlives the supervisor: it must not inherit its lock."""
    lock = Lock(tmp_path / "lock")
    assert lock.acquire()
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        try:
            lock.release()
            assert Lock(tmp_path / "lock").acquire()
        finally:
            child.kill()


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    """Taking it twice and giving it back twice is no error."""
    lock = Lock(tmp_path / "lock")
    assert lock.held_by() is None
    assert [lock.acquire(), lock.acquire(), lock.held] == [True, True, True]
    lock.release()
    lock.release()
    assert (lock.held, lock.held_by(), (tmp_path / "lock").read_text()) == (False, None, "")
    with lock:
        assert lock.held


def test_one_waits_for_the_other(tmp_path: Path) -> None:
    """As two that append to the journal at once."""
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert first.acquire()
    timer = threading.Timer(0.2, first.release)
    timer.start()
    assert second.acquire(wait=30)
    timer.join()


def test_asking_who_holds_it_does_not_refuse_it_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question takes the lock for an instant, which `acquire` outlasts without `wait`."""
    question = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(question, fcntl.LOCK_EX)
    monkeypatch.setattr("cc_ci_orch.shell.lock.time.sleep", lambda _: os.close(question))
    assert Lock(tmp_path / "lock").acquire()


def test_private_files_are_not_made_through_links(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(OSError):
        private.open_private(tmp_path / "link", os.O_WRONLY)
    assert names(tmp_path) == ["link"]
