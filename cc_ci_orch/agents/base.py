"""What a backend is: all that the program knows of one kind of coding agent, in one file.

A backend says how a conversation is begun and resumed, how the agent is asked to leave, what
can be typed into it, and (its `traits`) what evidence of life it offers. It touches nothing:
it turns values into values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cc_ci_orch.core.model import Traits


@dataclass(frozen=True)
class Job:
    """One process to start: which agent, on what."""

    role: str
    session: str
    """The name under which it shows itself."""
    conversation: str
    resume: bool
    prompt: str
    prompt_file: str
    phase: str
    workdir: str
    model: str | None
    port: int = 0
    """Where its API is to be; 0: nowhere."""


@dataclass(frozen=True)
class ExitBySignal:
    """TERM to its process is this agent's polite way out."""


@dataclass(frozen=True)
class ExitByWords:
    """This agent leaves when it is told to, at its prompt."""

    text: str


class Backend(Protocol):
    """One kind of coding agent."""

    @property
    def name(self) -> str: ...

    @property
    def traits(self) -> Traits: ...

    @property
    def types_first(self) -> bool:
        """Its first prompt can't stand on the command line and is typed."""

    @property
    def types_resumed(self) -> bool:
        """The first prompt of a resumed conversation can't stand there either."""

    @property
    def own_ids(self) -> str:
        """How the ids begin that it gives its conversations; empty where we choose them."""

    @property
    def exit(self) -> ExitBySignal | ExitByWords:
        """Its polite way out."""

    def program(self) -> str:
        """What has to be installed: a name on PATH, or a path."""

    def argv(self, job: Job) -> tuple[str, ...]:
        """The command line for a new conversation, or for a resumed one."""

    def typeable(self, text: str) -> str:
        """The text as it may be typed: nothing in it is a command to the client."""

    def says_lost(self, tail: str) -> bool:
        """Whether the last words of an ended process say that there is no such conversation."""


def plain(text: str) -> str:
    """The text without what a terminal would take as a key: control characters but newlines.

    A tab stays: it is text. CR and CRLF become LF, or every line would be a submission.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f"))


def no_command(text: str) -> str:
    """The text, quoted where a client would take its beginning for something else.

    A leading `!` or `/` is a command to the clients, even after a space; a leading `-` is an
    option on a command line. None of them is behind `> `.
    """
    return f"> {text}" if text.lstrip().startswith(("!", "/", "-")) else text
