"""git, as the demo agents use it: pull with rebase, small commits, push, and again on a race."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.run import Done, run

TIMEOUT = 60.0
"""Seconds for one git command."""

PUSHES = 20
"""Attempts to push before it counts as failed: the other role pushes too."""


class GitError(Exception):
    """git did not do it; says what it said."""


class Repository:
    """The agent's clone. Every method raises GitError where git fails."""

    def __init__(self, path: Path, branch: str) -> None:
        self.path = path
        self._branch = branch
        self._upstream = f"refs/remotes/origin/{branch}"

    def recover(self) -> bool:
        """Drop what a process before us left half done; commits are kept. Whether there was any."""
        git = self.path / ".git"
        for lock in [*git.glob("*.lock"), *(git / "refs").rglob("*.lock")]:
            lock.unlink(missing_ok=True)
        for rebase in ("rebase-merge", "rebase-apply"):
            shutil.rmtree(git / rebase, ignore_errors=True)
        self._must("symbolic-ref", "HEAD", f"refs/heads/{self._branch}")
        left = bool(self._must("status", "--porcelain").strip())
        if self._has("HEAD"):
            self._must("reset", "--hard", "--quiet")
        self._must("clean", "-f", "-d", "-q")
        return left

    def pull(self) -> None:
        """What the others pushed, with our own commits on top."""
        self._must("fetch", "--quiet", "--no-tags", "origin")
        if not self._has(self._upstream):
            return
        if self._has("HEAD"):
            self._must("rebase", "--quiet", self._upstream)
        else:
            self._must("reset", "--hard", "--quiet", self._upstream)

    def commit(self, files: Mapping[str, str], message: str) -> bool:
        """Write the files and commit them; False where they read so already."""
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self._must("add", "--", *files)
        if self._git("diff", "--cached", "--quiet").returncode == 0:
            return False
        self._must("commit", "--quiet", "-m", message)
        return True

    def push(self) -> None:
        """Push all commits; on a race take in what the other role pushed, and try again."""
        for attempt in range(PUSHES):
            if not self._has("HEAD") or self._pushed():
                return
            done = self._git("push", "--quiet", "origin", f"HEAD:refs/heads/{self._branch}")
            if done.returncode == 0:
                return
            time.sleep(random.uniform(0, 0.1 * (attempt + 1)))
            self.pull()
        raise GitError(f"git push: {_last(done)}")

    def read(self, name: str) -> str:
        """A file of the work tree; empty where there is none."""
        try:
            return (self.path / name).read_bytes().decode("utf-8", "replace")
        except OSError:
            return ""

    def head(self) -> str:
        """The short id of the newest commit."""
        return self._must("rev-parse", "--short", "HEAD").strip()

    def messages(self) -> frozenset[str]:
        """The first lines of all commits."""
        if not self._has("HEAD"):
            return frozenset()
        return frozenset(self._must("log", "--format=%s").splitlines())

    def fresh_clone(self, commit: str, into: Path) -> None:
        """The work repository as anyone gets it, at that commit, in a new folder."""
        shutil.rmtree(into, ignore_errors=True)
        url = self._must("remote", "get-url", "origin").strip()
        self._must("clone", "--quiet", "--no-local", "--", url, os.fspath(into))
        self._must("-C", os.fspath(into), "checkout", "--quiet", "--detach", f"{commit}^{{commit}}")

    # ------------------------------------------------------------------ git

    def _pushed(self) -> bool:
        if not self._has(self._upstream):
            return False
        return self._git("merge-base", "--is-ancestor", "HEAD", self._upstream).returncode == 0

    def _has(self, name: str) -> bool:
        return self._git("rev-parse", "--verify", "--quiet", name).returncode == 0

    def _git(self, *argv: str) -> Done:
        try:
            return run(("git", "-c", "gc.auto=0", *argv), timeout=TIMEOUT, cwd=self.path)
        except CannotTell as error:
            raise GitError(str(error)) from None

    def _must(self, *argv: str) -> str:
        done = self._git(*argv)
        if done.returncode != 0:
            raise GitError(f"git {argv[0]}: {_last(done)}")
        return done.out


def _last(done: Done) -> str:
    return (done.err.splitlines() or [f"status {done.returncode}"])[-1]
