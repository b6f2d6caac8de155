"""A machine's units from the texts in systemd/: text in, text out.

The texts are valid as they stand, for an instance in /opt/cc-ci-orch with the user cc-ci. Line
by line, what stands for that instance is replaced by what holds for this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from cc_ci_orch.installed import quoted

BOOT = ("cc-ci-tmux.service", "cc-ci-loops.service")
TIMER = ("cc-ci-upgrader.service", "cc-ci-upgrader.timer")
TEXTS = (*BOOT, *TIMER)

NAME = "cc-ci"
PROGRAM = "/opt/cc-ci-orch"
ROOT = "/opt/cc-ci-orch"
STATE = "/opt/cc-ci-orch/.orch"
HOME = "/home/cc-ci"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_SETS = "Environment=ORCH_ROOT="
"""Begins a line of those units that get an instance's settings."""

_PLAIN = re.compile(r"[A-Za-z0-9_./:=@+,-]*")
_OF_UNIT = re.compile(rf"(?<![A-Za-z0-9-]){NAME}-(?=(?:tmux|loops|upgrader)\b)")


@dataclass(frozen=True)
class Place:
    """One instance on one machine. Paths are absolute."""

    user: str = NAME
    group: str = NAME
    home: str = HOME
    program: str = PROGRAM
    """The folder of launch.sh."""
    root: str = ROOT
    state: str = STATE
    name: str = NAME
    socket: str = ""
    """Of the tmux server; "": in the tmux unit's folder below /run."""
    path: str = PATH
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further ones, less those that hold a secret."""

    @property
    def tmux_socket(self) -> str:
        return self.socket or f"/run/{self.name}-tmux/socket"

    @property
    def secret_settings(self) -> str:
        """The file for those that hold one."""
        return f"{self.state}/unit.env"


def file_name(text: str, place: Place) -> str:
    """What the unit with that text is called for this instance."""
    return _OF_UNIT.sub(f"{place.name}-", text)


def render(text: str, place: Place) -> str:
    """The unit for this instance."""
    if f"\n{_SETS}" not in text:  # the agents' server, the timer
        place = replace(place, settings={})
    lines = (_line(line, place) for line in text.splitlines())
    return "\n".join(line for several in lines for line in several) + "\n"


def _line(line: str, place: Place) -> Iterable[str]:
    key, sign, value = line.partition("=")
    if not sign or line.startswith(("#", "[")):
        return [line]
    if key == "Environment":
        return _environment(value, place)
    if key in _REPLACED:
        return [f"{key}={_REPLACED[key](value, place)}"]
    if key == "Description":
        return [f"{key}={value.replace(f'{NAME}:', f'{place.name}:')}"]
    return [f"{key}={_OF_UNIT.sub(f'{place.name}-', value)}"]


def _environment(value: str, place: Place) -> Iterable[str]:
    name, _, content = value.partition("=")
    own = {
        "ORCH_ROOT": place.root,
        "ORCH_STATE": place.state,
        "ORCH_NAME": place.name,
        "ORCH_TMUX_SOCKET": place.tmux_socket,
        "PATH": place.path,
    }
    if name in place.settings:
        return []
    further = place.settings if name == "PATH" else {}
    return [_set(name, own.get(name, content)), *(_set(n, v) for n, v in further.items())]


def _set(name: str, value: str) -> str:
    return f"Environment={_word(f'{name}={value}')}"


def _word(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quoted(text)


def _user(value: str, place: Place) -> str:
    return place.user


def _group(value: str, place: Place) -> str:
    return place.group


def _command(value: str, place: Place) -> str:
    """`ExecStart=` and its like: in a command, systemd takes `$` for a variable too."""
    minus = "-" if value.startswith("-") else ""
    program, *words = value.removeprefix("-").split()
    program = place.program + program.removeprefix(PROGRAM)
    words = [place.tmux_socket if word == f"/run/{NAME}-tmux/socket" else word for word in words]
    if set(program) & set("'\"\\"):  # systemd takes no program with these in its name
        program, words = "/usr/bin/env", [program, *words]
    return minus + " ".join([_word(program), *(_word(w).replace("$", "$$") for w in words)])


def _folders(value: str, place: Place) -> str:
    ours = {ROOT: place.root, STATE: place.state, HOME: place.home}
    words = []
    for word in value.split():
        minus, path = ("-", word[1:]) if word.startswith("-") else ("", word)
        words.append(_word(minus + ours.get(path, path)))
    return " ".join(words)


def _file(value: str, place: Place) -> str:
    """A path that is the whole value: nothing in it is quoted."""
    return "-" + place.secret_settings.replace("%", "%%")


def _manual(value: str, place: Place) -> str:
    path = place.program + value.removeprefix(f"file:{PROGRAM}")
    return "file:" + "".join(c if _PLAIN.fullmatch(c) else _percent(c) for c in path)


def _percent(char: str) -> str:
    return "".join(f"%%{byte:02X}" for byte in char.encode("utf-8", "surrogateescape"))


_REPLACED: Mapping[str, Callable[[str, Place], str]] = {
    "User": _user,
    "Group": _group,
    "ExecStart": _command,
    "ExecStartPre": _command,
    "ExecStartPost": _command,
    "ReadWritePaths": _folders,
    "EnvironmentFile": _file,
    "Documentation": _manual,
}
