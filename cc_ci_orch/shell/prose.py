"""Adding to a text file that people write in, too: whole or not at all, and nothing else moves.

Bytes that are not UTF-8, CRLF, a missing final newline: all of it stays as it was. Writers
of ours wait for each other; a person who saves in the same moment is noticed, and it is
tried again with what they saved.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cc_ci_orch.errors import OrchError
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.shell.private import clean, sync_folder, temporary

TRIES = 20
"""How often a person may save at the very moment of ours before we give up."""


def read(path: Path) -> str:
    """The text, byte for byte recoverable; "" where there is no file. OrchError if unreadable."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise OrchError(f"can't read: {path}: {error.strerror}") from None


def change(path: Path, lock: Lock, make: Callable[[str], str | None]) -> bool:
    """Replace the text by what `make` makes of it; False (nothing written) where that is None.

    Waits for other writers of ours. A crash leaves the old text or the new one. OrchError if
    it can't be written; the old text is intact then.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    with lock:
        with suppress(OSError):
            clean(path.parent, path.name)
        for _ in range(TRIES):
            before = _stamp(path)
            new = make(read(path))
            if new is None:
                return False
            try:
                if _replace(path, new, before):
                    return True
            except OSError as error:
                raise OrchError(f"can't write: {path}: {error.strerror}") from None
    raise OrchError(f"can't write: {path}: somebody else keeps changing it", "try again")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_ino, info.st_size, info.st_mtime_ns


def _replace(path: Path, text: str, before: tuple[int, int, int] | None) -> bool:
    """False: the file is not any more what `text` was made from."""
    new = temporary(path)
    mode = stat.S_IMODE(path.stat().st_mode) if before else 0o644
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        if _stamp(path) != before:
            return False
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True
