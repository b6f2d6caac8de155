"""Folders in which a change of a file wakes the watchdog, by the kernel's inotify.

It is only for speed: a kernel that refuses (the limits are shared by all programs of a user)
costs nothing but that the change is seen at the next tick. Whoever writes the files knows
nothing of it, so it can't be held up by us.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

_MODIFY, _MOVED_TO, _CREATE, _IGNORED, _ONLYDIR = 0x2, 0x80, 0x100, 0x8000, 0x0100_0000
_HEAD = struct.Struct("iIII")


class Changes:
    """What changes in `folders`; one that is not there yet is watched as soon as it is."""

    def __init__(self, folders: Sequence[Path]) -> None:
        import ctypes  # only a supervisor needs it, and no command should pay for it

        self._missing = list(dict.fromkeys(folders))
        self._watched: dict[int, Path] = {}
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._file = int(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def fileno(self) -> int:
        """Readable when something has changed; -1 where the kernel refuses."""
        return self._file

    def settle(self) -> None:
        """Watch what has come into being; cheap where nothing is missing."""
        if self._file < 0 or not self._missing:
            return
        for folder in list(self._missing):
            mask = _MODIFY | _MOVED_TO | _CREATE | _ONLYDIR
            number = int(self._libc.inotify_add_watch(self._file, os.fsencode(folder), mask))
            if number >= 0:
                self._missing.remove(folder)
                self._watched[number] = folder

    def drain(self) -> None:
        """Take note of all that has changed, so that the next change is news again."""
        try:
            data = os.read(self._file, 65536)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            number, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size + length
            if mask & _IGNORED and number in self._watched:  # the folder itself is gone
                self._missing.append(self._watched.pop(number))
