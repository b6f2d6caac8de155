"""A work repository for tests: a bare one, and whoever pushes to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

IDENTITY = "cc-ci"


def environment(home: Path, author: str = "") -> dict[str, str]:
    """git's whole environment: no configuration of whoever runs the test, and an author."""
    name, email = author or "nobody", author if "@" in author else f"{author}@{IDENTITY}.invalid"
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
    }


class WorkRepo:
    """The bare repository at `url`, and a clone in which a test commits as whomever it likes."""

    def __init__(self, folder: Path, *, format: str = "sha1", branch: str = "main") -> None:
        self.folder = folder
        self.url = folder / "work.git"
        self.clone = folder / "clone"
        self.branch = branch
        kind = () if format == "sha1" else (f"--object-format={format}",)
        self.git("init", "-q", "--bare", *kind, f"--initial-branch={branch}", str(self.url), at="/")
        self.git("init", "-q", *kind, f"--initial-branch={branch}", str(self.clone), at="/")
        self.git("remote", "add", "origin", str(self.url))

    def git(
        self, *argv: str, who: str = "builder", at: Path | str = "", stdin: bytes = b"",
        env: Mapping[str, str] = {},
    ) -> str:  # fmt: skip
        """Run git in the clone; what it printed."""
        done = subprocess.run(
            ["git", "-C", str(at or self.clone), *argv],
            input=stdin,
            env=environment(self.folder, who) | dict(env),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, f"git {argv}: {done.stderr.decode(errors='replace')}"
        return done.stdout.decode(errors="replace").strip()

    def commit(self, who: str, status: str | None = None, review: str | None = None) -> str:
        """A commit by `who` on the clone's head, pushed; its id. None: the file as it is."""
        for name, text in (("STATUS.md", status), ("REVIEW.md", review)):
            if text is not None:
                (self.clone / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a commit", who=who)
        self.push()
        return self.head

    def push(self, *options: str) -> None:
        self.git("push", "-q", *options, "origin", f"HEAD:refs/heads/{self.branch}")

    @property
    def head(self) -> str:
        """The clone's head."""
        return self.git("rev-parse", "HEAD")
