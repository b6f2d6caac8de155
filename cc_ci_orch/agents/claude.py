"""Claude Code, interactive. Its conversation is a UUID that we choose.

Its spinner redraws the screen in a hang as in work, so a fresh log shows only that the client
lives. An idle client never repaints (Claude Code 2.1.330).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from cc_ci_orch.agents.base import ExitBySignal, ExitByWords, Job, no_command, plain
from cc_ci_orch.core.model import Traits


@dataclass(frozen=True)
class Claude:
    """The `claude` backend; `binary` is the program to run."""

    binary: str = "claude"
    folder: str = ""
    """Where the settings of each role's session stand (`settings_file`)."""
    name: str = "claude"
    traits: Traits = field(
        default=Traits(log_is_progress=False, has_account=True, cpu_always=False)
    )
    types_first: bool = False
    types_resumed: bool = False
    own_ids: str = ""
    exit: ExitBySignal | ExitByWords = field(default=ExitByWords("/exit"))

    def program(self) -> str:
        return self.binary

    def argv(self, job: Job) -> tuple[str, ...]:
        which = "--resume" if job.resume else "--session-id"
        model = ("--model", job.model) if job.model else ()
        return (
            self.binary,
            *(which, job.conversation),
            *("--name", job.session),
            *("--remote-control", job.session),
            *("--settings", f"{self.folder}/{job.role}.json"),
            "--dangerously-skip-permissions",
            *model,
            self.typeable(job.prompt),
        )

    def typeable(self, text: str) -> str:
        """Nothing in it is a command to the client.

        Characters that can't be seen are left out: the client would ask about them first.
        """
        text = "".join(c for c in plain(text) if unicodedata.category(c) != "Cf")
        return no_command(text)

    def says_lost(self, tail: str) -> bool:
        """`--resume` of a conversation that the client doesn't have: exit 1 and these words."""
        return "No conversation found with session ID" in tail
