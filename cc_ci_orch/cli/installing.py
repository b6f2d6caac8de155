"""install: the systemd units of an instance, printed, written or removed.

The settings are those of the shell that calls it, read as the user who is to run the instance:
a boot has no shell. What stands in orch.toml stays there, and is read at each start.
"""

from __future__ import annotations

import grp
import os
import pwd
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cc_ci_orch import config as configuration
from cc_ci_orch import installed, places, secrets, units
from cc_ci_orch.cli.loops import complain, one_line, program_root
from cc_ci_orch.config import DEFAULT, Config
from cc_ci_orch.errors import ConfigError, OrchError, TryAgain
from cc_ci_orch.shell import systemd
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.private import open_private, temporary
from cc_ci_orch.units import Place

FOLDER = installed.FOLDERS[0]

NOT_INSTALLED = (
    *("ORCH_ROOT", "ORCH_STATE", "ORCH_NAME", "ORCH_TMUX_SOCKET", "ORCH_TMUX_EXTERNAL"),
    *("RESUME_PHASE", "START_PHASE"),
)
"""Settings that stand in the units' own lines, or that count for one start only."""

_SECRET = ("NOTIFY_URL", "NOTIFY_COMMAND")
"""Whoever knows these can write to their reader."""


def install(args: Namespace) -> int:
    """Print, write or remove the units."""
    user = _user(args.user)
    with _acting_as(user):
        config = configuration.load({**os.environ, "HOME": user.pw_dir}, program_root())
    try:
        if args.remove:
            return _remove(config, user)
        place, hidden = _place(config, user)
        texts = _texts(place, timer=args.timer)
        if args.write:
            return _write(config, user, texts, hidden)
        for name, text in texts.items():
            print(config.mask(f"# {FOLDER / name}\n{text}"), flush=True)
        for name in hidden:
            _say(config, f"{name} may hold a secret: --write puts it into {place.secret_settings}")
        return 0
    except OrchError as error:
        return complain(error.message, error.hint, error.exit_code, config.mask)


