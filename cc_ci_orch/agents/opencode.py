"""opencode, interactive, with its HTTP API. Its conversations have ids of its own (`ses_…`).

Busy, hung or retrying, its log moves; idle, it stands still. With `--session` it drops a
`--prompt` without a word, so the first prompt of a resumed conversation goes through the API
(opencode 1.18.33).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cc_ci_orch.agents.base import ExitBySignal, ExitByWords, Job, no_command, plain
from cc_ci_orch.core.model import Traits

OWN = "ses_"
"""How the ids of its conversations begin."""

UNATTENDED = {"external_directory": "allow", "doom_loop": "allow", "question": "deny"}
"""Permissions that it would ask for, or ask about, and nobody is there to answer. What the
user has set in OPENCODE_PERMISSION goes first; other questions are the user's own wish."""


@dataclass(frozen=True)
class OpenCode:
    """The `opencode` backend; `binary` is the program to run, `url` a server elsewhere."""

    binary: str = "opencode"
    url: str | None = None
    name: str = "opencode"
    traits: Traits = field(
        default=Traits(
            log_is_progress=False,
            has_account=True,
            cpu_always=False,
            interrupt=("Escape", "Escape"),
        )
    )
    types_resumed: bool = True
    own_ids: str = OWN
    exit: ExitBySignal | ExitByWords = field(default=ExitByWords("/exit"))

    @property
    def types_first(self) -> bool:
        """The program that shows a server's conversation takes no prompt."""
        return self.url is not None

    def program(self) -> str:
        return self.binary

    def argv(self, job: Job) -> tuple[str, ...]:
        own_id = job.conversation.startswith(OWN)
        session = ("--session", job.conversation) if own_id else ()
        if self.url is not None:
            return (self.binary, "attach", self.url, "--dir", job.workdir, *session)
        api = ("--port", str(job.port), "--hostname", "127.0.0.1") if job.port else ()
        model = ("--model", job.model) if job.model else ()
        prompt = () if own_id else ("--prompt", self.typeable(job.prompt))
        return (self.binary, *api, *session, *model, *prompt)

    def typeable(self, text: str) -> str:
        """Nothing in it is a command to the client."""
        return no_command(plain(text))

    def says_lost(self, tail: str) -> bool:
        """`--session` of a conversation that it doesn't have: exit 1 and these words."""
        return "Session not found" in tail


def model_of(name: str | None) -> Mapping[str, str] | None:
    """A model's name as the API wants it; None where it is to choose itself."""
    provider, slash, model = (name or "").partition("/")
    return {"providerID": provider, "modelID": model} if slash else None
