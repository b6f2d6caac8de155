"""The supervisor's own mirror of the work branch: what is new on it, for the ledger.

A look at the remote is one `git ls-remote`; only when the head has moved is anything fetched.
The mirror keeps every head that it ever saw, so that a rewritten history can be compared with
what it replaced, and nothing that was seen is lost to git's housekeeping. It can be made anew
from the remote at any time; a damaged one is set aside.

What the repository holds is untrusted, and git is told what it could otherwise be talked into
by a commit or by somebody's configuration: not to re-encode authors, not to prune.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cc_ci_orch.core.ledger import Commit, Version
from cc_ci_orch.core.news import News
from cc_ci_orch.core.protocol import READ_LIMIT, File, essence
from cc_ci_orch.errors import OrchError
from cc_ci_orch.shell.git import CLONE_TIMEOUT, Git, reason
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.run import Done

SEEN = "refs/orch/seen"

PORTION = 16 * 1024 * 1024
"""Bytes of files that are read from the mirror, and held, at once."""

LOOK_TIMEOUT = 60.0
"""Seconds for the look at the remote's head."""

_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class _Raw:
    """A commit as git lists it."""

    id: str
    author: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class _Blob:
    """The content of a file: what git calls it, its size, and which of the two files it is."""

    id: str
    size: int
    file: File


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
                raise CannotTell(f"it has no branch {self._ref.removeprefix('refs/heads/')}")
            return None
        if head == known:
            return None
        self._make(head)
        try:
            return self._news(known, head)
        except CannotTell:
            if not self._is_sound():
                raise CannotTell(f"its mirror was damaged: {self._set_aside()}") from None
            raise

    def _news(self, known: str, head: str) -> News:
        self._fetch(head)
        # All of the head's history is here now: what isn't, is no part of it.
        base = known if known and self._has(known) else ""
        commits = self._with_files(self._list(base, head))
        return News(
            since=known,
            head=self._versions([head])[head],
            commits=commits,
            rewritten=bool(known) and not (base and self._is_ancestor(known, head)),
        )

    # ----------------------------------------------------------------------------- the mirror

    def _make(self, head: str) -> None:
        """Have a mirror that can hold commits of that kind."""
        format = "sha1" if len(head) == 40 else "sha256"
        if self._path.exists():
            found = self._run("rev-parse", "--show-object-format")
            if found.returncode < 0 or found.out.strip() == format:
                return
            self._set_aside()
        try:
            self._git.make_bare(self._path, "mirror", format)
        except OrchError as error:
            raise CannotTell(error.message) from None

    def _is_sound(self) -> bool:
        """False only if git says so: one that was killed says nothing."""
        whole = ("fsck", "--connectivity-only", "--no-dangling", "--no-progress")
        return self._run(*whole).returncode <= 0

    def _set_aside(self) -> Path:
        date = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        aside = self._path.with_name(f"{self._path.name}.damaged-{date}")
        try:
            return self._path.rename(aside)
        except OSError as error:
            raise CannotTell(f"can't set {self._path} aside: {error.strerror}") from None

    def _run(self, *argv: str, stdin: bytes = b"", limit: int | None = None) -> Done:
        """git in the mirror, and in no repository that it may lie in."""
        whole = ("--git-dir=.", *argv)
        return self._git.ask(self._path, whole, stdin=stdin, timeout=CLONE_TIMEOUT, limit=limit)

    def _ask(self, *argv: str, stdin: bytes = b"") -> bytes:
        return _checked(self._run(*argv, stdin=stdin)).stdout

    def _yes_or_no(self, *argv: str, no: Sequence[int]) -> bool:
        done = self._run(*argv)
        return done.returncode not in no and _checked(done).returncode == 0

    # ----------------------------------------------------------------------------- commits

    def _remote_head(self) -> str | None:
        """The id of the branch's head; None where there is no such branch."""
        # Not in the mirror: that may hold commits of another kind, or not be there.
        look = ("ls-remote", "--", self._url, self._ref)
        done = _checked(self._git.ask(Path("/"), look, timeout=LOOK_TIMEOUT))
        for line in done.out.splitlines():
            id, _, ref = line.partition("\t")
            if ref == self._ref and _ID.fullmatch(id):
                return id
        return None

    def _fetch(self, head: str) -> None:
        self._ask(
            *("-c", "gc.auto=0", "-c", "maintenance.auto=false"),
            *("fetch", "--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules"),
            *("--no-write-fetch-head", "--update-shallow"),
            *("--", self._url, f"+{self._ref}:{SEEN}/{head}"),
        )

    def _has(self, id: str) -> bool:
        return self._yes_or_no("cat-file", "-e", f"{id}^{{commit}}", no=(1, 128))

    def _is_ancestor(self, old: str, new: str) -> bool:
        return self._yes_or_no("merge-base", "--is-ancestor", old, new, no=(1,))

    def _list(self, base: str, head: str) -> list[_Raw]:
        """The commits of the head's history that are not of the base's, parents first."""
        out = self._ask(
            *("rev-list", "--topo-order", "--reverse", "--encoding=none"),
            *("--format=%H %P%x09%ae", head, *([f"^{base}"] if base else []), "--"),
        )
        commits = []
        for line in out.decode("utf-8", "replace").split("\n"):
            ids, tab, author = line.partition("\t")  # the other lines only name the commit
            if tab:
                id, *parents = ids.split()
                commits.append(_Raw(id, author, tuple(parents)))
        return commits

    # -------------------------------------------------------------------------- the two files

    def _with_files(self, commits: Sequence[_Raw]) -> tuple[Commit, ...]:
        ids = dict.fromkeys(id for raw in commits for id in (raw.id, *raw.parents))
        versions = self._versions(ids)
        return tuple(
            Commit(versions[raw.id], raw.author, tuple(versions[p] for p in raw.parents))
            for raw in commits
        )

    def _versions(self, commits: Iterable[str]) -> Mapping[str, Version]:
        """The files at each commit, less what never counts."""
        ids = list(commits)
        blobs = self._blobs(ids)
        texts = self._texts(dict.fromkeys(blobs.values()))

        def text(id: str, file: File) -> bytes | None:
            blob = blobs.get((id, file))
            return None if blob is None else texts[blob]

        return {id: Version(id, text(id, File.STATUS), text(id, File.REVIEW)) for id in ids}

    def _blobs(self, commits: Iterable[str]) -> dict[tuple[str, File], _Blob]:
        """The content of each file at each commit, where there is such a file."""
        wanted = [(id, file) for id in commits for file in File]
        asked = "".join(f"{id}:{file}\n" for id, file in wanted)
        check = "--batch-check=%(objectname) %(objecttype) %(objectsize)"
        out = self._ask("cat-file", check, stdin=asked.encode())
        found = {}
        for (commit, file), line in zip(wanted, out.decode("ascii").splitlines(), strict=True):
            words = line.split()
            if len(words) == 3 and words[1] == "blob":
                found[commit, file] = _Blob(words[0], int(words[2]), file)
        return found

    def _texts(self, blobs: Iterable[_Blob]) -> dict[_Blob, bytes]:
        """What counts in each, and a last line that differs where anything else does."""
        texts = {}
        for portion in _portions(blobs):
            for blob, content in zip(portion, self._contents(portion), strict=True):
                texts[blob] = essence(content, blob.file) + f"\nblob {blob.id}".encode()
        return texts

    def _contents(self, blobs: Sequence[_Blob]) -> Iterator[bytes]:
        """The first part of each; of a huge one no more than can count is read."""
        if blobs[0].size > PORTION:
            yield self._run("cat-file", "blob", blobs[0].id, limit=READ_LIMIT + 1).stdout
            return
        asked = "".join(f"{blob.id}\n" for blob in blobs)
        out = self._ask("cat-file", "--batch", stdin=asked.encode())
        at = 0
        for blob in blobs:
            at = out.index(b"\n", at) + 1
            yield out[at : at + blob.size]
            at += blob.size + 1


def _portions(blobs: Iterable[_Blob]) -> Iterator[list[_Blob]]:
    """So many at once as fit; a huge one by itself."""
    portion: list[_Blob] = []
    room = PORTION
    for blob in blobs:
        if portion and blob.size > room:
            yield portion
            portion, room = [], PORTION
        portion.append(blob)
        room -= blob.size
    if portion:
        yield portion


def _checked(done: Done) -> Done:
    """Done, if git did what it was told."""
    if done.returncode != 0:
        raise CannotTell(reason(done))
    return done
