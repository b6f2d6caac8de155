"""Files that are ours alone: opened with mode 0600 whatever the umask, replaced without a trace."""

from __future__ import annotations

import itertools
import os
import re
from contextlib import suppress
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.([0-9]+)-[0-9]+\.tmp")
_serial = itertools.count()


def open_private(path: Path, flags: int) -> int:
    """A descriptor of the file, made if it is missing; no program that we run inherits it."""
    fd = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(fd).st_mode & 0o777 != 0o600:
            os.fchmod(fd, 0o600)
    except BaseException:
        os.close(fd)
        raise
    return fd


def temporary(path: Path) -> Path:
    """A name beside `path` that nobody else uses, and that tells whose it is."""
    return path.with_name(f".{path.name}.{os.getpid()}-{next(_serial)}.tmp")


def clean(folder: Path, of: str = "") -> None:
    """Remove the temporary files (only those for `of`) of processes that died before they could."""
    for name in os.listdir(folder):
        match = _TEMPORARY.fullmatch(name) if not of or name.startswith(f".{of}.") else None
        if match and not _exists(int(match[1])):
            with suppress(OSError):
                os.unlink(folder / name)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
