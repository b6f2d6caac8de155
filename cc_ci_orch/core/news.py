"""What is new on the work branch, as the mirror found it."""

from __future__ import annotations

from dataclasses import dataclass

from cc_ci_orch.core.ledger import Commit, Version


@dataclass(frozen=True)
class News:
    """The branch has moved from `since` to `head`; `commits` came, oldest first."""

    since: str
    head: Version
    commits: tuple[Commit, ...]
    rewritten: bool = False
    """`since` is not an ancestor of `head`; the commits are those since their merge base."""
