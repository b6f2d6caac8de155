"""What Claude Code tells of one role's session, looked at once a tick; implements `Witness`.

A tick costs a few stats, and reads of what is new. The screen is asked for where these leave a
doubt: at a start, in silence, at something unknown.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from cc_ci_orch.agents import claude_screen
from cc_ci_orch.agents.claude_account import (
    Hooks,
    Status,
    account,
    follow_hook,
    settings,
    title,
    with_screen,
)
from cc_ci_orch.agents.claude_screen import Dialog
from cc_ci_orch.agents.claude_transcript import Trail, follow
from cc_ci_orch.core import liveness
from cc_ci_orch.core.model import Account, Doing, Liveness, ProcessId, RoleMemory, SessionView
from cc_ci_orch.core.policy import Policy
from cc_ci_orch.shell.claude_home import ClaudeHome
from cc_ci_orch.shell.growing import GrowingFile
from cc_ci_orch.shell.ports import CannotTell, Clock, Files, Opening, Processes

SILENCE = 3.0
"""Seconds of silence of a busy client after which its screen is looked at, at the latest."""

IDLE_LOOK = 5.0
"""Seconds between looks at a client that is idle on its turn: a dialog may hold it up."""

KEY_WAIT = 5.0
"""Seconds after which a key that changed nothing is pressed again. One too many, still on its
way, would move away from the wanted row just before the Enter."""

DIALOG_WAIT = 60.0
"""Seconds that a dialog of ours may stay before it counts as one that can't be answered."""


