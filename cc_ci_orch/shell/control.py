"""How the commands reach the supervisor: a Unix socket in the state folder.

One connection, one JSON line each way. The server answers questions about the state from
what the watchdog published last, without waiting for it; requests are handed to the watchdog
and answered when it has an answer. The socket is reached through the folder's descriptor,
so that a long path of the state folder is no obstacle (a socket's own path may have 107 bytes).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cc_ci_orch.errors import ConfigError
from cc_ci_orch.shell.ports import CannotTell

NAME = "control.sock"
LARGEST = 4 * 1024 * 1024
"""Bytes of a request or an answer; a nudge is at most a megabyte (`cli`)."""

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class ControlServer:
    """Serves until closed; `handle` is called in a thread of its own for each connection."""

    def __init__(self, state: Path, handle: Handler) -> None:
        self._handle = handle
        self._state = state
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short_path(state) as path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            self._socket.bind(path)
            os.chmod(path, 0o600)
        self._socket.listen(16)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        """Stop listening, and remove the socket file."""
        self._socket.close()
        with contextlib.suppress(OSError):
            (self._state / NAME).unlink()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError):
            connection.settimeout(10.0)
            request = _read(connection)
            connection.settimeout(None)
            connection.sendall(json.dumps(self._handle(request)).encode() + b"\n")


def call(state: Path, request: Mapping[str, Any], timeout: float) -> Mapping[str, Any] | None:
    """Ask the supervisor. None: none listens. CannotTell: it does not answer within `timeout`.

    ConfigError where its socket is not ours to use.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            with _short_path(state) as path:
                connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise ConfigError(
                f"can't use the state folder: {state}: {error.strerror}",
                "set ORCH_STATE to one of your own",
            ) from None
        except OSError as error:
            raise CannotTell(f"the supervisor can't be reached: {error}") from None
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            return _read(connection)
        except TimeoutError:
            raise CannotTell(f"the supervisor gave no answer within {timeout:g} s") from None
        except (OSError, ValueError) as error:
            raise CannotTell(f"the supervisor ended before it answered: {error}") from None


def _read(connection: socket.socket) -> Mapping[str, Any]:
    """One JSON object, ended by a newline. ValueError: something else, or too much."""
    data = b""
    while not data.endswith(b"\n"):
        chunk = connection.recv(65536)
        if not chunk:
            raise ValueError("the connection was closed early")
        data += chunk
        if len(data) > LARGEST:
            raise ValueError("it is too long")
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


@contextlib.contextmanager
def _short_path(state: Path) -> Any:
    folder = os.open(state, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)
