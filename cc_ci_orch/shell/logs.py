"""Logs: ours, which grow by whole lines and are renamed when full; and those of the sessions,
which another process writes, and which are copied and truncated.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path

from cc_ci_orch.shell.private import clean, open_private, temporary

_CHUNK = 1 << 20


def append_line(path: Path, line: str, rotate_at: int | None = None) -> None:
    """Append one whole line or nothing; raises OSError.

    Half a line that a power cut left is closed first, so that it spoils no other. A file
    that has reached `rotate_at` bytes becomes `<path>.1`, the next one `<path>.2` …
    """
    if "\n" in line:
        raise ValueError("a line has no line break in it")
    data = line.encode("utf-8", "backslashreplace") + b"\n"
    fd = _open_locked(path)
    try:
        if rotate_at is not None and os.fstat(fd).st_size >= rotate_at and _move_on(path):
            os.close(fd)
            fd = _open_locked(path)
        _append(fd, data)
    finally:
        os.close(fd)


def rotate(path: Path, keep: int) -> None:
    """Move what is in a session's log to `<path>.1`, older ones up to `<path>.<keep>`.

    For a log that another process holds open for appending: it is copied and truncated.
    OSError (the disk is full) leaves the log as it is. What is written in the
    microseconds between the last look and the truncation is lost.
    """
    clean(path.parent)
    copy = temporary(path)
    source = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    target = -1
    try:
        if keep > 0:
            target = open_private(copy, os.O_WRONLY | os.O_EXCL)
            _drain(source, target)
        _shift(path, keep)
        if keep > 0:
            os.replace(copy, f"{path}.1")
            _drain(source, target)  # what was appended meanwhile
        os.ftruncate(source, 0)
    finally:
        copy.unlink(missing_ok=True)
        os.close(source)
        if target >= 0:
            os.close(target)


def _open_locked(path: Path) -> int:
    """Open for appending, alone: an append that fails must cut off only its own bytes."""
    while True:
        fd = open_private(path, os.O_RDWR | os.O_APPEND)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), os.stat(path)):
                    return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # another process rotated it just now


def _append(fd: int, data: bytes) -> None:
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        data = b"\n" + data
    written = 0
    try:
        written = os.write(fd, data)
        if written < len(data):
            # The rest says why: no space, a quota, a limit.
            written += os.write(fd, data[written:])
        if written < len(data):
            raise OSError("a line could not be written whole")
    finally:
        if written < len(data):
            os.ftruncate(fd, size)


def numbered(path: Path) -> dict[int, Path]:
    """`<path>.N` by N, in its order."""
    pattern = re.compile(re.escape(path.name) + r"\.([1-9][0-9]*)")
    found = (pattern.fullmatch(name) for name in os.listdir(path.parent))
    return dict(sorted((int(m[1]), path.with_name(m[0])) for m in found if m))


def _move_on(path: Path) -> bool:
    """Give a full log the next number. False if that fails: it then simply goes on."""
    try:
        os.rename(path, f"{path}.{max(numbered(path), default=0) + 1}")
    except OSError:
        return False
    return True


def _drain(source: int, target: int) -> None:
    """Copy from where both stand to the end of `source`."""
    while data := os.read(source, _CHUNK):
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(target, rest) :]


def _shift(path: Path, keep: int) -> None:
    for number, old in reversed(numbered(path).items()):
        if number >= keep:
            old.unlink(missing_ok=True)
        else:
            os.replace(old, path.with_name(f"{path.name}.{number + 1}"))
