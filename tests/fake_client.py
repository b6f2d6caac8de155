"""The client of the simulation: what it tells of itself, and which conversations it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cc_ci_orch.core.model import RoleMemory, SessionView
from cc_ci_orch.shell.ports import Launch, Opening
from tests.scripts import Agent


class FakeWitness:
    """Implements `Witness`: tells the truth about the agent, and takes whatever is typed."""

    def __init__(self, agent: Callable[[], Agent | None]) -> None:
        self._agent = agent
        self._typed = ""

    def look(self, view: SessionView, mem: RoleMemory) -> SessionView:
        agent = self._agent()
        if agent is None or view.process != agent.proc.id:
            return view
        return replace(
            view,
            account=agent.account(),
            signals={**view.signals, "tokens": agent.tokens},
            submissions=agent.submissions,
            children=len(agent.machine.children(agent.proc.id.pid)),
        )

    def in_doubt(self, view: SessionView, mem: RoleMemory, now: float) -> bool:
        return False

    def see(self, view: SessionView, raw: str, now: float) -> SessionView:
        return view

    def before_start(self, conversation: str) -> Opening:
        return Opening(conversation)

    def submit(self, text: str) -> bool:
        return False

    def refuses(self, raw: str) -> str:
        return ""

    def typed(self, text: str) -> None:
        self._typed = text

    def ours(self, raw: str) -> bool:
        agent = self._agent()
        return agent is not None and bool(agent.draft) and agent.draft == self._typed

    def takes_enter(self, raw: str) -> bool:
        return True

    def answer(self, raw: str) -> str | None:
        return None


class Conversations:
    """Those that the client has on disk."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def refusal(self, launch: Launch) -> str:
        """What it says to one that it can't begin or resume; "" if it can."""
        resumed = "--resume" in launch.argv
        option = "--resume" if resumed else "--session-id"
        conversation = launch.argv[launch.argv.index(option) + 1]
        if resumed and conversation not in self.known:
            return f"No conversation found with session ID: {conversation}"
        if not resumed and conversation in self.known:
            return f"Error: Session ID {conversation} is already in use."
        self.known.add(conversation)
        return ""
