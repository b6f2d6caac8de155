"""Action -> the world: the only writer. What came of it is an Outcome, a fact for later.

Nothing is decided here but this: an action whose world has moved on since it was decided is
not carried out. Whoever ends or replaces a process looks once more first.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from cc_ci_orch.agents.base import ExitByWords
from cc_ci_orch.core.actions import (
    Action,
    ArmPipe,
    AskExit,
    Close,
    EndServer,
    Expect,
    HideLog,
    Kill,
    Notify,
    Press,
    Reply,
    RotateLog,
    ShowLog,
    StartSession,
    Terminate,
    Type,
)
from cc_ci_orch.core.model import FileStamp, Outcome, ProcessId, Seen
from cc_ci_orch.errors import OrchError
from cc_ci_orch.seats import Seat
from cc_ci_orch.shell.observe import Observer
from cc_ci_orch.shell.ports import (
    CannotTell,
    Files,
    Launch,
    Opening,
    Pane,
    Processes,
    Terminal,
)
from cc_ci_orch.shell.prompts import Prompts

KEY_ECHO = 2
"""Bytes that a terminal echoes for a control key: `^[`, `^C`, or CR and LF."""


class Moved(Exception):
    """The second look found another world than the one that was judged; says in what."""


class Applier:
    """Carries actions out. `answer` gets the replies, `notify` the notifications."""

    def __init__(
        self,
        observer: Observer,
        terminal: Terminal,
        processes: Processes,
        files: Files,
        prompts: Prompts,
        values: Callable[[Seat], Mapping[str, str]],
        answer: Callable[[Reply], None],
        notify: Callable[[Notify], None],
        viewer: Launch | None = None,
        log_keep: int = 3,
    ) -> None:
        self._observer = observer
        self._terminal = terminal
        self._processes = processes
        self._files = files
        self._prompts = prompts
        self._values = values
        self._answer = answer
        self._notify = notify
        self._viewer = viewer
        self._log_keep = log_keep

    def apply(self, action: Action) -> Outcome | None:
        """Carry it out; None where nobody waits for an outcome. Raises nothing foreseeable."""
        match action:
            case Reply():
                self._answer(action)
                return None
            case Notify():
                self._notify(action)
                return None
        name = type(action).__name__
        try:
            return self._carry_out(action, name)
        except Moved as moved:
            return Outcome(action.role, name, ok=False, detail=str(moved), skipped=True)
        except (CannotTell, OrchError, OSError) as error:
            return Outcome(action.role, name, ok=False, detail=str(error))

    def _carry_out(self, action: Action, name: str) -> Outcome:
        done = Outcome(getattr(action, "role", ""), name, ok=True)
        match action:
            case StartSession():
                return self._start(action)
            case Type():
                return self._type(action)
            case Press():
                pane = self._pane(action.role, action.process)
                if not self._takes(action, pane):
                    return done
                done = self._entered(action, name, pane, KEY_ECHO * len(action.keys))
                self._terminal.keys(pane.pane, *action.keys, leave_mode=pane.in_mode)
            case AskExit():
                self._ask_exit(action)
            case Terminate():
                self._processes.signal(action.process, signal.SIGTERM)
            case Kill():
                self._end_tree(self._seat(action.role), action.process)
            case Close():
                seat = self._seat(action.role)
                self._end_tree(seat, None)
                self._terminal.close(seat.session)
            case ArmPipe():
                pane = self._pane(action.role, None)
                self._terminal.pipe(pane.pane, self._seat(action.role).log)
            case RotateLog():
                self._files.rotate(self._seat(action.role).log, self._log_keep)
            case ShowLog() if self._viewer is not None:
                self._terminal.start(self._viewer)
            case HideLog():
                self._terminal.close(self._observer.viewer)
            case EndServer():
                self._end_server()
        return done

    def _seat(self, role: str) -> Seat:
        return self._observer.seats[role]

    def _pane(self, role: str, process: ProcessId | None) -> Pane:
        """The role's pane; Moved if `process` doesn't live in it any more."""
        pane = self._observer.panes.get(self._seat(role).session)
        if pane is None:
            raise Moved("it has no session")
        if process is not None and (pane.pid != process.pid or not self._processes.alive(process)):
            raise Moved("its process is another one now")
        return pane

    # ----------------------------------------------------------------------------- starting

    def _start(self, action: StartSession) -> Outcome:
        """End what is left of the last process, then start the next one."""
        seat = self._seat(action.role)
        self._end_tree(seat, None)
        opening = Opening(action.conversation)
        witness = self._observer.witnesses.get(action.role)
        if witness is not None:
            opening = witness.before_start(action.conversation)
        log = self._files.stamp(seat.log) or FileStamp(0, 0)
        prompt = self._prompts.render(action.prompt, seat.role.prompt, self._values(seat))
        prompt = seat.backend.typeable(prompt)
        launch = seat.launch(
            opening,
            resume=action.resume,
            prompt=prompt,
            prompt_file=self._write_prompt(seat, prompt),
            phase=self._values(seat).get("phase", ""),
        )
        pid = self._terminal.start(launch)
        if witness is not None:  # an interrupt puts a prompt back into the box
            witness.typed(prompt)
        process = self._processes.identify(pid) or ProcessId(pid, 0)
        return Outcome(action.role, "StartSession", ok=True, process=process, log=log)

    def _write_prompt(self, seat: Seat, prompt: str) -> Path:
        """Where the prompt can be read; on a full disk the last one stays."""
        try:
            self._files.write(seat.prompt_file, prompt + "\n")
        except OSError:
            if self._files.stamp(seat.prompt_file) is None:
                raise
        return seat.prompt_file

    def _end_tree(self, seat: Seat, process: ProcessId | None) -> None:
        """KILL the role's process, its descendants and all that carries its mark."""
        table = self._processes.snapshot()
        found = dict.fromkeys(table.marked(seat.mark))
        pane = self._observer.panes.get(seat.session)
        root = process or (self._processes.identify(pane.pid) if pane else None)
        if root is not None:
            found |= dict.fromkeys(info.id for info in table.tree(root))
        left = self._processes.end(list(found), grace=0) if found else []
        if left:
            pids = ", ".join(str(p.pid) for p in left)
            raise CannotTell(f"processes of {seat.name} that can't be ended: {pids}")

    # ----------------------------------------------------------------------------- typing

    def _type(self, action: Type) -> Outcome:
        seat = self._seat(action.role)
        pane = self._pane(action.role, action.process)
        text = self._prompts.render(action.prompt, seat.role.prompt, self._values(seat))
        text = seat.backend.typeable(text)
        witness = self._observer.witnesses.get(action.role)
        if witness is not None and witness.submit(text):
            return Outcome(action.role, "Type", ok=True)
        self._require_room(action.role, pane)
        done = self._entered(action, "Type", pane, echoed(text))
        self._terminal.type(pane.pane, text, leave_mode=pane.in_mode)
        if witness is not None:
            witness.typed(text)
        return done

    def _require_room(self, role: str, pane: Pane) -> None:
        """CannotTell where nothing can be typed into it now, as its screen tells."""
        witness = self._observer.witnesses.get(role)
        if witness is None:
            return
        shown = self._screen(pane)
        if witness.ours(shown):
            self._terminal.keys(pane.pane, "Enter", leave_mode=pane.in_mode)
            raise CannotTell("not typed: an earlier prompt still stood in its box; Enter pressed")
        if why := witness.refuses(shown):
            raise CannotTell(f"not typed: {why}")

    def _refusal(self, role: str, pane: Pane) -> str:
        """Why nothing can be typed into it now, as its screen tells; "" where it can."""
        witness = self._observer.witnesses.get(role)
        return "" if witness is None else witness.refuses(self._screen(pane))

    def _takes(self, action: Press, pane: Pane) -> bool:
        """Whether a key means now what it meant when it was decided on."""
        witness = self._observer.witnesses.get(action.role)
        if action.dialog:
            return witness is not None and witness.answer(self._screen(pane)) == action.keys[0]
        if witness is None or action.keys != ("Enter",):
            return True
        return witness.takes_enter(self._screen(pane))

    def _screen(self, pane: Pane) -> str:
        return self._terminal.screens([pane.pane])[0]

    def _entered(self, action: Type | Press, name: str, pane: Pane, echo: int) -> Outcome:
        """What will have come of it, as the terminal is set before the keys arrive."""
        modes = self._terminal.modes(pane.tty)
        echoes = modes is not None and modes.echo
        draws = modes is not None and not modes.canonical
        return Outcome(action.role, name, ok=True, echo=echo if echoes else 0, draws=draws)

    # ----------------------------------------------------------------------------- ending

    def _ask_exit(self, action: AskExit) -> None:
        if action.expect is not None:
            self._look_again(action.role, action.expect)
        backend = self._seat(action.role).backend
        pane = self._pane(action.role, action.process)
        if isinstance(backend.exit, ExitByWords) and not self._refusal(action.role, pane):
            self._terminal.type(pane.pane, backend.exit.text, leave_mode=pane.in_mode)
        else:
            self._processes.signal(action.process, signal.SIGTERM)

    def _look_again(self, role: str, expect: Expect) -> None:
        """Raise Moved unless everything is still as it was judged."""
        view = self._observer.look_again(role)
        if view.running is Seen.UNKNOWN:
            raise Moved("it can't be read any more")
        if view.process != expect.process:
            raise Moved("its process is another one now")
        moved = any(view.signals.get(name) != value for name, value in expect.signals.items())
        if moved or _grown(expect.log, view.log):
            raise Moved("it has moved again")

    def _end_server(self) -> None:
        """End all that runs below the server, then the server."""
        for seat in self._observer.seats.values():
            self._end_tree(seat, None)
        pid = self._terminal.listener()
        server = self._processes.identify(pid) if pid is not None else None
        if server is not None:
            below = [info.id for info in self._processes.snapshot().tree(server)[1:]]
            self._processes.end(below, grace=0)
        try:
            self._terminal.end_server()
        except CannotTell:
            if server is None:
                raise
            self._processes.end([server], grace=0)
            self._terminal.end_server()  # what it left


def echoed(text: str) -> int:
    """Bytes that a terminal in echo mode prints for the text and Enter."""
    return len(text.encode("utf-8", "replace")) + text.count("\n") + KEY_ECHO


def _grown(old: FileStamp | None, new: FileStamp | None) -> bool:
    """Whether a log that counts has grown; `old` is None for one that doesn't."""
    return old is not None and new is not None and new.size > old.size
