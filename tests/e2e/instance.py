"""One instance of the program for a test, driven as a person drives it: through `launch.sh`.

Everything of an instance lives in one folder under /tmp with a name of its own, and every
process of it carries that name: in its environment, on its command line (the agents are
started from a copy in that folder) or as its working folder. So what is left can be found.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.waiting import eventually

AGENTS = Path(__file__).with_name("agents")
REPOSITORY = Path(__file__).resolve().parent.parent.parent

PLAN = """\
[[phase]]
id = "1"
title = "The only one"
plan = "phase-1.md"
gates = ["V1"]
"""

QUICK = {
    "ORCH_POLL": "0.2s",
    "ORCH_START_GRACE": "1s",
    "ORCH_STABLE_AFTER": "0.5s",
    "ORCH_SUBMIT_WAIT": "0.3s",
}
"""Settings under which a test needn't wait for what an operator waits for."""

LONG = 60.0
"""Seconds for a command that normally takes one: the machine may be busy."""


@contextmanager
def copied_program() -> Iterator[Path]:
    """A copy of the program: no test can leave anything in the repository, nor see it change."""
    folder = Path(tempfile.mkdtemp(prefix="orch-program-", dir="/tmp"))
    for name in ("cc_ci_orch", "plan", "prompts"):
        shutil.copytree(REPOSITORY / name, folder / name)
    for file in (*REPOSITORY.glob("launch*.py"), *REPOSITORY.glob("launch*.sh")):
        shutil.copy2(file, folder)
    yield folder
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Instance:
    """A private root and state folder, tmux server and environment; nothing is started yet."""

    def __init__(self, program: Path, place: str = "here", **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="orch-e2e-", dir="/tmp"))
        self.launch = program / "launch.sh"
        self.root = self.folder / place
        self.state = self.folder / f"{place}-state"
        for made in (self.root, self.folder / "home", self.folder / "tmux"):
            made.mkdir(exist_ok=True)
        self.plan(PLAN)
        shutil.copytree(AGENTS, self.folder / "agents", dirs_exist_ok=True)
        self.settings: dict[str, str] = {
            "ORCH_ROOT": str(self.root),
            "ORCH_STATE": str(self.state),
            "LOOP_BACKEND": "command",
            "LOOP_COMMAND": self.agent("works.py"),
            **QUICK,
            **settings,
        }

    def plan(self, text: str) -> None:
        """Give it that phases.toml; the texts that it names are all the same."""
        (self.root / "plan").mkdir(exist_ok=True)
        (self.root / "plan" / "phases.toml").write_text(text)
        for name in ("plan.md", "phase-1.md", "phase-2.md"):
            (self.root / "plan" / name).write_text("Build it.\n")

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of a command: nothing of the test's own gets into it."""
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "TMUX_TMPDIR": str(self.folder / "tmux"),
            **self.settings,
        }

    @property
    def socket(self) -> Path:
        name = self.settings.get("ORCH_NAME", "cc-ci")
        return self.folder / "tmux" / f"tmux-{os.getuid()}" / name

    def agent(self, script: str, *words: str) -> str:
        """The template that runs one of the agents of this folder."""
        path = str(self.folder / "agents" / script)
        argv = ["/bin/sh", path] if script.endswith(".sh") else [sys.executable, "-I", "-S", path]
        quoted = (shlex.quote(word) for word in argv)
        return " ".join([*quoted, *(w if w[:1] == "{" else shlex.quote(w) for w in words)])

    # ------------------------------------------------------------------ commands

    def run(
        self,
        *args: str,
        input: str | bytes = b"",
        timeout: float = LONG,
        cwd: Path | str = "/",
        env: Mapping[str, str] = {},
        launcher: str = "launch",
    ) -> Done:
        """`launch.sh ARGS`, from a folder that has nothing to do with it."""
        done = subprocess.run(
            [str(self.launch.with_name(f"{launcher}.sh")), *args],
            input=input.encode() if isinstance(input, str) else input,
            capture_output=True,
            timeout=timeout,
            cwd=cwd,
            env={**self.env, **env},
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def orchestrator(self, *args: str, **other: Any) -> Done:
        """`launch-orchestrator.sh ARGS`."""
        return self.run(*args, launcher="launch-orchestrator", **other)

    def upgrader(self, *args: str, **other: Any) -> Done:
        """`launch-upgrader.sh ARGS`."""
        return self.run(*args, launcher="launch-upgrader", **other)

    def background(self, *args: str, **other: Any) -> subprocess.Popen[bytes]:
        """`launch.sh ARGS`, still running; the caller waits for it or kills it."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        argv = [str(self.launch), *args]
        return subprocess.Popen(argv, cwd="/", env=self.env, **{**pipes, **other})

    def start(self, *args: str) -> Done:
        """Start it; its sessions run when this returns."""
        done = self.run("start", *args)
        assert done.code == 0, done
        return done

    def stop(self, *args: str) -> Done:
        """Stop it, and be sure that nothing of it is left."""
        done = self.run("stop", *(args or ("--grace", "1s")))
        assert done.code == 0, done
        left = self.processes()
        assert left == {}, left
        return done

    # ------------------------------------------------------------------ looking

    def status(self) -> Any:
        """What `status --json` prints."""
        return self.run("status", "--json").json

    def session(self, role: str = "builder") -> Any:
        """One session of the status."""
        return next(s for s in self.status()["sessions"] if s["role"] == role)

    def pid(self, role: str = "builder") -> int:
        """The pid of the agent, as soon as it has one."""
        return int(eventually(lambda: self.session(role)["pid"], LONG, 0.05))

    @property
    def supervisor(self) -> int | None:
        """The pid in the supervisor's own record; None where there is none."""
        return self._record().get("pid")

    @property
    def guardian(self) -> int | None:
        return self._record().get("guardian")

    def _memory(self) -> bytes:
        try:
            return (self.state / "memory.json").read_bytes()
        except OSError:
            return b""

    def _record(self) -> Mapping[str, Any]:
        try:
            value: Mapping[str, Any] = json.loads((self.state / "supervisor.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return value

    def events(self, name: str | None = None, role: str | None = None) -> list[Any]:
        """The events so far, in their order; only those of that name and role."""
        path = self.state / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [json.loads(line) for line in lines]
        return [
            event
            for event in found
            if name in (None, event["event"]) and role in (None, event.get("role"))
        ]

    def wait_for_event(self, name: str, role: str | None = None, count: int = 1) -> Any:
        """The `count`-th event of that name, as soon as there is one."""
        eventually(lambda: len(self.events(name, role)) >= count, LONG, 0.02)
        return self.events(name, role)[count - 1]

    def log(self, role: str = "builder") -> str:
        """What the session has printed, as it stands in its log."""
        name = self.settings.get("ORCH_NAME", "cc-ci")
        path = self.state / "logs" / f"{name}-{role}.log"
        return path.read_bytes().decode("utf-8", "replace") if path.exists() else ""

    def tmux(self, *args: str) -> Done:
        """tmux itself, on the instance's server."""
        argv = ["tmux", "-S", str(self.socket), *args]
        done = subprocess.run(argv, capture_output=True, env=self.env, timeout=LONG, check=False)
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def git(self, *args: str) -> str:
        """git as a stranger to the pair; what it printed."""
        who = {
            f"GIT_{who}_{what}": "x@y"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        done = subprocess.run(["git", *args], capture_output=True, env=self.env | who, check=True)
        return done.stdout.decode().strip()

    def server(self) -> int:
        """The pid of the tmux server."""
        return int(self.tmux("display-message", "-p", "#{pid}").out)

    def processes(self) -> dict[int, str]:
        """Every living process that has anything to do with this instance."""
        mark = os.fsencode(self.folder)
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with suppress(OSError):
                state = (entry / "stat").read_bytes().rpartition(b")")[2].split()[0]
                words = (entry / "cmdline").read_bytes()
                where = os.fsencode(os.readlink(entry / "cwd"))
                told = (entry / "environ").read_bytes()
                if state != b"Z" and any(mark in text for text in (words, where, told)):
                    found[int(entry.name)] = words.replace(b"\0", b" ").decode().strip()
        return found

    # ------------------------------------------------------------------ the end

    def power_cut(self) -> None:
        """Everything of it dies at once."""
        everything = list(self.processes())
        for pid in everything:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        gone(everything)

    def end(self) -> None:
        """End everything, whatever the test did to it; remove the folder."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        with suppress(subprocess.TimeoutExpired):
            if b"orchestrator" in self._memory():
                self.orchestrator("stop", "--grace", "0s", timeout=LONG)
            self.run("stop", "--grace", "0s", timeout=LONG)
        left = self.processes()
        for _ in range(5):
            for pid in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        subprocess.run(["umount", "-q", "-l", str(self.state)], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
        assert left == {}, f"stop left behind: {left}"


def alive(pid: int) -> bool:
    """Whether that process runs; a zombie doesn't."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def kill(*pids: int | None) -> None:
    """SIGKILL, all in one go."""
    for pid in pids:
        assert pid
        os.kill(pid, signal.SIGKILL)


def gone(pids: Sequence[int], timeout: float = LONG) -> None:
    """Wait until none of them runs."""
    eventually(lambda: not any(map(alive, pids)), timeout)
