"""git: the work repository, and the clones that the roles work in.

Every call is one git process without a terminal: it can fail, but it can't ask. What a
repository says is untrusted: names are passed after `--`. No hook runs, wherever it comes from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cc_ci_orch.errors import OrchError
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.run import Done, Leash, run, run_head

TIMEOUT = 30.0
"""Seconds for a look at a remote: a slow network is no trouble, a dead one must not last."""

CLONE_TIMEOUT = 600.0
"""Seconds for a clone: the work repository may be large."""

GIT = ("git", "-c", "core.hooksPath=/dev/null")


class Git:
    """git commands in a clean environment (`env` less what would redirect git)."""

    def __init__(self, env: Mapping[str, str]) -> None:
        kept = {name: value for name, value in env.items() if not name.startswith("GIT_")}
        ssh = {n: env[n] for n in ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO") if n in env}
        self._env = {**kept, **ssh, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
        self._leash = Leash()

    def end(self) -> None:
        """End whatever git does for others at this moment, and from now on."""
        self._leash.end()

    def make_bare(self, path: Path, branch: str, format: str = "sha1") -> None:
        """Make an empty bare repository, if there is none; OrchError if that can't be done.

        It is there as a whole or not at all. `format`: git's name for the kind of its ids.
        """
        if (path / "HEAD").exists():
            return
        what = f"can't make the repository: {path}"
        made = path.with_name(f"{path.name}.new")
        options = ("--quiet", "--bare", "--template=", f"--initial-branch={branch}")
        kind = () if format == "sha1" else (f"--object-format={format}",)  # of an old git
        self._must(("init", *options, *kind, "--", os.fspath(made)), what)
        try:
            made.rename(path)
        except OSError as error:
            raise OrchError(f"{what}: {error.strerror}") from None

    def clone(self, url: str, branch: str, path: Path) -> None:
        """Clone `url` into `path` and leave it on `branch`, which need not exist yet.

        Nothing is done where a clone stands already. A clone that failed leaves nothing
        behind. OrchError says what git said.
        """
        if (path / ".git").exists():
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        what = f"can't clone the work repository: {url}"
        self._must(("clone", "--quiet", "--", url, os.fspath(path)), what, CLONE_TIMEOUT)
        on = self._git(("-C", os.fspath(path), "symbolic-ref", "--short", "HEAD"))
        if on.out.strip() == branch:
            return
        there = self._git(
            ("-C", os.fspath(path), "rev-parse", "--verify", "--quiet", f"origin/{branch}")
        )
        if there.returncode == 0:
            track = ("switch", "--quiet", "-c", branch, "--track", f"origin/{branch}")
            self._must(("-C", os.fspath(path), *track), what)
        else:
            ref = f"refs/heads/{branch}"
            self._must(("-C", os.fspath(path), "symbolic-ref", "HEAD", ref), what)

    def ask(
        self,
        repository: Path,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = TIMEOUT,
        limit: int | None = None,
    ) -> Done:
        """Run git in a repository; any return code is a value. `limit`: so many bytes at most.

        CannotTell if git doesn't answer within `timeout` seconds.
        """
        whole = (*GIT, "-C", os.fspath(repository), *argv)
        env, cwd, leash = self._env, Path("/"), self._leash
        if limit is not None:
            return run_head(whole, limit=limit, timeout=timeout, env=env, cwd=cwd, leash=leash)
        return run(whole, timeout=timeout, stdin=stdin, env=env, cwd=cwd, leash=leash)

    def _git(self, argv: tuple[str, ...], timeout: float = TIMEOUT) -> Done:
        whole = (*GIT, *argv)
        return run(whole, timeout=timeout, env=self._env, cwd=Path("/"), leash=self._leash)

    def _must(self, argv: tuple[str, ...], what: str, timeout: float = TIMEOUT) -> Done:
        try:
            done = self._git(argv, timeout)
        except CannotTell as error:
            raise OrchError(f"{what}: {error}") from None
        if done.returncode != 0:
            raise OrchError(f"{what}: {reason(done)}")
        return done


def reason(done: Done) -> str:
    """Why git failed, in one line that is fit for a terminal: a remote's words may be in it."""
    lines = [line for line in done.err.splitlines() if line.strip()]
    telling = [line for line in lines if not line.lower().startswith(("warning: ", "hint: "))]
    first = telling[0].removeprefix("fatal: ") if telling else f"git ended with {done.returncode}"
    return "".join(c if c.isprintable() else "?" for c in first)[:300]
