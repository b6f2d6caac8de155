"""What a start needs: made where it is missing, or asked for where only a person can give it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from cc_ci_orch import places
from cc_ci_orch.cli.compose import Instance
from cc_ci_orch.core.model import Prompt, PromptKind
from cc_ci_orch.errors import ConfigError
from cc_ci_orch.seats import Seat
from cc_ci_orch.shell import systemd
from cc_ci_orch.shell.git import CLONE_TIMEOUT


def prepare(instance: Instance, say: Callable[[str], None]) -> None:
    """Make what is missing: folders, the work repository, the roles' clones."""
    prepare_folders(instance)
    prepare_clones(instance, instance.seats, say)


def prepare_folders(instance: Instance) -> None:
    """Make the folders that are missing, private to us."""
    places.prepare_state(instance.config.state)
    if instance.config.unit_socket is None:
        places.prepare_socket_folder(instance.config.socket)
    (instance.config.state / "prompts").mkdir(mode=0o700, exist_ok=True)


def prepare_clones(instance: Instance, seats: Sequence[Seat], say: Callable[[str], None]) -> None:
    """Make the work repository, where it is our own, and the clones that are missing."""
    url = instance.repository
    if instance.config.repo is None:
        instance.git.make_bare(Path(url), instance.config.branch)
    for seat in seats:
        if not (seat.workdir / ".git").exists():
            say(f"cloning the work repository for {seat.name}")
            systemd.take_time(instance.config.environment, CLONE_TIMEOUT + 60.0)
            instance.git.clone(url, instance.config.branch, seat.workdir)


def require_programs(instance: Instance, seats: Sequence[Seat] | None = None) -> None:
    """ConfigError for the first program that a start needs and that is not there."""
    path = instance.config.environment.get("PATH")
    for program, hint in (("tmux", "apt-get install tmux"), ("git", "apt-get install git")):
        if shutil.which(program, path=path) is None:
            raise ConfigError(f"can't start: {program}: it is not installed", hint)
    for seat in instance.seats if seats is None else seats:
        program = seat.backend.program()
        where = program if "/" not in program or program.startswith("/") else None
        found = shutil.which(where or str(seat.workdir / program), path=path)
        if found is None:
            raise ConfigError(
                f"can't start {seat.name}: {program}: it is not installed, or not executable",
                "put it on PATH, or name it by its path",
            )


def require_prompts(instance: Instance) -> None:
    """ConfigError for the first text that an agent would need and that is not there."""
    for seat in instance.seats:
        for kind in PromptKind:
            instance.prompts.render(Prompt(kind), seat.role.prompt, {})
