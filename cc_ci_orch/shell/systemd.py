"""sd_notify(3): telling systemd that we are ready, alive, or stopping."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


def notify(env: Mapping[str, str], message: str) -> bool:
    """Send `message` to the manager that started us; False where there is none.

    A manager that doesn't take it is no reason to stop working.
    """
    address = env.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect(address)
            sender.sendall(message.encode())
    except OSError:
        return False
    return True


def watchdog_seconds(env: Mapping[str, str]) -> float | None:
    """How often systemd wants a sign of life, in seconds; None where it wants none."""
    usec = env.get("WATCHDOG_USEC", "")
    meant = env.get("WATCHDOG_PID") in (None, str(os.getpid()))
    return int(usec) / 1e6 if usec.isdigit() and int(usec) and meant else None
