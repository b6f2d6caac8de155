"""The readers of exact evidence, where a role's backend has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cc_ci_orch.agents.environment import agent_env
from cc_ci_orch.agents.registry import claude_folder
from cc_ci_orch.config import Config
from cc_ci_orch.seats import Seat
from cc_ci_orch.shell.claude_evidence import ClaudeEvidence
from cc_ci_orch.shell.claude_home import ClaudeHome
from cc_ci_orch.shell.ports import Files, Processes, Witness


def witnesses(
    config: Config, seats: Sequence[Seat], processes: Processes, files: Files
) -> Mapping[str, Witness]:
    """One for each seat whose backend is `claude`, by the role's name."""
    mine = [seat for seat in seats if seat.backend.name == "claude"]
    folders = tuple(seat.workdir for seat in mine)
    return {
        seat.name: ClaudeEvidence(
            seat.workdir,
            claude_folder(config) / f"{seat.name}.json",
            claude_home(config, seat.name, processes, files),
            processes,
            files,
            config.policy,
            folders,
        )
        for seat in mine
    }


def telling_folders(
    config: Config, seats: Sequence[Seat], processes: Processes, files: Files
) -> tuple[Path, ...]:
    """Where the clients write at once what they begin and end: a change there is worth a look."""
    mine = [seat.name for seat in seats if seat.backend.name == "claude"]
    homes = [claude_home(config, name, processes, files).sessions for name in mine]
    return (claude_folder(config), *homes) if mine else ()


def claude_home(config: Config, role: str, processes: Processes, files: Files) -> ClaudeHome:
    """The client's own folder, as the role's process sees it."""
    env = agent_env(config, role, phase=None, conversation="")
    return ClaudeHome(env, processes, files)
