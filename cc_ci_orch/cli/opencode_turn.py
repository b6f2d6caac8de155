"""The process in the orchestrator's pane under opencode: a turn, then what shows it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from cc_ci_orch.agents.opencode_account import failure
from cc_ci_orch.errors import FAILED
from cc_ci_orch.shell.child import Child
from cc_ci_orch.shell.opencode_api import of_server
from cc_ci_orch.shell.ports import CannotTell


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
    trouble = failed(url, found, env) if found else ""
    if trouble:
        print(f"the turn failed: {trouble}", flush=True)
        return FAILED
    which = ["--session", found] if found else ["--continue"]
    os.execvpe(binary, [binary, "attach", url, *which], dict(env))


def newest(url: str, title: str, env: Mapping[str, str]) -> str | None:
    """The newest conversation of that title; None where the server doesn't tell."""
    with suppress(CannotTell, ValueError, KeyError, TypeError, AttributeError):
        mine = [one for one in of_server(url, env).get("/session") if one["title"] == title]
        return str(max(mine, key=lambda session: session["time"]["created"])["id"])
    return None


def failed(url: str, conversation: str, env: Mapping[str, str]) -> str:
    """What its last message failed of; "" where it didn't, or the server doesn't tell.

    With `--attach`, a turn that an error of the model's API ended has the exit status 0, too
    (opencode 1.18.33). One that somebody interrupted has not failed.
    """
    with suppress(CannotTell, KeyError, TypeError, AttributeError, IndexError):
        path = f"/session/{quote(conversation, safe='')}/message"
        found = failure(of_server(url, env).get(path)[-1]["info"].get("error"))
        if found is not None and found.name != "MessageAbortedError":
            return found.text or found.name
    return ""
