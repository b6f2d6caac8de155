"""A seat is where one role works: its session, its files, and the backend that fills it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cc_ci_orch.agents import registry
from cc_ci_orch.agents.base import Backend, Job
from cc_ci_orch.agents.environment import agent_env
from cc_ci_orch.agents.opencode_turn import OpenCodeTurn
from cc_ci_orch.config import Config, Role
from cc_ci_orch.core.ledger import ORCHESTRATOR
from cc_ci_orch.core.model import RoleSpec
from cc_ci_orch.settings import SINGLES
from cc_ci_orch.shell.ports import Launch, Opening

ORCHESTRATOR_TITLE = "autonomous-orchestrator"


@dataclass(frozen=True)
class Seat:
    """Everything about a role that does not change while the supervisor runs."""

    config: Config
    role: Role
    backend: Backend

    @property
    def name(self) -> str:
        return self.role.name

    @property
    def apart(self) -> bool:
        """Outside the loops: the orchestrator, the upgrader."""
        return self.name in SINGLES

    @property
    def session(self) -> str:
        return f"{self.config.name}-{self.role.name}"

    @property
    def log(self) -> Path:
        return self.config.state / "logs" / f"{self.session}.log"

    @property
    def activity(self) -> Path:
        return self.config.state / "activity" / self.role.name

    @property
    def title(self) -> str:
        """The name under which its client shows itself."""
        return ORCHESTRATOR_TITLE if self.name == ORCHESTRATOR else self.session

    @property
    def workdir(self) -> Path:
        """The orchestrator works in the instance's own folder, everyone else in a clone."""
        if self.name == ORCHESTRATOR:
            return self.config.root
        return self.config.state / "clones" / self.role.name

    @property
    def prompt_file(self) -> Path:
        return self.config.state / "prompts" / f"{self.role.name}.md"

    @property
    def mark(self) -> str:
        """Stands in the environment of the agent and of all that it starts."""
        return f"ORCH_ACTIVITY_FILE={self.activity}"

    @property
    def spec(self) -> RoleSpec:
        """The role as the core knows it."""
        return RoleSpec(
            name=self.role.name,
            backend=self.backend.name,
            traits=self.backend.traits,
            model=self.role.model,
            has_turn=self.role.has_turn,
            types_first=self.backend.types_first,
            types_resumed=self.backend.types_resumed,
            own_ids=self.backend.own_ids,
            apart=self.apart,
            resumable=not isinstance(self.backend, OpenCodeTurn),
        )

    def launch(
        self, opening: Opening, *, resume: bool, prompt: str, prompt_file: Path, phase: str
    ) -> Launch:
        """The process to run in the session."""
        job = Job(
            role=self.role.name,
            session=self.title,
            conversation=opening.conversation,
            resume=resume,
            prompt=prompt,
            prompt_file=str(prompt_file),
            phase=phase,
            workdir=str(self.workdir),
            model=self.role.model,
            port=opening.port,
        )
        env = agent_env(
            self.config,
            self.role.name,
            phase=phase,
            conversation=opening.conversation,
            keep_settings=self.name == ORCHESTRATOR,
        )
        return Launch(
            self.session, self.backend.argv(job), {**env, **opening.env}, self.workdir, self.log
        )


def orchestrator(config: Config) -> Seat:
    """The seat of the orchestrator, which this instance may or may not have started."""
    role = config.orchestrator
    return Seat(config, role, registry.orchestrator_backend(role.backend, config))


def upgrader(config: Config) -> Seat:
    """The seat of the upgrader, which runs once."""
    return Seat(config, config.upgrader, registry.backend(config.upgrader.backend, config))


def seats(config: Config) -> tuple[Seat, ...]:
    """The seats of the roles that this instance runs."""
    return tuple(
        Seat(config, role, registry.backend(role.backend, config)) for role in config.roles
    )
