"""Environment, orch.toml and defaults -> one frozen `Config`, validated once.

The rest of the program never looks at the environment. Whatever is wrong with a setting is
a ConfigError here, before anything is started; it names the place, the key and the accepted
values. What needs more than the settings (the plan, the prompts, the programs) is checked
where it is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cc_ci_orch import installed, places, secrets, settings_file, values
from cc_ci_orch.agents.template import Template
from cc_ci_orch.core.policy import TUNABLES, Policy
from cc_ci_orch.errors import ConfigError
from cc_ci_orch.secrets import Mask
from cc_ci_orch.settings import (
    BY_NAME,
    DEFAULT_BACKEND,
    NOT_SETTINGS,
    SETTINGS,
    SINGLES,
    WORKERS,
    Setting,
    closest,
    role_settings,
)
from cc_ci_orch.settings_file import DeclaredRole, SettingsFile, complaint

ENVIRONMENT, FILE, DEFAULT = "environment", "orch.toml", "default"


@dataclass(frozen=True)
class Found:
    """A setting's value and where it came from; `value` is None where it is unset."""

    setting: Setting
    value: Any
    origin: str

    @property
    def text(self) -> str:
        """The value as it could be set; "" where it is unset."""
        return "" if self.value is None else self.setting.kind.show(self.value)


@dataclass(frozen=True)
class Role:
    """Who works, and with what."""

    name: str
    backend: str
    model: str | None
    prompt: str
    """A file name in prompts/."""
    has_turn: bool = True
    """Builder and adversary; an extra role, the orchestrator and the upgrader have none."""


@dataclass(frozen=True, repr=False)
class Config:
    """An instance's settings, all of them valid. Every path in it is absolute."""

    root: Path
    state: Path
    name: str
    socket: Path
    """Of the tmux server that runs, where one is recorded, else of the one to start."""
    unit_socket: Path | None
    """Where a systemd unit keeps the server running: we start none. None: we do."""
    boot_id_file: Path
    repo: str | None
    branch: str
    identity: str
    roles: tuple[Role, ...]
    """Those that this instance runs."""
    orchestrator: Role
    upgrader: Role
    resume_phase: bool
    start_phase: str | None
    loop_command: Template | None
    """Never None where a role's backend is `command`."""
    loop_command_resume: Template | None
    claude_bin: str
    opencode_bin: str
    opencode_url: str | None
    notify_command: tuple[str, ...]
    """Empty where it is unset."""
    notify_url: str | None
    policy: Policy
    environment: Mapping[str, str]
    """What the settings were read from; the agents inherit from it."""
    secrets: Mapping[str, str]
    mask: Mask
    """To be put over all that is printed or written."""
    warnings: tuple[str, ...]
    found: Mapping[str, Found]
    """Every setting by its name, per-role ones of extra roles too."""

    @property
    def file(self) -> Path:
        """orch.toml, which need not exist."""
        return self.root / "orch.toml"

    def role(self, name: str) -> Role | None:
        """The role of that name, orchestrator and upgrader included; None if there is none."""
        everyone = (*self.roles, self.orchestrator, self.upgrader)
        return next((role for role in everyone if role.name == name), None)

    def rows(self) -> list[tuple[str, str, str]]:
        """For `config`: name, value ("" if unset; secrets masked), origin, for every setting.

        The backend and model of a role are those in effect, wherever they came from.
        """
        return [(f.setting.name, self.mask(f.text), f.origin) for f in self.found.values()]

    def exported(self) -> dict[str, str]:
        """The settings that came from the environment, as they would be set anew.

        With them, and the same orch.toml, `load` gives the same settings in any folder:
        relative paths are absolute, and the instance's places are always there. Not masked.
        """
        places = ("ORCH_ROOT", "ORCH_STATE", "ORCH_NAME")
        chosen = (f for f in self.found.values() if f.origin == ENVIRONMENT)
        return {f.setting.name: f.text for f in (*map(self.found.__getitem__, places), *chosen)}

    def __repr__(self) -> str:
        return f"Config(name={self.name!r}, root={str(self.root)!r}, state={str(self.state)!r})"


