"""What a pane's terminal tells without tmux: its modes, and what stands in it unread."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from cc_ci_orch.shell.ports import TtyModes


def tty_modes(tty: str) -> TtyModes | None:
    """The modes of the terminal; None if they can't be told."""
    try:
        with _opened(tty) as fd:
            local = termios.tcgetattr(fd)[3]
    except (OSError, termios.error):
        return None
    return TtyModes(echo=bool(local & termios.ECHO), canonical=bool(local & termios.ICANON))


def tty_unread(tty: str) -> int | None:
    """Bytes that no program has read yet. In canonical mode whole lines only: what counts has
    got its Enter. None if it can't be told."""
    try:
        with _opened(tty) as fd:
            answer = fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4)
    except OSError:
        return None
    return int(struct.unpack("i", answer)[0])


@contextmanager
def _opened(tty: str) -> Iterator[int]:
    fd = os.open(tty, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
