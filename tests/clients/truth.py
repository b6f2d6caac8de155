"""The watchdog's judgement against the truth: the real Claude Code in each state, 20 looks each.

    .venv/bin/python -m tests.clients.truth [LOOKS]     writes docs/liveness-claude.md

Each state is brought about by the fake model; `status` is asked at random moments once the
state has lasted long enough to be told. As root it runs without any network but loopback.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.clients.claude_instance import ClaudeInstance
from tests.clients.packages import Missing, provide
from tests.e2e.instance import REPOSITORY, copied_program

STALL = 8
LIVENESS = ("working", "idle", "retrying", "limited", "blocked", "stalled")
SUBSCRIBER = {"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-fake"}
QUOTE = "You've hit your 5-hour limit · resets 6:51pm (UTC)"


def nothing(it: ClaudeInstance) -> None:
    """No further preparation."""


def ask_first(it: ClaudeInstance) -> None:
    """The user wants to be asked before some commands."""
    it.ask_before("Bash(touch:*)")


@dataclass(frozen=True)
class State:
    """`truth` is what it is; `after`: seconds until that can be known."""

    name: str
    truth: str
    behaviour: str
    after: float = 4
    settings: tuple[tuple[str, str], ...] = ()
    prepare: Callable[[ClaudeInstance], None] = nothing


KEYLESS = (("ANTHROPIC_API_KEY", ""),)
MEMBER = tuple(SUBSCRIBER.items())

STATES = (
    State("at its prompt", "idle", "ok"),
    State("a word every 5 s", "working", "slow 100 5", STALL),
    State("a silent tool", "working", "tool timeout 90 tail -f /dev/null", STALL),
    State("a tool that uses CPU", "working", "tool timeout 90 sh -c 'while :; do :; done'", STALL),
    State("the API never answers", "stalled", "hang 600", STALL + 2),
    State("silent in mid-stream", "stalled", "silent 600", STALL + 2),
    State("pings only", "stalled", "ping 600 1", STALL + 2),
    State("529, retried", "retrying", "529", STALL),
    State("500, retried", "retrying", "500", STALL),
    State("429 with retry-after", "retrying", "429 20", STALL),
    State("5-hour limit", "limited", "limit five_hour 7200", 4, MEMBER),
    State("weekly limit", "limited", "limit seven_day 400000", 6, MEMBER),
    State("a limit is quoted", "idle", f"ok {QUOTE}"),
    State("no credit", "blocked", "credit"),
    State("not logged in", "blocked", "ok", 4, KEYLESS),
    State("401, retried", "blocked", "401"),
    State("prompt too long", "blocked", "toolong"),
    State("permission prompt", "blocked", "tool touch made", 4, (), ask_first),
)


def looks(state: State, program: Path, binary: Path, count: int) -> Counter[str]:
    """What the watchdog says of that state, at random moments."""
    settings = {
        "ORCH_STALL_AFTER": f"{STALL}s",
        "ORCH_INTERRUPT_AFTER": "10m",
        "ORCH_IDLE_NUDGE_AFTER": "10m",
        **dict(state.settings),
    }
    it = ClaudeInstance(program, binary, **settings)
    try:
        state.prepare(it)
        it.behave(state.behaviour)
        it.start()
        it.until(it.prompts)
        time.sleep(state.after)
        found: Counter[str] = Counter()
        for _ in range(count):
            time.sleep(random.uniform(0.1, 1.5))
            found[it.liveness()] += 1
        return found
    finally:
        it.end()


def page(
    found: Mapping[State, Counter[str]],
    count: int,
    client: str,
    version: str,
    stall: int,
    module: str,
) -> str:
    """The table in Markdown."""
    lines = [
        f"# The judgement against the truth: {client}",
        "",
        f"{client} {version}, the real client in tmux before a fake model, {count} looks at random",
        f"moments in each state, `stall_after` {stall} s. Made by",
        f"`.venv/bin/python -m {module}`.",
        "",
        "| state | truth | " + " | ".join(LIVENESS) + " | other |",
        "|---|---|" + "---|" * (len(LIVENESS) + 1),
    ]
    for state, seen in found.items():
        cells = [str(seen[name] or "") for name in LIVENESS]
        other = sum(seen.values()) - sum(seen[name] for name in LIVENESS)
        cells = [f"**{c}**" if n == state.truth and c else c for n, c in zip(LIVENESS, cells)]  # noqa: B905
        lines.append(f"| {state.name} | {state.truth} | {' | '.join(cells)} | {other or ''} |")
    right = sum(seen[state.truth] for state, seen in found.items())
    total = sum(map(sum, (seen.values() for seen in found.values())))
    wrong = sum(seen["stalled"] for state, seen in found.items() if state.truth != "stalled")
    lines += ["", f"{right} of {total} looks right; called stalled without being it: {wrong}.", ""]
    return "\n".join(lines)


def isolate(module: str, count: int) -> None:
    """As root: run the module again without any network but loopback, and end with it."""
    if os.geteuid() == 0 and "TRUTH_INSIDE" not in os.environ:
        inside = ["sh", "-c", 'ip link set lo up && exec "$0" "$@"', sys.executable, "-m"]
        alone = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        argv = [*alone, *inside, module, str(count)]
        env = {**os.environ, "TRUTH_INSIDE": "1"}
        sys.exit(subprocess.run(argv, cwd=REPOSITORY, env=env, check=False).returncode)


def wanted() -> int:
    """How many looks were asked for."""
    return int(sys.argv[1]) if len(sys.argv) > 1 else 20


def measure(
    client: str,
    title: str,
    module: str,
    states: Sequence[State],
    looks: Callable[[State, Path, Path, int], Counter[str]],
    stall: int,
) -> None:
    """All states, two at a time; the page is written anew after each. `client` is its name among
    the packages, `title` its name for people, `module` the one that was called."""
    count = wanted()
    isolate(module, count)
    try:
        binary = provide(client)
    except Missing as why:
        sys.exit(str(why))
    told = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=True)
    version, found = told.stdout.split()[0], {}
    with copied_program() as program, ThreadPoolExecutor(2) as pool:
        work = {state: pool.submit(looks, state, program, binary, count) for state in states}
        for state, future in work.items():
            try:
                found[state] = future.result()
            except (AssertionError, OSError, LookupError, subprocess.SubprocessError) as error:
                # the others are worth knowing
                print(f"{state.name}: not brought about: {error!r}", flush=True)
                continue
            print(f"{state.name}: {state.truth}: {dict(found[state])}", flush=True)
            text = page(found, count, title, version, stall, module)
            (REPOSITORY / "docs" / f"liveness-{client}.md").write_text(text)


if __name__ == "__main__":
    measure("claude", "Claude Code", "tests.clients.truth", STATES, looks, STALL)