def load(env: Mapping[str, str], program_root: Path) -> Config:
    """The configuration of the instance in `$ORCH_ROOT`, else in `program_root`.

    Reads orch.toml, .testenv and the recorded socket; writes nothing. Relative paths in
    `env` count from the current folder. ConfigError if anything is wrong.
    """
    env = MappingProxyType(dict(env))
    root = _find(BY_NAME["ORCH_ROOT"], env, SettingsFile(Path("orch.toml")))
    root = root if root.value else replace(root, value=os.path.abspath(program_root))
    folder = Path(root.value)
    if not folder.is_dir():
        raise ConfigError(f"can't use the root: {folder}: it is no folder; set ORCH_ROOT")
    file = settings_file.read(folder / "orch.toml")
    own = [s for role in file.roles for s in role_settings(role.name)]
    found = {s.name: _find(s, env, file) for s in (*SETTINGS, *own)} | {"ORCH_ROOT": root}
    _fill_in(found, file.roles)
    _refuse_contradictions(found)
    everyone = _everyone(found, file.roles)
    running = _running(found, file, everyone)
    _refuse_missing_command(found, (*running, *(everyone[name] for name in SINGLES)))
    return _config(env, found, everyone, running)


def _find(setting: Setting, env: Mapping[str, str], file: SettingsFile) -> Found:
    """Environment over orch.toml over default. An empty variable counts as unset."""
    if text := env.get(setting.name, "").strip():
        where, base = ENVIRONMENT, Path.cwd() if _is_path(setting, text) else Path("/")
    elif setting.name in file.texts:
        text, where, base = file.texts[setting.name], FILE, file.path.parent
    else:
        default = setting.default
        return Found(setting, None if default is None else setting.kind.parse(default), DEFAULT)
    try:
        value = setting.kind.parse(text)
    except ValueError as error:
        cause = complaint(setting.kind, text, str(error))
        raise ConfigError(f"can't use the settings: {where}: {setting.name}: {cause}") from None
    if _is_path(setting, text):
        value = os.path.abspath(base / _at_home(value, env))
    return Found(setting, value, where)


def _is_path(setting: Setting, text: str) -> bool:
    """Whether it names a place on this machine that could be relative."""
    if setting.kind is values.REPOSITORY:
        return ":" not in text.partition("/")[0]  # as git tells a URL or host:path from a path
    return setting.kind is values.PATH or (setting.kind is values.PROGRAM and "/" in text)


def _at_home(path: str, env: Mapping[str, str]) -> str:
    home = env.get("HOME", "")
    return home + path[1:] if home and re.match(r"~(/|$)", path) else path


def _fill_in(found: dict[str, Found], declared: Iterable[DeclaredRole]) -> None:
    """Defaults that depend on other settings, and what is in effect for each role."""
    computed = {
        "ORCH_STATE": os.path.join(found["ORCH_ROOT"].value, ".orch"),
        "WORK_IDENTITY": found["ORCH_NAME"].value,
    }
    for name, value in computed.items():
        if found[name].value is None:
            found[name] = replace(found[name], value=value)
    said = {role.name: role for role in declared}
    for role in (*WORKERS, *SINGLES, *said):
        for setting in role_settings(role):
            what = setting.name.rpartition("_")[2]
            general, own = found[f"LOOP_{what}"], found[setting.name]
            in_table = getattr(said.get(role), what.lower(), None)
            if general.value is not None:
                origin = f"{general.origin} ({general.setting.name})"
                found[setting.name] = replace(own, value=general.value, origin=origin)
            elif own.value is None and in_table:
                found[setting.name] = replace(own, value=in_table, origin=FILE)
            elif own.value is None and what == "BACKEND":
                found[setting.name] = replace(own, value=DEFAULT_BACKEND)


def _everyone(found: Mapping[str, Found], declared: Iterable[DeclaredRole]) -> dict[str, Role]:
    prompts = {role: f"{role}.md" for role in (*WORKERS, *SINGLES)}
    prompts |= {role.name: role.prompt for role in declared}
    everyone = {}
    for role, prompt in prompts.items():
        backend, model = (found[setting.name].value for setting in role_settings(role))
        everyone[role] = Role(role, backend, model, prompt, has_turn=role in WORKERS)
    return everyone


def _running(
    found: Mapping[str, Found], file: SettingsFile, everyone: Mapping[str, Role]
) -> tuple[Role, ...]:
    declared = [role for role in everyone if role not in SINGLES]
    chosen = found["ORCH_ROLES"]
    for name in chosen.value or ():
        if name not in declared:
            where = file.path if chosen.origin == FILE else chosen.origin
            key = chosen.setting.key if chosen.origin == FILE else chosen.setting.name
            close = closest(name, declared)
            raise ConfigError(
                f"can't use the settings: {where}: {key}: {name!r} is no role of this instance; "
                f"accepted: {', '.join(declared)}",
                f"did you mean {close}?" if close else None,
            )
    return tuple(everyone[role] for role in declared if role in (chosen.value or declared))