def _say(config: Config, text: str) -> None:
    print(f"cc-ci-orch: {config.mask(one_line(text))}", file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------- whose


def _user(name: str | None) -> pwd.struct_passwd:
    """Who is to run the instance: as said, else who called sudo, else who calls."""
    name = name or (os.environ.get("SUDO_USER") if os.getuid() == 0 else None)
    try:
        user = pwd.getpwnam(name) if name else pwd.getpwuid(os.getuid())
    except KeyError:
        who = name or f"user {os.getuid()}"
        raise ConfigError(f"can't install: {who}: there is no such user", "adduser NAME") from None
    if os.getuid() not in (0, user.pw_uid):
        raise ConfigError(
            f"can't install: {user.pw_name}: only root may read another user's settings",
            f"sudo ./launch.sh install --user {user.pw_name}",
        )
    return user


@contextmanager
def _acting_as(user: pwd.struct_passwd) -> Iterator[None]:
    """As root: with that user's rights, until the end of the block."""
    if os.getuid() == user.pw_uid:
        yield
        return
    groups = os.getgroups()
    os.initgroups(user.pw_name, user.pw_gid)
    os.setresgid(user.pw_gid, user.pw_gid, 0)
    os.setresuid(user.pw_uid, user.pw_uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


# ------------------------------------------------------------------------------------- texts


def _place(config: Config, user: pwd.struct_passwd) -> tuple[Place, Mapping[str, str]]:
    """This instance for the units, and those of its settings that may hold a secret."""
    chosen = {n: v for n, v in config.exported().items() if n not in NOT_INSTALLED}
    hidden = {n: v for n, v in chosen.items() if _may_be_secret(config, n, v)}
    socket = config.found["ORCH_TMUX_SOCKET"]
    by_hand = socket.origin != DEFAULT and not socket.origin.endswith(".service")
    place = Place(
        user=user.pw_name,
        group=_group(user.pw_gid),
        home=user.pw_dir,
        program=str(program_root()),
        root=str(config.root),
        state=str(config.state),
        name=config.name,
        socket=socket.value if by_hand else "",
        path=_path(user),
        settings={n: v for n, v in chosen.items() if n not in hidden},
    )
    return place, hidden


def _may_be_secret(config: Config, name: str, value: str) -> bool:
    return name in _SECRET or bool(secrets.in_url(value)) or config.mask(value) != value


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _path(user: pwd.struct_passwd) -> str:
    """PATH as it is here. root calls for somebody else: with that user's own programs."""
    folders = [f for f in os.environ.get("PATH", units.PATH).split(":") if f.startswith("/")]
    own = os.path.join(user.pw_dir, ".local", "bin")
    if os.getuid() != user.pw_uid and os.path.isdir(own):
        folders.insert(0, own)
    return ":".join(dict.fromkeys(folders)) or units.PATH


def _texts(place: Place, *, timer: bool) -> dict[str, str]:
    """The units by their names."""
    names = units.TEXTS if timer else units.BOOT
    found = {}
    for name in names:
        path = program_root() / "systemd" / name
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"can't install: {path}: {error.strerror}") from None
        found[units.file_name(name, place)] = units.render(text, place)
    return found


# ------------------------------------------------------------------------------------- writing


def _write(
    config: Config,
    user: pwd.struct_passwd,
    texts: Mapping[str, str],
    hidden: Mapping[str, str],
) -> int:
    _require_root("write")
    _refuse_another(config)
    _make_state(config.state, user)
    with _acting_as(user):
        _write_hidden(config.state / "unit.env", hidden)
        if not os.access(config.root, os.W_OK):
            _say(config, f"{user.pw_name} can't write to {config.root}, where REBOOTS.md stands")
    changed = [name for name, text in texts.items() if _replace(FOLDER / name, text)]
    _reload()
    for name in texts:
        _say(config, f"{FOLDER / name}: {'written' if name in changed else 'is as it should be'}")
    loops = f"{config.name}-loops.service"
    _say(config, f"now and at each boot: systemctl enable --now {loops}")
    _say(config, f"if it runs already, agents untouched: systemctl restart {loops}")
    for name in texts:
        if name.endswith(".timer"):
            _say(config, f"for the upgrader: systemctl enable --now {name}")
    return 0


def _make_state(state: Path, user: pwd.struct_passwd) -> None:
    """The state folder, the user's own; made by root only where the user can't.

    Where they can, what root makes there could be swapped for a link to somewhere else.
    """
    with _acting_as(user):
        try:
            return places.prepare_state(state)
        except ConfigError:
            if state.exists():
                raise
    state.mkdir(mode=0o700, parents=True)
    os.chown(state, user.pw_uid, user.pw_gid, follow_symlinks=False)
    with _acting_as(user):
        places.prepare_state(state)


def _require_root(what: str) -> None:
    if os.getuid() != 0:
        again = f"sudo ./launch.sh install --{what}"
        raise ConfigError(f"can't {what} the units: {FOLDER}: only root may", again)
    if not FOLDER.is_dir():
        raise ConfigError(f"can't {what} the units: {FOLDER}: there is no systemd here")


def _refuse_another(config: Config) -> None:
    """ConfigError where a unit of that name serves another instance."""
    path = FOLDER / f"{config.name}-loops.service"
    with suppress(FileNotFoundError):
        unit = installed.read(path)
        if installed.find(config.name, config.state, (FOLDER,)) is None:
            place = unit.settings.get("ORCH_STATE", "another instance")
            cause = f"it serves {place}"
            raise ConfigError(f"can't replace the unit: {path}: {cause}", "set ORCH_NAME")


def _write_hidden(path: Path, settings: Mapping[str, str]) -> None:
    """A file for systemd's EnvironmentFile=; none where there is nothing to hide."""
    if not settings:
        path.unlink(missing_ok=True)
        return
    special = str.maketrans({char: f"\\{char}" for char in '"\\$`'})
    text = "".join(f'{name}="{value.translate(special)}"\n' for name, value in settings.items())
    new = temporary(path)
    with open(open_private(new, os.O_WRONLY | os.O_EXCL), "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
    os.replace(new, path)


def _replace(path: Path, text: str) -> bool:
    """Write it as a whole; False if it stands there already."""
    data = text.encode("utf-8", "surrogateescape")
    with suppress(OSError):
        if path.read_bytes() == data:
            return False
    new = temporary(path)
    with open(open_private(new, os.O_WRONLY | os.O_EXCL), "wb") as file:
        file.write(data)
        os.fchmod(file.fileno(), 0o644)
    os.replace(new, path)
    return True


def _reload() -> None:
    """Only where systemd runs: units may be written into an image too."""
    if systemd.RUNNING.is_dir():
        systemd.reload()


# ------------------------------------------------------------------------------------- removing


def _remove(config: Config, user: pwd.struct_passwd) -> int:
    _require_root("remove")
    _refuse_another(config)
    place = Place(name=config.name)
    names = [units.file_name(name, place) for name in units.TEXTS]
    there = [name for name in names if (FOLDER / name).exists()]
    if not there:
        _say(config, "none of its units is installed")
        return 0
    _refuse_running(there)
    if systemd.RUNNING.is_dir():
        systemd.disable(there)
    for name in there:
        (FOLDER / name).unlink()
        _say(config, f"{FOLDER / name}: removed")
    with _acting_as(user), suppress(FileNotFoundError):
        (config.state / "unit.env").unlink()
    _reload()
    return 0


def _refuse_running(names: Sequence[str]) -> None:
    """TryAgain while one of them runs: a unit without its file is hard to stop."""
    if not systemd.RUNNING.is_dir():
        return
    for name in names:
        try:
            state = systemd.show(name, "ActiveState").get("ActiveState")
        except CannotTell as error:
            raise TryAgain(f"can't remove the units: {name}: {error}") from None
        if state not in ("inactive", "failed"):
            raise TryAgain(f"can't remove the units: {name}: it runs", f"systemctl stop {name}")
