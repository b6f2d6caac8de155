"""serve: the process of the tmux server, as its systemd unit runs it."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from pathlib import Path

from cc_ci_orch import places
from cc_ci_orch.errors import OrchError
from cc_ci_orch.shell import tmux_server

COMING_UP = 60.0
"""Seconds that a unit waits for its server's socket: a machine that boots is busy."""


def serve(args: Namespace) -> int:
    """Be the server at a socket, or wait until there is one."""
    path = Path(os.path.abspath(args.socket))
    if args.wait:
        return _wait(path)
    places.prepare_socket_folder(path)
    tmux_server.become(path, os.environ)


def _wait(path: Path) -> int:
    deadline = time.monotonic() + COMING_UP
    while not places.is_listening(path):
        if time.monotonic() > deadline:
            raise OrchError(f"can't reach the tmux server: {path}: nobody listens")
        time.sleep(0.02)
    return 0
