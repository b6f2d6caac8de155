"""The process in the orchestrator's pane under opencode: a turn, then what shows it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cc_ci_orch.shell.child import Child

ANSWER = 10.0
"""Seconds for the server to say which conversations it has."""


def main(words: Sequence[str], env: Mapping[str, str]) -> int:
    """`BINARY URL TITLE [--model M] PROMPT`: run the turn; after one that ended well, become the
    program that shows its conversation. The status of one that didn't."""
    binary, url, title, *rest = words
    run = [binary, "run", "--attach", url, "--title", title, *rest]
    end = Child(run, env, Path.cwd()).wait()
    if end.signal is not None:
        return 128 + end.signal
    if end.code:
        return end.code
    found = newest(url, title, env)
    which = ["--session", found] if found else ["--continue"]
    os.execvpe(binary, [binary, "attach", url, *which], dict(env))


def newest(url: str, title: str, env: Mapping[str, str]) -> str | None:
    """The newest conversation of that title; None where the server doesn't tell."""
    from urllib.request import Request, urlopen  # slow to import

    user = env.get("OPENCODE_SERVER_USERNAME") or "opencode"
    password = env.get("OPENCODE_SERVER_PASSWORD")
    headers = {}
    if password:
        word = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers["Authorization"] = f"Basic {word}"
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        with urlopen(Request(f"{url.rstrip('/')}/session", headers=headers), timeout=ANSWER) as got:
            sessions = json.load(got)
        mine = [session for session in sessions if session["title"] == title]
        return str(max(mine, key=lambda session: session["time"]["created"])["id"])
    return None
