"""Is everything there that a start needs? Each check with what was found, and its fix.

The checks look, they change nothing: a doctor can be asked at any time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from cc_ci_orch import doctor_agents, doctor_host, seats
from cc_ci_orch.config import Config
from cc_ci_orch.core.model import Prompt, PromptKind
from cc_ci_orch.errors import OrchError
from cc_ci_orch.findings import Check
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.prompts import Prompts
from cc_ci_orch.shell.run import run

SPACE = 256 * 1024 * 1024
"""Bytes that should be free in the state folder: logs and clones grow."""

OLDEST_TMUX = (3, 2)
"""tmux 3.2 reads commands from standard input and runs a server in the foreground."""


def examine(config: Config, program_root: Path, supervised: Callable[[], bool]) -> list[Check]:
    """All checks, in the order in which a start needs them.

    `supervised` asks the supervisor whether it is there; CannotTell for one that hangs.
    """
    checks = [
        *_program(config, "tmux", ("-V",), "apt-get install tmux", _new_enough),
        *_program(config, "git", ("--version",), "apt-get install git"),
        *_agents(config),
        _folder(config),
        _disk(config),
        _socket(config),
        *_prompts(config, program_root),
        _boot_id(config),
        _supervisor(supervised),
        _repository(config),
        *doctor_host.checks(config, program_root),
        *doctor_agents.checks(config),
    ]
    return [Check(c.what, c.ok, config.mask(c.found), c.fix) for c in checks]


def _program(
    config: Config,
    name: str,
    ask: tuple[str, ...],
    fix: str,
    judge: Callable[[str], bool] = lambda version: True,
) -> Iterator[Check]:
    path = shutil.which(name, path=config.environment.get("PATH"))
    if path is None:
        yield Check(name, False, "it is not installed", fix)
        return
    try:
        version = run((path, *ask), timeout=10.0, env=config.environment).out.strip()
    except (CannotTell, OrchError) as error:
        yield Check(name, False, str(error), fix)
        return
    yield Check(name, judge(version), version or "it says no version", fix)


def _new_enough(version: str) -> bool:
    digits = "".join(c if c.isdigit() else " " for c in version).split()
    return not digits or tuple(map(int, digits[:2])) >= OLDEST_TMUX


def _agents(config: Config) -> Iterator[Check]:
    for seat in seats.seats(config):
        program = seat.backend.program()
        path = config.environment.get("PATH")
        relative = "/" in program and not program.startswith("/")
        found = shutil.which(str(seat.workdir / program) if relative else program, path=path)
        what = f"agent of {seat.name} ({seat.backend.name})"
        fix = f"install {program}, or set LOOP_BACKEND or LOOP_COMMAND"
        yield Check(what, found is not None, found or f"{program} is not installed", fix)


def _folder(config: Config) -> Check:
    """The state folder, or the nearest folder above it in which it can be made."""
    state = config.state
    if state.exists():
        good = state.is_dir() and os.access(state, os.W_OK | os.X_OK)
        mine = state.stat().st_uid == os.getuid()
        found = "it is writable" if good and mine else "it is not a writable folder of ours"
        return Check(f"state folder {state}", good and mine, found, "set ORCH_STATE")
    above = next(parent for parent in state.parents if parent.exists())
    good = os.access(above, os.W_OK | os.X_OK)
    found = "it can be made" if good else f"{above} is not writable"
    return Check(f"state folder {state}", good, found, "set ORCH_STATE")


def _disk(config: Config) -> Check:
    above = next(path for path in (config.state, *config.state.parents) if path.exists())
    free = shutil.disk_usage(above).free
    found = f"{free // (1 << 20)} MiB free"
    return Check("disk", free >= SPACE, found, f"free {SPACE // (1 << 20)} MiB in {above}")


def _socket(config: Config) -> Check:
    what = f"tmux socket {config.socket}"
    folder = config.socket.parent
    if not folder.exists():
        return Check(what, True, "its folder can be made")
    mode = folder.stat().st_mode
    good = not mode & 0o022
    found = "its folder is ours alone" if good else "others can write to its folder"
    return Check(what, good, found, "set ORCH_TMUX_SOCKET to another place")


def _prompts(config: Config, program_root: Path) -> Iterator[Check]:
    prompts = Prompts(config.root, program_root)
    for role in config.roles:
        try:
            for kind in PromptKind:
                prompts.render(Prompt(kind), role.prompt, {})
            yield Check(f"prompts of {role.name}", True, "all are there")
        except OrchError as error:
            yield Check(f"prompts of {role.name}", False, error.message, "restore prompts/")


def _boot_id(config: Config) -> Check:
    try:
        known = bool(config.boot_id_file.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        known = False
    found = "it can be read" if known else "it can't be read"
    return Check(f"boot id {config.boot_id_file}", known, found, "set ORCH_BOOT_ID_FILE")


def _supervisor(supervised: Callable[[], bool]) -> Check:
    """None is fine; one that hangs keeps every other from starting."""
    try:
        found = "it answers" if supervised() else "none runs"
    except CannotTell as error:
        return Check("supervisor", False, str(error), "./launch.sh start --takeover")
    except OrchError as error:
        return Check("supervisor", False, error.message, error.hint or "")
    return Check("supervisor", True, found)


def _repository(config: Config) -> Check:
    if config.repo is None:
        return Check("work repository", True, f"a bare one in {config.state}")
    env = {**config.environment, "GIT_TERMINAL_PROMPT": "0"}
    argv = ("git", "ls-remote", "--exit-code", "--", config.repo, f"refs/heads/{config.branch}")
    try:
        done = run(argv, timeout=30.0, env=env)
    except (CannotTell, OrchError) as error:
        return Check("work repository", False, str(error), "check WORK_REPO and the network")
    if done.returncode in (0, 2):  # 2: it answers, and has no such branch yet
        head = done.out.split()[0][:7] if done.out else "no commit yet"
        return Check("work repository", True, f"it answers ({config.branch}: {head})")
    last = done.err.splitlines()[-1:] or ["git gave no reason"]
    return Check("work repository", False, last[0], "check WORK_REPO and its credentials")
