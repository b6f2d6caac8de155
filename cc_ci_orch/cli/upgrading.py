"""The upgrader's own process: the agent's parent, and the pane's program."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType

from cc_ci_orch import config as configuration
from cc_ci_orch.agents import oneshot
from cc_ci_orch.agents.base import Job
from cc_ci_orch.agents.environment import agent_env
from cc_ci_orch.cli.compose import Instance
from cc_ci_orch.cli.loops import program_root
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import Prompt, PromptKind
from cc_ci_orch.core.starting import new_conversation
from cc_ci_orch.errors import FAILED, OrchError
from cc_ci_orch.readable import plain_text
from cc_ci_orch.seats import Seat
from cc_ci_orch.shell.child import NOT_STARTED, Child
from cc_ci_orch.shell.upgrades import ROLE, Run

GRACE = 8.0
"""Seconds that the agent gets to leave after TERM, before it is killed."""


def main(env: Mapping[str, str]) -> int:
    """Run the agent once, and report how it ended. Nothing else runs while we do."""
    instance = Instance(configuration.load(env, program_root()), program_root())
    upgrades = instance.upgrades
    if not upgrades.lock.acquire():
        print("the upgrader runs already", flush=True)
        return 75
    seat = upgrades.seat
    conversation = new_conversation(int.from_bytes(os.urandom(16), "big"), ROLE)
    run = Run(instance.clock.wall(), seat.backend.name, seat.role.model, conversation)
    upgrades.write(run)
    by = {"backend": run.backend, "model": run.model, "conversation": conversation}
    begun = Event(Name.SESSION_STARTED, "one run", role=ROLE, by="operator", evidence=by)
    instance.report(begun, None)
    try:
        run = _work(instance, seat, run)
    except (OrchError, OSError) as error:
        run = replace(run, code=FAILED, error=f"it could not be run: {error}")
    run = upgrades.end(run, instance.report)
    print(f"the upgrader: {run.why}", flush=True)
    instance.terminal.close(seat.session)  # and us with it
    return run.status


def _work(instance: Instance, seat: Seat, run: Run) -> Run:
    """Run the agent to its end; what became of it."""
    values = instance.prompt_values(seat, instance.course())
    prompt = instance.prompts.render(Prompt(PromptKind.KICKOFF), seat.role.prompt, values)
    prompt = seat.backend.typeable(prompt)
    instance.store.write(seat.prompt_file, prompt + "\n")
    job = Job(
        role=ROLE,
        session=seat.session,
        conversation=run.conversation,
        resume=False,
        prompt=prompt,
        prompt_file=str(seat.prompt_file),
        phase=values.get("phase", ""),
        workdir=str(seat.workdir),
        model=seat.role.model,
    )
    env = agent_env(seat.config, ROLE, phase=values.get("phase"), conversation=run.conversation) | {
        "TERM": os.environ.get("TERM", "dumb")
    }
    piped = oneshot.speaks_json(seat.backend)
    given = seat.backend.types_first and not piped
    nothing = Path(os.devnull)
    stdin = seat.prompt_file if given else nothing if piped else None
    asked = _Asked()
    child = Child(
        oneshot.argv(seat.backend, job),
        env,
        seat.workdir,
        stdin=stdin,
        piped=piped,
    )
    asked.about(child.pid)
    reader = oneshot.Reader()
    if piped:
        child.lines(lambda line: _show(reader, line))
    end = child.wait()
    asked.over()
    verdict = reader.verdict()
    error = verdict.error
    if asked.yes:
        error = "it was asked to end in the middle"
    elif end.signal is not None:
        error = f"it was killed in the middle, by signal {end.signal}"
    elif end.code == NOT_STARTED and not error:
        error = "its program could not be run, or ended with status 127"
    elif end.code and not error:
        error = f"it ended with status {end.code}"
    return replace(
        run,
        code=end.code,
        signal=end.signal if end.signal is not None else signal.SIGTERM if asked.yes else None,
        error=error,
        said=verdict.said,
        evidence=verdict.evidence or {},
    )


def _show(reader: oneshot.Reader, line: bytes) -> None:
    for told in reader.told(line):
        print(plain_text(told.encode()), flush=True)


class _Asked:
    """TERM and HUP are passed on to the agent, and KILL if that doesn't help. An INT of the
    terminal reaches the agent by itself."""

    def __init__(self) -> None:
        self.yes = False
        self._pid: int | None = None
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGALRM, self._on_alarm)

    def about(self, pid: int) -> None:
        """The agent is there."""
        self._pid = pid
        if self.yes:
            self._pass_on()

    def over(self) -> None:
        """The agent has ended: its pid means nothing any more."""
        signal.alarm(0)
        self._pid = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.yes = True
        if self._pid is not None:
            self._pass_on()

    def _pass_on(self) -> None:
        assert self._pid is not None
        os.kill(self._pid, signal.SIGTERM)
        signal.setitimer(signal.ITIMER_REAL, GRACE)

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
