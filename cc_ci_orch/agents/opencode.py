"""opencode, interactive. Its conversations have ids of its own (`ses_…`), known once it runs.

Busy, hung or retrying, its log moves; idle, it stands still (opencode 1.18.33).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cc_ci_orch.agents.base import ExitBySignal, ExitByWords, Job, plain
from cc_ci_orch.core.model import Traits


@dataclass(frozen=True)
class OpenCode:
    """The `opencode` backend; `binary` is the program to run."""

    binary: str = "opencode"
    name: str = "opencode"
    traits: Traits = field(
        default=Traits(
            log_is_progress=False,
            has_account=True,
            cpu_always=False,
            interrupt=("Escape", "Escape"),
        )
    )
    types_first: bool = False
    exit: ExitBySignal | ExitByWords = field(default=ExitByWords("/exit"))

    def program(self) -> str:
        return self.binary

    def argv(self, job: Job) -> tuple[str, ...]:
        own_id = job.resume and job.conversation.startswith("ses_")
        session = ("--session", job.conversation) if own_id else ()
        model = ("--model", job.model) if job.model else ()
        return (self.binary, *session, *model, "--prompt", self.typeable(job.prompt))

    def typeable(self, text: str) -> str:
        """A leading `!` or `/` would be a command to the client."""
        text = plain(text)
        return f" {text}" if text.startswith(("!", "/", "-")) else text

    def says_lost(self, tail: str) -> bool:
        """`--session` of a conversation that it doesn't have: exit 1 and these words."""
        return "Session not found" in tail
