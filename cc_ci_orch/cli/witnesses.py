"""The readers of exact evidence, where a role's backend has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cc_ci_orch.agents.environment import agent_env
from cc_ci_orch.agents.registry import claude_folder, opencode_file
from cc_ci_orch.config import Config
from cc_ci_orch.seats import Seat
from cc_ci_orch.shell.claude_evidence import ClaudeEvidence
from cc_ci_orch.shell.claude_home import ClaudeHome
from cc_ci_orch.shell.opencode_evidence import OpencodeEvidence
from cc_ci_orch.shell.ports import Clock, Files, Processes, Witness


def witnesses(
    config: Config, seats: Sequence[Seat], processes: Processes, files: Files, clock: Clock
) -> Mapping[str, Witness]:
    """One for each seat whose backend has one, by the role's name."""
    mine = [seat for seat in seats if seat.backend.name == "claude"]
    clones = tuple(seat.workdir for seat in mine if not seat.apart)
    found: dict[str, Witness] = {
        seat.name: opencode(config, seat, processes, files, clock)
        for seat in seats
        if seat.backend.name == "opencode" and not seat.apart
    }
    return found | {
        seat.name: ClaudeEvidence(
            seat.workdir,
            claude_folder(config) / f"{seat.name}.json",
            claude_home(config, seat.name, processes, files),
            processes,
            files,
            clock,
            config.policy,
            (seat.workdir,) if seat.apart else clones,
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


def opencode(
    config: Config, seat: Seat, processes: Processes, files: Files, clock: Clock
) -> OpencodeEvidence:
    """What tells of one seat with opencode."""
    return OpencodeEvidence(
        seat.workdir,
        opencode_file(config, seat.name),
        seat.session,
        seat.role.model,
        config.opencode_url,
        agent_env(config, seat.name, phase=None, conversation=""),
        processes,
        files,
        clock,
        config.policy,
    )


def keepers(
    config: Config, seat: Seat, processes: Processes, files: Files
) -> Mapping[str, Callable[[str], bool]]:
    """What tells whether the seat's client still has a conversation, where that can be told."""
    if seat.backend.name != "claude":
        return {}
    home = claude_home(config, seat.name, processes, files)
    return {seat.name: lambda name: home.transcript(seat.workdir, name).exists()}


def claude_home(config: Config, role: str, processes: Processes, files: Files) -> ClaudeHome:
    """The client's own folder, as the role's process sees it."""
    env = agent_env(config, role, phase=None, conversation="")
    return ClaudeHome(env, processes, files)
