"""What the agents of the demo read: a plan of two phases, and short prompts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PHASES = """\
[[phase]]
id = "counters"
title = "Two small counters"
plan = "phase-counters.md"
gates = ["words", "lines"]

[[phase]]
id = "release"
title = "A command and its manual"
plan = "phase-release.md"
gates = ["command", "manual"]
"""

COUNTERS = """\
# Two small counters

- words: `wordcount.py` prints how many words there are in what it reads
- lines: `linecount.py` prints how many lines there are in what it reads
"""

RELEASE = """\
# A command and its manual

- command: `count.py FILE…` prints the lines, the words and the name of each file; one that
  can't be read is named, exit 1
- manual: `MANUAL.md` has two examples, and they are true
"""

STANDING = """\
Phase {phase}: {phase_title}
Plan of this phase: {plan_file}
Gates: {gates}
Claims in STATUS.md now: {claims}
Verdicts in REVIEW.md now: {verdicts}
"""

PROMPTS: Mapping[str, str] = {
    "builder.md": f"You are the {{role}} of {{instance}}.\n{STANDING}",
    "adversary.md": f"You are the {{role}} of {{instance}}.\n{STANDING}",
    "resume.md": f"You were restarted, {{role}}.\n{STANDING}",
    "handover.md": "You take over, {role}: look at the repository first.",
    "nudge.md": "It is your turn, {role}: go on with phase {phase}.",
    "stalled.md": "Nothing has come from you for a long time, {role}: go on with phase {phase}.",
    "waiting.md": "A reminder, {role}: is all that you have done pushed?",
}


def write(root: Path) -> None:
    """Make the root folder of the instance."""
    files = {
        "plan/phases.toml": PHASES,
        "plan/plan.md": "# The plan of the demo\n\nSmall tools, each checked by another.\n",
        "plan/phase-counters.md": COUNTERS,
        "plan/phase-release.md": RELEASE,
        **{f"prompts/{name}": text for name, text in PROMPTS.items()},
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