class ClaudeEvidence:
    """One seat's. `folders` are those of all our clones, to be trusted."""

    def __init__(
        self,
        workdir: Path,
        settings_file: Path,
        home: ClaudeHome,
        processes: Processes,
        files: Files,
        clock: Clock,
        policy: Policy,
        folders: tuple[Path, ...],
    ) -> None:
        self._workdir = workdir
        self._settings = settings_file
        self._hooks_path = settings_file.with_suffix(".hooks")
        self._home = home
        self._processes = processes
        self._files = files
        self._clock = clock
        self._policy = policy
        self._folders = folders
        self._hooks_file = GrowingFile(self._hooks_path)
        self._hooks = Hooks()
        self._record = GrowingFile(Path())
        self._trail = Trail()
        self._conversation = ""
        self._process: ProcessId | None = None
        self._tokens = ""
        self._prompts = -1
        self._dialog_at: float | None = None
        self._pressed: tuple[int, float] | None = None
        self._looked_at = 0.0
        self._typed = ""
        self._up = False  # its files have told of this process

    # ------------------------------------------------------------------ before a start

    def before_start(self, conversation: str) -> Opening:
        """What a new process needs; CannotTell if another one has its conversation already."""
        self._refuse_second(conversation)
        self._settings.parent.mkdir(mode=0o700, exist_ok=True)
        self._files.write(self._hooks_path, "")
        value = settings(str(self._hooks_path))
        self._files.write(self._settings, json.dumps(value, indent=1) + "\n")
        self._home.settle_trust(self._folders)
        return Opening(conversation)

    def _refuse_second(self, conversation: str) -> None:
        others = self._processes.snapshot().with_argument(conversation)
        others += [p for status, p in self._home.living() if status.conversation == conversation]
        if others:
            pids = ", ".join(str(pid) for pid in sorted({p.pid for p in others}))
            raise CannotTell(f"conversation {conversation} is open in another process: {pids}")

    # ------------------------------------------------------------------ each tick

    def look(self, view: SessionView, mem: RoleMemory) -> SessionView:
        """The view with what the client's files tell."""
        assert view.process is not None
        if view.process != self._process:
            self._process, self._tokens = view.process, ""
            self._dialog_at = self._pressed = None
            self._up = False
            self._trail = replace(self._trail, open_tools=frozenset())
        status = self._home.status(view.process)
        conversation = status.conversation if status else mem.conversation or self._conversation
        try:
            self._read_hooks()
            self._read_record(conversation)
        except OSError as error:
            return replace(view, unreadable=(*view.unreadable, f"record: {error.strerror}"))
        if self._trail.prompts != self._prompts:  # another turn: its tokens are counted anew
            self._prompts, self._tokens = self._trail.prompts, ""
        known = self._record.path.name and self._trail.prompts
        signals: dict[str, int | str] = {"transcript": self._trail.worked}
        signals["tool events"] = self._hooks.worked
        if self._tokens:
            signals[liveness.TOKENS] = self._tokens
        told = self._account(status)
        return replace(
            view,
            account=told,
            not_ready=self._comes_up(told, mem),
            signals={**view.signals, **signals},
            submissions=self._trail.prompts if known else self._hooks.prompts,
            conversation=status.conversation if status else None,
        )

    def _comes_up(self, told: Account | None, mem: RoleMemory) -> bool:
        """Whether it still loads, or asks things of its own: its files tell nothing of it yet."""
        self._up = self._up or told is not None
        age = self._clock.monotonic() - mem.started_at
        return not self._up and age < self._policy.start_grace

    def _account(self, status: Status | None) -> Account | None:
        told, error = account(status, self._hooks, self._trail), self._trail.error
        if told is not None and told.recheck and error is not None:
            return replace(told, again=self._home.login_changed() > error.at)
        return told

    def _limit(self) -> Account | None:
        """The limit that its last turn ended at."""
        told = account(None, Hooks(state="idle"), self._trail)
        return told if told is not None and told.doing is Doing.LIMITED else None

    def _read_hooks(self) -> None:
        lines = self._hooks_file.news()
        if self._hooks_file.begun_anew:
            self._hooks = Hooks()
        for line, end in lines:
            self._hooks = follow_hook(self._hooks, line, end)

    def _read_record(self, conversation: str) -> None:
        if conversation != self._conversation or not self._record.path.exists():
            path = self._home.transcript(self._workdir, conversation)
            if conversation != self._conversation or path != self._record.path:
                self._conversation, self._trail = conversation, Trail()
                self._record = GrowingFile(path)
        for line, end in self._record.news():
            self._trail = follow(self._trail, line, end)

    # ------------------------------------------------------------------ the screen

    def in_doubt(self, view: SessionView, mem: RoleMemory, now: float) -> bool:
        """Whether the screen has to be looked at, too."""
        if mem.process == view.process and now - mem.started_at < 0.5:
            return False
        known = view.account
        if known is None or mem.liveness in (Liveness.BLOCKED, Liveness.RETRYING):
            return True
        match known.doing:
            case Doing.BLOCKED:
                return True
            case Doing.IDLE:
                return mem.on_turn and now - self._looked_at >= IDLE_LOOK
            case Doing.BUSY:
                stall = self._policy.stall_after  # in a tool, only a subagent counts tokens
                patience = stall / 3 if known.tool_open else min(SILENCE, stall / 10)
                return now - liveness.quiet_since(mem) >= patience
            case _:
                return False

    def see(self, view: SessionView, raw: str, now: float) -> SessionView:
        """The view after a look at the screen, with its colours."""
        self._looked_at = now
        screen = claude_screen.read(raw)
        ours, key = self._key(screen.dialog, now)
        told = with_screen(view.account, screen, ours)
        if ours and (limit := self._limit()) is not None:
            told = limit  # its menu comes and goes; the limit stays
        waits = view.account is not None and view.account.doing is Doing.BUSY  # for subagents
        view = replace(view, account=told, answer=key, not_ready=view.not_ready or ours)
        if not (screen.busy or waits):
            return view
        # That it begins to count is progress, too; that it stops (a retry) is none.
        self._tokens = screen.tokens or self._tokens or "none"
        return replace(view, signals={**view.signals, liveness.TOKENS: self._tokens})

    def _key(self, dialog: Dialog | None, now: float) -> tuple[bool, str | None]:
        """Whether the dialog is ours to answer, and the key to press now, if any."""
        key = claude_screen.answer(dialog) if dialog is not None else None
        if dialog is None or key is None:
            self._dialog_at = self._pressed = None
            return False, None
        self._dialog_at = now if self._dialog_at is None else self._dialog_at
        if now - self._dialog_at > DIALOG_WAIT:
            return False, None
        if self._pressed is not None:
            selected, at = self._pressed
            if selected == dialog.selected and now - at < KEY_WAIT:
                return True, None
        self._pressed = (dialog.selected, now)
        return True, key

    # ------------------------------------------------------------------ before a key

    def submit(self, text: str) -> bool:
        """It takes what is typed, and nothing else."""
        return False

    def refuses(self, raw: str) -> str:
        """Why nothing can be typed at this screen; "" where it can."""
        screen = claude_screen.read(raw)
        if screen.dialog is not None:
            return f"it shows a dialog: {title(screen)}"
        if screen.box is None:
            return "it doesn't show its prompt"
        return "a draft stands in its box" if screen.box else ""

    def typed(self, text: str) -> None:
        """Remember what was typed last."""
        self._typed = text

    def ours(self, raw: str) -> bool:
        """Whether what stands in its box is what was typed last. A long one is shown folded."""
        box = "".join((claude_screen.read(raw).box or "").split())
        folded = box.startswith("[Pastedtext#") and "\n" in self._typed
        text = "".join(self._typed.split())
        whole = len(box) >= min(len(text), 40)  # a person's first letters may be the same
        return bool(box) and (folded or (whole and text.startswith(box)))

    def takes_enter(self, raw: str) -> bool:
        """Whether Enter would submit a text that stands in the box, and do nothing else."""
        return bool(claude_screen.read(raw).box)

    def answer(self, raw: str) -> str | None:
        """The one key to press at the dialog of this screen."""
        dialog = claude_screen.read(raw).dialog
        return claude_screen.answer(dialog) if dialog is not None else None
