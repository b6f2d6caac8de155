"""The real clients: each installed from npm once, into a cache, for all tests to share.

    python -m tests.clients.packages     installs what is missing; tells what can't be had, and why

The cache is `~/.cache/cc-ci-orch-clients`, or the folder in `CC_CI_ORCH_CLIENTS`. The versions
are those that were measured: a new one is to be tried on purpose.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A client: its package, the version that is tested, and the program in it."""

    name: str
    version: str
    program: str


PACKAGES: Mapping[str, Package] = {
    "claude": Package("@anthropic-ai/claude-code", "2.1.330", "claude"),
    "opencode": Package("opencode-ai", "1.18.33", "opencode"),
    "codex": Package("@openai/codex", "0.169.0", "codex"),
}

INSTALL = 240.0
"""Seconds that an installation may take: half a gigabyte from a slow registry."""


class Missing(Exception):
    """The client can't be had here; says why."""


def cache_folder() -> Path:
    own = os.environ.get("CC_CI_ORCH_CLIENTS")
    return Path(own) if own else Path.home() / ".cache" / "cc-ci-orch-clients"


def provide(client: str) -> Path:
    """The client's program, installed now where it isn't yet. Missing, if it can't be had."""
    package, folder = PACKAGES[client], cache_folder() / client
    program = folder / "node_modules" / ".bin" / package.program
    with _alone(folder.parent):
        if _installed(folder, package) != package.version:
            _install(folder, package)
    argv = [str(program), "--version"]
    try:
        works = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{program} doesn't run: {error}") from None
    if works.returncode != 0:
        raise Missing(f"{program} doesn't run: {works.stderr.strip()[-300:]}")
    return program


def _installed(folder: Path, package: Package) -> str | None:
    """The version that is there; None where there is none."""
    try:
        told = (folder / "node_modules" / package.name / "package.json").read_text()
        return str(json.loads(told)["version"])
    except (OSError, ValueError, KeyError):
        return None


def _install(folder: Path, package: Package) -> None:
    """Beside the old one first, so that an installation that is cut off leaves nothing half."""
    npm = shutil.which("npm")
    if npm is None:
        raise Missing(f"{package.name} needs npm, which is not installed (apt-get install npm)")
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    argv = [npm, "install", "--no-audit", "--no-fund", f"{package.name}@{package.version}"]
    try:
        done = subprocess.run(
            argv, cwd=new, capture_output=True, text=True, timeout=INSTALL, check=False
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"npm didn't install {package.name} within {INSTALL:g} s") from None
    if done.returncode != 0:
        raise Missing(f"npm can't install {package.name}: {done.stderr.strip()[-300:]}")
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: the tests run side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    for client, package in PACKAGES.items():
        try:
            provide(client)
            print(f"{client}: {package.name} {package.version}")
        except Missing as why:
            print(f"{client}: its tests will be skipped: {why}", file=sys.stderr)


if __name__ == "__main__":
    main()
