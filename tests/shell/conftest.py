"""A tmux server of its own for each test, and the certainty that nothing outlives it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cc_ci_orch.shell.ports import Launch
from cc_ci_orch.shell.procs import ProcFs
from cc_ci_orch.shell.tmux import Tmux


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A folder with a short path: a socket's path has at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def processes() -> Iterator[ProcFs]:
    procs = ProcFs()
    yield procs
    procs.close()


@pytest.fixture
def terminal(short_dir: Path, processes: ProcFs) -> Iterator[Tmux]:
    tmux = Tmux(["-S", str(short_dir / "s")], server_log=short_dir / "server.log")
    yield tmux
    pid = tmux.server_pid()
    server = processes.identify(pid) if pid else None
    if server is not None:
        everything = [info.id for info in processes.snapshot().tree(server)]
        tmux.end_server()
        assert processes.end(everything, grace=0) == []


@pytest.fixture
def launch(short_dir: Path) -> Callable[..., Launch]:
    """Make a Launch of argv words, with what tests don't care about filled in."""

    def make(*argv: str, session: str = "cc-ci-builder", **other: object) -> Launch:
        values: dict[str, object] = {
            "env": {"PATH": os.environ["PATH"], "HOME": "/nowhere"},
            "cwd": short_dir,
            "log": short_dir / f"{session}.log",
        }
        values.update(other)
        return Launch(session=session, argv=argv, **values)  # type: ignore[arg-type]

    return make


@pytest.fixture
def kill_later() -> Iterator[Callable[[int], None]]:
    """Have a process killed when the test is over."""
    pids: list[int] = []
    yield pids.append
    for pid in pids:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
