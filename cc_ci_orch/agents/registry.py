"""The backends by name, made from the settings."""

from __future__ import annotations

from pathlib import Path

from cc_ci_orch.agents.base import Backend
from cc_ci_orch.agents.claude import Claude
from cc_ci_orch.agents.command import Command
from cc_ci_orch.agents.demo.backend import Demo
from cc_ci_orch.agents.opencode import OpenCode
from cc_ci_orch.agents.opencode_turn import OpenCodeTurn
from cc_ci_orch.config import Config
from cc_ci_orch.errors import ConfigError


def claude_folder(config: Config) -> Path:
    """Where the settings and hooks of each role's Claude Code stand."""
    return config.state / "claude"


def opencode_file(config: Config, role: str) -> Path:
    """Where the port and the password of the role's opencode stand."""
    return config.state / "opencode" / f"{role}.json"


def orchestrator_backend(name: str, config: Config) -> Backend:
    """The backend by that name for the orchestrator."""
    if name == "opencode":
        return OpenCodeTurn(config.opencode_bin, config.opencode_url or "")
    return backend(name, config)


def backend(name: str, config: Config) -> Backend:
    """The backend of that name; ConfigError where it lacks a setting."""
    match name:
        case "claude":
            return Claude(config.claude_bin, str(claude_folder(config)))
        case "opencode":
            return OpenCode(config.opencode_bin, config.opencode_url)
        case "command" if config.loop_command is not None:
            return Command(config.loop_command, config.loop_command_resume)
        case "demo":
            return Demo(config.root, config.branch)
        case _:
            raise ConfigError(f"can't use the backend: {name}: it is not available here")
