"""opencode for the orchestrator: one turn on a server that runs elsewhere, then its conversation.

`opencode run --attach` ends with its turn. That is no death: the process in the pane is a small
one of ours (`cli/opencode_turn.py`), which then becomes `opencode attach`. A turn that fails
ends it with the same status, and the watchdog begins another one.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from cc_ci_orch.agents.base import ExitBySignal, ExitByWords, Job, no_command, plain
from cc_ci_orch.core.model import Traits

PROGRAM = Path(__file__).resolve().parent.parent
WORD = "opencode-turn"
"""What our own process is called by on its command line."""


@dataclass(frozen=True)
class OpenCodeTurn:
    """The `opencode` backend of the orchestrator. A turn prints nothing while it works, so its
    silence says nothing; what it draws afterwards is a person's or a reminder's doing."""

    binary: str
    url: str
    name: str = "opencode"
    traits: Traits = field(
        default=Traits(
            log_is_progress=True,
            has_account=True,
            cpu_always=False,
            interrupt=("Escape", "Escape"),
        )
    )
    types_first: bool = False
    types_resumed: bool = False
    own_ids: str = ""
    exit: ExitBySignal | ExitByWords = field(default=ExitBySignal())

    def program(self) -> str:
        return self.binary

    def argv(self, job: Job) -> tuple[str, ...]:
        model = ("--model", job.model) if job.model else ()
        return (
            *(sys.executable, str(PROGRAM), WORD, self.binary, self.url, job.session),
            *model,
            self.typeable(job.prompt),
        )

    def typeable(self, text: str) -> str:
        """Nothing in it is a command to the client."""
        return no_command(plain(text))

    def says_lost(self, tail: str) -> bool:
        return False
