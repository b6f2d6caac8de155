"""Where an instance lives: its state folder, and the socket of its tmux server.

The checks are made once, before anything is started; all that they find is a ConfigError.
"""

from __future__ import annotations

import os
import shlex
import socket
import stat
import struct
from collections.abc import Mapping
from pathlib import Path

from cc_ci_orch.errors import ConfigError

SOCKET_MAX = 100
"""Longest path of a socket, in bytes: the kernel takes 107, and tmux adds `.lock` to it."""

_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7)

RECORD = "socket"
"""The file in the state folder that says which socket the running server has."""


def socket_path(env: Mapping[str, str], name: str, chosen: Path | None) -> Path:
    """The socket as configured; ConfigError if its path is too long."""
    path = chosen or _tmux_folder(env) / name
    length = len(os.fsencode(path))
    if length > SOCKET_MAX:
        cause = f"{length} bytes; accepted: a path of at most {SOCKET_MAX} bytes"
        hint = "set ORCH_TMUX_SOCKET to a shorter path in a folder of your own"
        raise ConfigError(f"can't use the tmux socket: {path}: {cause}", hint)
    return path


def _tmux_folder(env: Mapping[str, str]) -> Path:
    """Where `tmux -L` keeps its sockets; tmux quietly takes /tmp for a folder that isn't there."""
    folder = env.get("TMUX_TMPDIR", "")
    base = folder if folder and os.path.isdir(folder) else "/tmp"
    return Path(os.path.realpath(base)) / f"tmux-{os.getuid()}"


def recorded_socket(state: Path) -> Path | None:
    """The socket that the instance's server was started with; None where none is recorded.

    An unreadable or nonsensical record counts as none.
    """
    try:
        text = (state / RECORD).read_bytes()[: SOCKET_MAX + 2].decode().removesuffix("\n")
    except (OSError, ValueError):
        return None
    usable = text.startswith("/") and text.isprintable() and len(text.encode()) <= SOCKET_MAX
    return Path(text) if usable else None


def listener(path: Path) -> int | None:
    """The pid of the server that takes connections there; None where none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return None
        peer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(peer)[0])


def is_listening(path: Path) -> bool:
    """Whether a server takes connections there."""
    return listener(path) is not None


def prepare_state(state: Path) -> None:
    """Make the state folder and its folders for logs and activity, private to us.

    One that others may enter is closed to them. ConfigError for one that can't be ours:
    a file, another user's, not writable.
    """
    for folder in (state, state / "logs", state / "activity"):
        info = _folder(folder, "can't use the state folder", "set ORCH_STATE to one of your own")
        if stat.S_IMODE(info.st_mode) != 0o700:
            _close_to_others(folder)


def prepare_socket_folder(path: Path) -> None:
    """Make the folder of a tmux socket, private to us, if it is missing.

    ConfigError for one in which another user could put a server of their own. The socket
    itself is made by tmux, for its user only.
    """
    what, hint = "can't use the tmux socket's folder", "set ORCH_TMUX_SOCKET to another place"
    info = _folder(path.parent, what, hint)
    if info.st_mode & 0o022:
        fix = f"chmod 700 {shlex.quote(str(path.parent))}"
        fix = hint if info.st_mode & stat.S_ISVTX else fix  # nobody should close /tmp
        raise ConfigError(f"{what}: {path.parent}: others can write to it", fix)


def _folder(path: Path, what: str, hint: str) -> os.stat_result:
    """The folder, made with mode 0700 if it is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir(mode=0o700)
            path.chmod(0o700)  # whatever the umask
        except FileExistsError:
            pass
        info = path.stat()
    except OSError as error:
        raise ConfigError(f"{what}: {path}: {error.strerror}", hint) from None
    if not stat.S_ISDIR(info.st_mode):
        raise ConfigError(f"{what}: {path}: it is no folder", hint)
    if info.st_uid != os.getuid():
        raise ConfigError(f"{what}: {path}: it belongs to another user", hint)
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"{what}: {path}: it is not writable", hint)
    return info


def _close_to_others(path: Path) -> None:
    try:
        path.chmod(0o700)
    except OSError as error:
        raise ConfigError(f"can't close the folder to others: {path}: {error.strerror}") from None
