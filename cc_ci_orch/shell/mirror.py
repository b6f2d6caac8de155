"""The supervisor's own mirror of the work branch: what is new on it, for the ledger.

A look at the remote is one `git ls-remote`; only when the head has moved is anything fetched.
The mirror keeps every head that it ever saw, so that a rewritten history can be compared with
what it replaced, and nothing that was seen is lost to git's housekeeping.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cc_ci_orch.core.ledger import Commit, Version
from cc_ci_orch.core.news import News
from cc_ci_orch.core.protocol import READ_LIMIT, File
from cc_ci_orch.errors import OrchError
from cc_ci_orch.shell.git import CLONE_TIMEOUT, Git
from cc_ci_orch.shell.ports import CannotTell

SEEN = "refs/orch/seen"
FORMAT = "%H%x00%ae%x00%P"


@dataclass(frozen=True)
class _Raw:
    """A commit as git lists it."""

    id: str
    author: str
    parents: tuple[str, ...]


class Mirror:
    """A bare repository in the state folder. One thread's; every call may take its time."""

    def __init__(self, git: Git, path: Path, url: str, branch: str) -> None:
        self._git = git
        self._path = path
        self._url = url
        self._ref = f"refs/heads/{branch}"

    def news(self, known: str) -> News | None:
        """What is new since the commit `known` ("": everything); None if nothing is.

        CannotTell where the remote or the mirror gives no answer, or has no such branch any
        more: what was seen before still counts.
        """
        head = self._remote_head()
        if head is None:
            if known:
                raise CannotTell(f"the work repository has no branch {self._ref} any more")
            return None
        if head == known:
            return None
        self._fetch(head)
        rewritten = bool(known) and not self._is_ancestor(known, head)
        base = self._merge_base(known, head) if rewritten else known
        commits = self._list(base, head)
        return News(
            since=known,
            head=self._version(head),
            commits=self._with_files(commits),
            rewritten=rewritten,
        )

    # -------------------------------------------------------------------------- git

    def _ask(self, *argv: str, stdin: bytes = b"", timeout: float = 60.0) -> bytes:
        done = self._git.ask(self._path, argv, stdin=stdin, timeout=timeout)
        if done.returncode != 0:
            last = done.err.splitlines()[-1:] or [f"git {argv[0]}: status {done.returncode}"]
            raise CannotTell(last[0])
        return done.stdout

    def _remote_head(self) -> str | None:
        try:
            self._git.make_bare(self._path, "mirror")
        except OrchError as error:
            raise CannotTell(error.message) from None
        lines = self._ask("ls-remote", "--", self._url, self._ref).decode("ascii", "replace")
        for line in lines.splitlines():
            id, _, ref = line.partition("\t")
            if ref == self._ref:
                return id
        return None

    def _fetch(self, head: str) -> None:
        self._ask(
            *("-c", "gc.auto=0", "-c", "maintenance.auto=false"),
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head"),
            *("--", self._url, f"+{self._ref}:{SEEN}/{head}"),
            timeout=CLONE_TIMEOUT,
        )

    def _is_ancestor(self, old: str, new: str) -> bool:
        done = self._git.ask(self._path, ("merge-base", "--is-ancestor", old, new))
        return done.returncode == 0

    def _merge_base(self, old: str, new: str) -> str:
        done = self._git.ask(self._path, ("merge-base", old, new))
        return done.out.strip() if done.returncode == 0 else ""

    def _list(self, base: str, head: str) -> list[_Raw]:
        """The commits of base..head, parents before children."""
        since = (f"^{base}",) if base else ()
        out = self._ask(
            "log", "--topo-order", "--reverse", f"--format={FORMAT}", head, *since, "--"
        )
        commits = []
        for line in out.decode("utf-8", "replace").splitlines():
            id, author, parents = line.split("\0")
            commits.append(_Raw(id, author, tuple(parents.split())))
        return commits

    # -------------------------------------------------------------------------- the two files

    def _version(self, id: str) -> Version:
        blobs = self._blobs([id])
        contents = self._contents(blobs.values())
        return self._as_version(id, blobs, contents)

    def _with_files(self, commits: Sequence[_Raw]) -> tuple[Commit, ...]:
        ids = dict.fromkeys(id for raw in commits for id in (raw.id, *raw.parents))
        blobs = self._blobs(ids)
        contents = self._contents(blobs.values())
        versions = {id: self._as_version(id, blobs, contents) for id in ids}
        return tuple(
            Commit(versions[raw.id], raw.author, tuple(versions[p] for p in raw.parents))
            for raw in commits
        )

    def _as_version(
        self,
        id: str,
        blobs: Mapping[tuple[str, File], str],
        contents: Mapping[str, bytes],
    ) -> Version:
        def content(file: File) -> bytes | None:
            blob = blobs.get((id, file))
            return None if blob is None else contents.get(blob)

        return Version(id, content(File.STATUS), content(File.REVIEW))

    def _blobs(self, commits: Iterable[str]) -> dict[tuple[str, File], str]:
        """The blob of each file at each commit, where there is one."""
        wanted = [(id, file) for id in commits for file in File]
        asked = "".join(f"{id}:{file}\n" for id, file in wanted)
        out = self._ask("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked.encode())
        found = {}
        for key, line in zip(wanted, out.decode("ascii", "replace").splitlines(), strict=True):
            blob, _, kind = line.partition(" ")
            if kind == "blob":
                found[key] = blob
        return found

    def _contents(self, blobs: Iterable[str]) -> dict[str, bytes]:
        """The first part of each blob; of a huge one no more than can count is read."""
        contents = {}
        for blob in dict.fromkeys(blobs):
            done = self._git.ask(self._path, ("cat-file", "blob", blob), limit=READ_LIMIT + 1)
            contents[blob] = done.stdout
        return contents
