"""systemd: telling it that we are ready, alive, or stopping; asking it what it runs."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from cc_ci_orch.errors import OrchError
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.run import run

RUNNING = Path("/run/systemd/system")
"""A folder that is there while systemd is the machine's init (sd_booted(3))."""

_UNIT = re.compile(r"[^/]+\.(?:service|scope)")


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


def take_time(env: Mapping[str, str], seconds: float) -> None:
    """Tell it that a start takes that much longer from now on."""
    notify(env, f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")


def watchdog_seconds(env: Mapping[str, str]) -> float | None:
    """How often systemd wants a sign of life, in seconds; None where it wants none."""
    usec = env.get("WATCHDOG_USEC", "")
    meant = env.get("WATCHDOG_PID") in (None, str(os.getpid()))
    return int(usec) / 1e6 if usec.isdigit() and int(usec) and meant else None


def unit_of(pid: int) -> str:
    """The innermost unit that the process belongs to, such as `ssh.service`; "" for none."""
    units = [part for part in cgroup(pid).split("/") if _UNIT.fullmatch(part)]
    return units[-1] if units else ""


def cgroup(pid: int) -> str:
    """The path of the process's control group in the hierarchy in which systemd keeps units."""
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    paths = [line.split(":", 2) for line in text.splitlines()]
    own = [path for _, controllers, path in paths if controllers in ("", "name=systemd")]
    return next((path for path in own if _UNIT.search(path)), "")


def show(unit: str, *properties: str) -> Mapping[str, str]:
    """Properties of a unit; CannotTell where systemd does not answer."""
    argv = ("systemctl", "show", f"--property={','.join(properties)}", "--", unit)
    try:
        done = run(argv, timeout=10.0)
    except OrchError as error:
        raise CannotTell(error.message) from None
    if done.returncode != 0:
        raise CannotTell(done.err or f"systemctl ended with {done.returncode}")
    pairs = (line.partition("=") for line in done.out.splitlines())
    return {name: value for name, _, value in pairs}


def reload() -> None:
    """Have systemd read its units again; CannotTell where it does not answer."""
    done = run(("systemctl", "daemon-reload"), timeout=60.0)
    if done.returncode != 0:
        raise CannotTell(f"systemctl daemon-reload: {done.err}")


def disable(units: Sequence[str]) -> None:
    """Start them at boot no more; CannotTell where systemd does not answer."""
    done = run(("systemctl", "disable", "--quiet", "--", *units), timeout=60.0)
    if done.returncode != 0:
        raise CannotTell(f"systemctl disable: {done.err}")
