"""Following a log that is rotated by renaming: every byte once, in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO


class Followed:
    """What is appended from now on. `parts` names the log's files, oldest first."""

    def __init__(self, parts: Callable[[], list[Path]]) -> None:
        self._parts = parts
        self._file: BinaryIO | None = None
        for file in _opened(parts()):
            self.close()
            self._file = file
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def before(self) -> Iterator[bytes]:
        """The contents of the files up to here, newest first, each read when it is asked for."""
        found = False
        with ExitStack() as stack:
            files = [stack.enter_context(file) for file in _opened(self._parts())]
            for file in reversed(files):
                ours = self._file is not None and _same(file, self._file)
                if ours or found:
                    yield file.read(self._file.tell() if ours and self._file else -1)
                    found = True

    def news(self) -> bytes:
        """What has been appended since the last call."""
        data = b""
        while True:
            following = self._following()
            if self._file is not None:
                data += self._file.read()  # after that look: nobody writes to one that was renamed
            if following is None:
                return data
            if self._file is not None:
                self._file.close()
            self._file = following

    def close(self) -> None:
        """Follow no more."""
        if self._file is not None:
            self._file.close()

    def _following(self) -> BinaryIO | None:
        """The file after ours, from its beginning; None as long as ours is the newest."""
        files = _opened(self._parts())
        ours = [i for i, file in enumerate(files) if self._file and _same(file, self._file)]
        if ours:
            wanted = ours[0] + 1
        else:  # ours was removed, or there was none
            wanted = max(0, len(files) - 1) if self._file else 0
        for index, file in enumerate(files):
            if index != wanted:
                file.close()
        return files[wanted] if wanted < len(files) else None


def _opened(paths: list[Path]) -> list[BinaryIO]:
    """The files; none at all where one is being renamed: another look tells more."""
    with ExitStack() as stack:
        try:
            files: list[BinaryIO] = [stack.enter_context(path.open("rb")) for path in paths]
        except FileNotFoundError:
            return []
        stack.pop_all()
        return files


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    return os.path.sameopenfile(one.fileno(), other.fileno())
