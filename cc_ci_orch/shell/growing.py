"""A file that only grows, by whole lines: each tick reads what is new in it, and no more."""

from __future__ import annotations

import os
from pathlib import Path

TAIL = 1024 * 1024
"""Bytes at the end of a file that is new to us, or grew by far too much: they hold the present
turn; all of a conversation of days would be 200 MB."""

MOST = 8 * 1024 * 1024
"""Growth in bytes that is still read as a whole."""


class GrowingFile:
    """Remembers how far it was read. One that is replaced or cut is begun anew."""

    def __init__(self, path: Path, *, tail: int = TAIL) -> None:
        self.path = path
        self._tail = tail
        self._position = 0
        self._file: tuple[int, int] | None = None
        self.begun_anew = False
        """The last `news` did not go on where the one before ended."""

    def news(self) -> list[tuple[bytes, int]]:
        """The new whole lines, each with the position of its end. OSError but for no file."""
        self.begun_anew = False
        try:
            info = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return []
        file = (info.st_dev, info.st_ino)
        skip = False
        if file != self._file or info.st_size < self._position:
            self.begun_anew, self._file = True, file
            self._position = max(0, info.st_size - self._tail)
            skip = self._position > 0
        elif info.st_size - self._position > MOST:
            self._position, skip = info.st_size - self._tail, True
        if info.st_size == self._position:
            return []
        with self.path.open("rb") as stream:
            stream.seek(self._position)
            data = stream.read(info.st_size - self._position)
        *lines, _ = data.split(b"\n")
        found = []
        for line in lines:
            self._position += len(line) + 1
            found.append((line, self._position))
        return found[1:] if skip else found
