"""Does the host keep an instance running: over a logout, over a reboot, with a clock that is right?

Each check looks, and changes nothing.
"""

from __future__ import annotations

import os
import pwd
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from cc_ci_orch import config as configuration
from cc_ci_orch import installed, places, seats, secrets
from cc_ci_orch.config import Config
from cc_ci_orch.errors import OrchError
from cc_ci_orch.findings import Check
from cc_ci_orch.installed import Unit
from cc_ci_orch.settings import NOT_SETTINGS
from cc_ci_orch.shell import systemd
from cc_ci_orch.shell.ports import CannotTell

INSTALL = "sudo ./launch.sh install --write"

LINGERING = Path("/var/lib/systemd/linger")

_OF_ONE_START = ("RESUME_PHASE", "START_PHASE", "ORCH_TMUX_SOCKET", "ORCH_TMUX_EXTERNAL")


def checks(config: Config, program_root: Path) -> Iterator[Check]:
    """All of them."""
    unit = installed.find(config.name, config.state)
    yield _clock(program_root)
    yield from _boot(unit)
    if unit is not None:
        yield _same_settings(config, unit, program_root)
    yield from _server(config, unit)


def _clock(program_root: Path) -> Check:
    """A clock that was set back to nothing is behind the program's own files."""
    files = (program_root / "launch.py", Path(__file__))
    newest = max((file.stat().st_mtime for file in files if file.exists()), default=0.0)
    sane = time.time() > newest - 86400
    shown = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    return Check("clock", sane, shown, "sudo timedatectl set-ntp true")


# ------------------------------------------------------------------------------- the unit


def _boot(unit: Unit | None) -> Iterator[Check]:
    """What a boot would start."""
    if unit is None:
        yield Check("unit", True, f"none is installed: nothing starts at a boot ({INSTALL})")
        return
    if not systemd.RUNNING.is_dir():
        yield Check("unit", False, f"{unit.path} is there, but systemd does not run", INSTALL)
        return
    try:
        shown = systemd.show(unit.name, "ActiveState", "UnitFileState", "NeedDaemonReload")
    except CannotTell as error:
        yield Check("unit", False, f"{unit.name}: {error}", f"systemctl status {unit.name}")
        return
    active, enabled = shown.get("ActiveState", ""), shown.get("UnitFileState", "")
    at_boot = enabled in ("enabled", "enabled-runtime", "static", "generated", "linked")
    fix = f"sudo systemctl enable {unit.name}"
    if active == "failed":
        fix = f"journalctl -u {unit.name}"
    elif shown.get("NeedDaemonReload") == "yes":
        fix = "sudo systemctl daemon-reload"
    good = at_boot and active != "failed" and shown.get("NeedDaemonReload") != "yes"
    yield Check("unit", good, f"{unit.name} is {active}, {enabled or 'not enabled'}", fix)


def _same_settings(config: Config, unit: Unit, program_root: Path) -> Check:
    """Whether a boot would have the settings that hold here."""
    what = f"settings of {unit.name}"
    try:
        env = {**_hidden(unit), **unit.settings, "HOME": config.environment.get("HOME", "/")}
        there = configuration.load(env, program_root)
    except OrchError as error:
        return Check(what, False, error.message, INSTALL)
    names = [n for n in config.found if n not in (*_OF_ONE_START, *NOT_SETTINGS)]
    other = [n for n in names if n not in there.found or _differs(config, there, n)]
    if other:
        found = f"{', '.join(other)}: not as here"
        return Check(what, False, found, f"keep settings in orch.toml, or {INSTALL}")
    lost = _not_found(config, there)
    if lost:
        found = f"{lost} is not on its PATH"
        return Check(what, False, found, INSTALL)
    return Check(what, True, "they are those that hold here")


def _differs(here: Config, there: Config, name: str) -> bool:
    return here.found[name].text != there.found[name].text


def _hidden(unit: Unit) -> Mapping[str, str]:
    """Those of its settings that stand in a file of their own."""
    if unit.file is None:
        return {}
    try:
        return secrets.parse(unit.file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _not_found(here: Config, there: Config) -> str:
    """The first program that is found here, and that the unit would not find."""
    programs = ["tmux", "git", *(seat.backend.program() for seat in seats.seats(there))]
    for program in programs:
        found = [shutil.which(program, path=c.environment.get("PATH")) for c in (here, there)]
        if "/" not in program and found[0] and not found[1]:
            return program
    return ""


# ------------------------------------------------------------------------------- the server


def _server(config: Config, unit: Unit | None) -> Iterator[Check]:
    """Whether what ends around the tmux server ends the server too."""
    what = "tmux server"
    pid = places.listener(config.socket)
    if pid is None:
        yield Check(what, True, "none runs")
        return
    group = systemd.cgroup(pid)
    home = systemd.unit_of(pid)
    own = unit.name.replace("-loops.", "-tmux.") if unit else ""
    if own and home == own:
        yield Check(what, True, f"it lives in {home}")
    elif "/user@" in group:
        linger = _lingers()
        found = f"it lives in {home}, which ends with the last logout"
        fix = f"loginctl enable-linger {user_name()}"
        yield Check(what, linger, found if not linger else f"{home}, which lingers", fix)
    elif home.startswith("session-") and home.endswith(".scope"):
        kills = _logout_kills()
        found = f"it lives in the login session {home}, "
        found += "whose processes a logout ends" if kills else "and outlives the logout"
        yield Check(what, not kills, found, f"run it as a unit: {INSTALL}")
    elif home.endswith(".service"):
        found = f"it lives in {home}, and ends with it"
        fix = "./launch.sh stop, then " + (f"systemctl start {unit.name}" if unit else INSTALL)
        yield Check(what, False, found, fix)
    else:
        yield Check(what, True, f"it lives in {home or 'no unit'}")
    if unit is None:
        on = _lingers()
        yield Check("linger", True, f"{'on' if on else 'off'} for {user_name()}")


def user_name() -> str:
    """Whose processes ours are."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _lingers() -> bool:
    return (LINGERING / user_name()).exists()


def _logout_kills() -> bool:
    """KillUserProcesses=, as the host's files say; its default is no on Debian."""
    says = False
    files = [Path("/etc/systemd/logind.conf")]
    for folder in ("/usr/lib", "/run", "/etc"):
        files += sorted(Path(folder, "systemd/logind.conf.d").glob("*.conf"))
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.partition("=")
            if key.strip() == "KillUserProcesses":
                says = value.strip().lower() in ("yes", "true", "on", "1")
    return says
