"""What the demo agents build and check: for each gate the builder's commits, and the checks.

The gates of the demo's own plan have real jobs: two small tools, one of which is wrong at
first, a command that uses both, and its manual. Any other gate is a file that must be there.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """One commit of the builder. Its message tells it from all others."""

    path: str
    text: str
    message: str


@dataclass(frozen=True)
class Check:
    """A command that the adversary runs in its fresh clone, and what must come of it."""

    what: str
    argv: tuple[str, ...]
    out: str
    stdin: str = ""
    code: int = 0


@dataclass(frozen=True)
class Job:
    """A gate: what the builder commits at its first, second … attempt, and how it is checked."""

    attempts: tuple[tuple[Change, ...], ...]
    checks: tuple[Check, ...]

    def changes(self, attempt: int) -> tuple[Change, ...]:
        """The commits of that attempt; later ones than are known repeat the last."""
        return self.attempts[min(attempt, len(self.attempts)) - 1]


def job(phase: str, gate: str) -> Job:
    """The job of a gate."""
    return JOBS.get((phase, gate)) or _any(phase, gate)


def _any(phase: str, gate: str) -> Job:
    path, text = f"gates/{phase}-{gate}.txt", f"This is what gate {gate} of phase {phase} asks for."
    change = Change(path, f"{text}\n", f"{phase}/{gate}: write {path}")
    read = "import sys; print(open(sys.argv[1]).read(), end='')"
    return Job(((change,),), (Check(f"{path} says it", python("-c", read, path), f"{text}\n"),))


def python(*argv: str) -> tuple[str, ...]:
    """This Python, which leaves no files of its own."""
    return (sys.executable, "-B", *argv)


def _on_text(script: str, *cases: tuple[str, str, int]) -> tuple[Check, ...]:
    """Checks that give a text to a script, which prints a number."""
    argv = python(script)
    return tuple(Check(what, argv, f"{number}\n", stdin=text) for what, text, number in cases)


MAIN = """

if __name__ == "__main__":
    import sys

    print({name}(sys.stdin.read()))
"""

WORDS = '"""Counts the words of a text."""\n\n\ndef words(text: str) -> int:\n    return len({})\n'
NAIVE, RIGHT = WORDS.format('text.split(" ")'), WORDS.format("text.split()")

LINES = (
    '"""Counts the lines of a text."""\n\n\ndef lines(text: str) -> int:\n'
    "    return len(text.splitlines())\n"
)

COUNT = '''"""Counts the lines and words of files: count.py FILE…"""

import sys

from linecount import lines
from wordcount import words

for name in sys.argv[1:]:
'''
TRUSTING = """    text = open(name).read()
    print(lines(text), words(text), name)
"""
CAREFUL = """    try:
        text = open(name).read()
    except OSError as error:
        sys.exit(f"count.py: {name}: {error.strerror}")
    print(lines(text), words(text), name)
"""

SAMPLE = "Trust is good,\nchecking it in a fresh clone is better.\n"

MANUAL = """# count.py

Counts the lines and words of each file that it is given:

    $ count.py sample.txt
    2 11 sample.txt
"""
MORE_MANUAL = """
Several files, several lines:

    $ count.py sample.txt sample.txt
    2 11 sample.txt
    2 11 sample.txt
"""

TRY_EXAMPLES = r"""
import re, subprocess, sys
text = open("MANUAL.md").read()
examples = re.findall(r"    \$ (count\.py .*)\n((?:    [^$].*\n)+)", text)
for command, shown in examples:
    argv = [sys.executable, "-B", *command.split()]
    found = subprocess.run(argv, capture_output=True, text=True).stdout
    if found != re.sub("(?m)^    ", "", shown):
        sys.exit(f"{command}: the manual shows {shown!r}, but it prints {found!r}")
print(len(examples), "examples")
"""

JOBS: Mapping[tuple[str, str], Job] = {
    ("counters", "words"): Job(
        (
            (
                Change("wordcount.py", NAIVE, "words: count what stands between spaces"),
                Change("wordcount.py", NAIVE + MAIN.format(name="words"), "words: read a text"),
            ),
            (
                Change(
                    "wordcount.py",
                    RIGHT + MAIN.format(name="words"),
                    "words: any white space ends a word",
                ),
            ),
        ),
        _on_text(
            "wordcount.py",
            ("three words", "one two three", 3),
            ("two lines", "one two\nthree\n", 3),
            ("an empty text", "", 0),
            ("wide gaps", "  one   two ", 2),
        ),
    ),
    ("counters", "lines"): Job(
        (
            (
                Change("linecount.py", LINES, "lines: count them"),
                Change("linecount.py", LINES + MAIN.format(name="lines"), "lines: read a text"),
            ),
        ),
        _on_text(
            "linecount.py",
            ("two lines", "one\ntwo\n", 2),
            ("no newline at the end", "one\ntwo", 2),
            ("an empty text", "", 0),
            ("empty lines", "\n\n\n", 3),
        ),
    ),
    ("release", "command"): Job(
        (
            (
                Change("sample.txt", SAMPLE, "command: a text to try it on"),
                Change("count.py", COUNT + TRUSTING, "command: count lines and words of files"),
                Change("count.py", COUNT + CAREFUL, "command: say which file can't be read"),
            ),
        ),
        (
            Check("one file", python("count.py", "sample.txt"), "2 11 sample.txt\n"),
            Check(
                "a file twice",
                python("count.py", "sample.txt", "sample.txt"),
                "2 11 sample.txt\n" * 2,
            ),
            Check("a missing file", python("count.py", "nowhere.txt"), "", code=1),
        ),
    ),
    ("release", "manual"): Job(
        (
            (
                Change("MANUAL.md", MANUAL, "manual: what it prints"),
                Change("MANUAL.md", MANUAL + MORE_MANUAL, "manual: several files"),
            ),
        ),
        (Check("its examples are true", python("-c", TRY_EXAMPLES), "2 examples\n"),),
    ),
}
"""The jobs of the demo's own plan, by phase and gate."""
