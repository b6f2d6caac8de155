"""The `demo` backend: this Python runs the embedded agents.

They give no account of themselves: as with `command`, their output is their work. What they
are to do stands in the plan, which they read; what is typed to them only makes them look.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from cc_ci_orch.agents.base import ExitBySignal, ExitByWords, Job, plain
from cc_ci_orch.core.model import Traits

AGENT = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Demo:
    """The `demo` backend. `root` is the folder with `plan/`; `branch` is the work branch."""

    root: Path
    branch: str
    name: str = "demo"
    traits: Traits = field(
        default=Traits(
            log_is_progress=True,
            has_account=False,
            cpu_always=True,
            interrupt=("Escape", "C-c"),
        )
    )
    types_first: bool = False
    types_resumed: bool = False
    own_ids: str = ""
    exit: ExitBySignal | ExitByWords = field(default=ExitBySignal())

    def program(self) -> str:
        return sys.executable

    def argv(self, job: Job) -> tuple[str, ...]:
        return (
            *(sys.executable, "-I", "-S", str(AGENT), job.role),
            f"--root={self.root}",
            f"--branch={self.branch}",
            f"--phase={job.phase}",
            f"--prompt-file={job.prompt_file}",
            *(("--resume",) if job.resume else ()),
        )

    def typeable(self, text: str) -> str:
        return plain(text)

    def says_lost(self, tail: str) -> bool:
        """Never: all that they have to know stands in the repository."""
        return False
