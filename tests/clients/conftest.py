"""The real clients, a private home for each test, and no network but loopback."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite(
    "tests.clients.client_instance",
    "tests.clients.claude_instance",
    "tests.clients.opencode_instance",
)

from tests.clients.claude_instance import ClaudeInstance  # noqa: E402
from tests.clients.opencode_instance import OpencodeInstance  # noqa: E402
from tests.clients.packages import Missing, provide  # noqa: E402
from tests.e2e.conftest import program  # noqa: E402, F401

CLONE_NEWNET = 0x40000000
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are marked `clients`."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("clients")


def binary(client: str) -> Path:
    """The installed client; its absence skips the test and says so."""
    try:
        return provide(client)
    except Missing as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def claude_binary() -> Path:
    return binary("claude")


@pytest.fixture
def only_loopback() -> Iterator[None]:
    """Where we are root: what the test starts has no network but loopback, so that no packet
    can leave, whatever a client tries. Clients are to be installed before this."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:
        if libc.unshare(CLONE_NEWNET) != 0:
            yield  # a container may forbid it
            return
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            argv = ["ip", "-o", "link"]
            links = subprocess.run(argv, capture_output=True, text=True, check=True)
            assert [line.split(":")[1].strip() for line in links.stdout.splitlines()] == ["lo"]
            yield
        finally:
            assert libc.setns(before.fileno(), CLONE_NEWNET) == 0


Make = Callable[..., ClaudeInstance]


@pytest.fixture
def claude(program: Path, claude_binary: Path, only_loopback: None) -> Iterator[Make]:  # noqa: F811
    """Make an instance with the real client, with any settings."""
    made: list[ClaudeInstance] = []

    def make(**settings: str) -> ClaudeInstance:
        made.append(ClaudeInstance(program, claude_binary, **settings))
        return made[-1]

    yield make
    for it in made:
        it.end()


MakeOpencode = Callable[..., OpencodeInstance]


@pytest.fixture(scope="session")
def opencode_binary() -> Path:
    return binary("opencode")


@pytest.fixture
def opencode(
    program: Path,  # noqa: F811
    opencode_binary: Path,
    only_loopback: None,
) -> Iterator[MakeOpencode]:
    """Make an instance with the real client, with any settings."""
    made: list[OpencodeInstance] = []

    def make(config: dict[str, Any] | None = None, **settings: str) -> OpencodeInstance:
        made.append(OpencodeInstance(program, opencode_binary, config, **settings))
        return made[-1]

    yield make
    for it in made:
        it.end()
