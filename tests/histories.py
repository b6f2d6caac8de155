"""A work branch in memory: commits, merges and force-pushes, and what the ledger makes of it."""

from __future__ import annotations

from collections.abc import Iterable

from cc_ci_orch.core.fold import advance
from cc_ci_orch.core.ledger import Commit, Ledger, Version, Violation, enter
from cc_ci_orch.core.standing import Standing, standing

IDENTITY = "cc-ci"
KEEP = "keep"


def section(*lines: str, phase: str = "1") -> str:
    """A file with one section."""
    return "\n".join(["# Notes", f"## Phase {phase}", *lines, ""])


class Branch:
    """The head can be anywhere; `poll` is the supervisor's look at it."""

    def __init__(self, *gates: str, phase: str = "1") -> None:
        self.gates = gates
        self.phase = phase
        self.commits: list[Commit] = []
        self.head = Version("none")
        self.ledger = enter(Ledger(), phase)

    def commit(
        self,
        who: str,
        status: str | None = KEEP,
        review: str | None = KEEP,
        on: Version | None = None,
        merge: Iterable[Version] = (),
    ) -> Version:
        """A commit on the head (or `on`), which becomes the head."""
        parent = on or self.head
        parents = (() if parent.id == "none" else (parent,)) + tuple(merge)
        number = len(self.commits) + 1
        version = Version(
            f"{number:07x}" + "0" * 33,
            parent.status if status == KEEP else status.encode() if status is not None else None,
            parent.review if review == KEEP else review.encode() if review is not None else None,
        )
        author = who if "@" in who else f"{who}@{IDENTITY}.invalid"
        self.commits.append(Commit(version, author, parents))
        self.head = version
        return version

    def builder(self, *lines: str) -> Version:
        return self.commit("builder", status=section(*lines, phase=self.phase))

    def adversary(self, *lines: str) -> Version:
        return self.commit("adversary", review=section(*lines, phase=self.phase))

    def ancestry(self, id: str) -> set[str]:
        found: set[str] = set()
        parents = {c.version.id: [p.id for p in c.parents] for c in self.commits}
        todo = [id] if id in parents else []
        while todo:
            found.add(todo[-1])
            todo += [p for p in parents[todo.pop()] if p not in found]
        return found

    def poll(self) -> tuple[Violation, ...]:
        """What `git rev-list --topo-order --reverse old..head` would list goes to the ledger."""
        new, old = self.ancestry(self.head.id), self.ancestry(self.ledger.head)
        self.ledger, violations = advance(
            self.ledger,
            [c for c in self.commits if c.version.id in new - old],
            self.head,
            IDENTITY,
            rewritten=not old <= new,
        )
        return violations

    def look(self) -> Standing:
        """Poll, and say where the phase stands."""
        self.poll()
        return standing(self.ledger, self.phase, self.gates)