def _refuse_contradictions(found: Mapping[str, Found]) -> None:
    start, resume = found["START_PHASE"], found["RESUME_PHASE"]
    if start.value and resume.value:
        raise ConfigError(
            f"can't use the settings: START_PHASE ({start.origin}) and RESUME_PHASE "
            f"({resume.origin}): they contradict each other; accepted: one of them"
        )


def _refuse_missing_command(found: Mapping[str, Found], roles: Iterable[Role]) -> None:
    who = [role.name for role in roles if role.backend == "command"]
    if who and found["LOOP_COMMAND"].value is None:
        raise ConfigError(
            f"can't use the settings: LOOP_COMMAND: it is unset, and the backend of "
            f"{', '.join(who)} is command; accepted: {values.COMMAND.accepts}"
        )


def _config(
    env: Mapping[str, str],
    found: dict[str, Found],
    everyone: Mapping[str, Role],
    running: tuple[Role, ...],
) -> Config:
    value = {name: setting.value for name, setting in found.items()}
    root, state = Path(value["ORCH_ROOT"]), Path(value["ORCH_STATE"])
    testenv = secrets.read(root / ".testenv")
    in_urls = (s for f in found.values() if not f.setting.kind.quotable and f.value is not None
               for s in secrets.in_url(f.text))  # fmt: skip
    socket, external = _socket(env, found, state)
    recorded = places.recorded_socket(state)
    if external and recorded != socket and recorded and not places.is_listening(recorded):
        recorded = None  # nobody starts a server there again
    warnings = list(_unknown(env, found))
    if recorded and recorded != socket:
        warnings.append(f"the tmux server at {recorded} is used until the instance is stopped, "
                        f"then {socket}, as configured")  # fmt: skip
    return Config(
        root=root,
        state=state,
        name=value["ORCH_NAME"],
        socket=recorded or socket,
        unit_socket=socket if external else None,
        boot_id_file=Path(value["ORCH_BOOT_ID_FILE"]),
        repo=value["WORK_REPO"],
        branch=value["WORK_BRANCH"],
        identity=value["WORK_IDENTITY"],
        roles=running,
        orchestrator=everyone["orchestrator"],
        upgrader=everyone["upgrader"],
        resume_phase=value["RESUME_PHASE"],
        start_phase=value["START_PHASE"],
        loop_command=value["LOOP_COMMAND"],
        loop_command_resume=value["LOOP_COMMAND_RESUME"],
        claude_bin=value["CLAUDE_BIN"],
        opencode_bin=value["OPENCODE_BIN"],
        opencode_url=value["OPENCODE_URL"],
        notify_command=value["NOTIFY_COMMAND"] or (),
        notify_url=value["NOTIFY_URL"],
        policy=Policy(**{name: value[f"ORCH_{name.upper()}"] for name in TUNABLES}),
        environment=env,
        secrets=MappingProxyType(testenv),
        mask=Mask((*testenv.values(), *in_urls)),
        warnings=tuple(warnings),
        found=MappingProxyType(found),
    )


def _socket(env: Mapping[str, str], found: dict[str, Found], state: Path) -> tuple[Path, bool]:
    """Where the tmux server is to be, and whether a unit starts it; noted in `found`.

    Where the instance has a unit, that is where every command finds the server, though its
    own environment doesn't say so.
    """
    name, chosen = found["ORCH_NAME"].value, found["ORCH_TMUX_SOCKET"]
    external = found["ORCH_TMUX_EXTERNAL"]
    unit = installed.find(name, state)
    of_unit = unit.settings.get("ORCH_TMUX_SOCKET") if unit else None
    if unit and of_unit and chosen.value in (None, of_unit):
        origin = chosen.origin if chosen.value else unit.name
        chosen = replace(chosen, value=of_unit, origin=origin)
        external = replace(external, value=True, origin=unit.name)
    socket = places.socket_path(env, name, Path(chosen.value) if chosen.value else None)
    found["ORCH_TMUX_SOCKET"] = replace(chosen, value=str(socket))
    found["ORCH_TMUX_EXTERNAL"] = external
    return socket, external.value


def _unknown(env: Mapping[str, str], found: Iterable[str]) -> Iterable[str]:
    """Variables that look like settings and are none; most probably mistyped."""
    ours = [name for name in found if name.startswith("ORCH_")]
    for name in sorted(env):
        if name.startswith("ORCH_") and name not in (*ours, *NOT_SETTINGS):
            close = closest(name, ours)
            yield f"{name} is no setting" + (f"; did you mean {close}?" if close else "")
