"""Any program as an agent: `LOOP_COMMAND` says how to run it.

It gives no account of itself, so its output is its work, and the CPU time of what it started,
and `$ORCH_ACTIVITY_FILE`, which it can touch while it works in silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cc_ci_orch.agents.base import ExitBySignal, ExitByWords, Job, plain
from cc_ci_orch.agents.template import Template
from cc_ci_orch.core.model import Traits


@dataclass(frozen=True)
class Command:
    """The `command` backend. `resume` is None where one template serves both."""

    template: Template
    resume: Template | None = None
    name: str = "command"
    types_resumed: bool = False
    own_ids: str = ""
    exit: ExitBySignal | ExitByWords = field(default=ExitBySignal())

    @property
    def traits(self) -> Traits:
        return Traits(
            log_is_progress=True,
            has_account=False,
            cpu_always=True,
            can_lose=self.resume is not None,
            interrupt=("Escape", "C-c"),
        )

    @property
    def types_first(self) -> bool:
        return not (self.template.mentions("prompt") or self.template.mentions("prompt_file"))

    def program(self) -> str:
        return self.template.fill(dict.fromkeys(_PLACEHOLDERS, ""))[0]

    def argv(self, job: Job) -> tuple[str, ...]:
        template = self.resume if job.resume and self.resume is not None else self.template
        return template.fill(
            {
                "prompt": job.prompt,
                "prompt_file": job.prompt_file,
                "conversation": job.conversation,
                "model": job.model or "",
                "role": job.role,
                "phase": job.phase,
                "workdir": job.workdir,
            }
        )

    def typeable(self, text: str) -> str:
        """Every character but control characters: what a program takes as a command is its own."""
        return plain(text)

    def says_lost(self, tail: str) -> bool:
        return False


_PLACEHOLDERS = (
    "prompt", "prompt_file", "conversation", "model", "role", "phase", "workdir",
)  # fmt: skip
