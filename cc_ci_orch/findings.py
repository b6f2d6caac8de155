"""What a doctor's check says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing that a start needs."""

    what: str
    ok: bool
    found: str
    fix: str = ""
