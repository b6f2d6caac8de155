"""Are the agents' programs ready to work without a person: logged in, set up, reachable?

Each check looks, and changes nothing. No model is asked anything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cc_ci_orch import seats
from cc_ci_orch.config import Config
from cc_ci_orch.doctor_host import user_name
from cc_ci_orch.findings import Check
from cc_ci_orch.seats import Seat
from cc_ci_orch.shell.opencode_api import of_server
from cc_ci_orch.shell.ports import CannotTell

ANSWER = 5.0
"""Seconds that an opencode server gets to answer."""


def checks(config: Config) -> Iterator[Check]:
    """All of them."""
    for seat in seats.seats(config):
        match seat.backend.name:
            case "claude":
                yield from _claude(config, seat)
            case "opencode":
                yield _opencode(config, seat)


def _claude(config: Config, seat: Seat) -> Iterator[Check]:
    """Login, and what the client asks a person before it works."""
    env = {**config.environment, **config.secrets}
    home = Path(env.get("HOME") or "/")
    own = env.get("CLAUDE_CONFIG_DIR")
    folder = Path(own) if own else home / ".claude"
    state = _json((folder if own else home) / ".claude.json")
    what = f"agent of {seat.name}"
    if os.getuid() == 0 and not env.get("IS_SANDBOX"):
        found = "claude refuses to run unattended as root"
        yield Check(f"{what}: user", False, found, "run the instance as a user of its own")
    by_key = [name for name in _LOGINS if env.get(name)]
    keeps = (folder / ".credentials.json").exists() or bool(state.get("oauthAccount"))
    keeps = keeps or bool(_json(folder / "settings.json").get("apiKeyHelper"))
    found = f"by {by_key[0]}" if by_key else "logged in" if keeps else "not logged in"
    fix = f"as {user_name()}: {seat.backend.program()}, then /login; or a key in .testenv"
    yield Check(f"{what}: login", bool(by_key) or keeps, found, fix)
    known = state.get("hasCompletedOnboarding") is True
    fix = f"as {user_name()}: {seat.backend.program()}, once, to its prompt"
    yield Check(f"{what}: set up", known, "done" if known else "never run here", fix)
    projects = state.get("projects")
    about = projects.get(os.path.realpath(seat.workdir)) if isinstance(projects, dict) else None
    refused = isinstance(about, dict) and about.get("hasTrustDialogAccepted") is False
    found = "refused by a person" if refused else "settled, or about to be by a start"
    fix = f"as {user_name()}: {seat.backend.program()} in {seat.workdir}, and trust the folder"
    yield Check(f"{what}: trust", not refused, found, fix)


_LOGINS = (
    *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    *("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"),
)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _opencode(config: Config, seat: Seat) -> Check:
    """Its server, where that is elsewhere; else what its user has logged in to."""
    what, env = f"agent of {seat.name}", {**config.environment, **config.secrets}
    if config.opencode_url is not None:
        try:
            of_server(config.opencode_url, env).get("/session/status", ANSWER)
        except CannotTell as error:
            fix = "start it (opencode serve), or see OPENCODE_URL and OPENCODE_SERVER_PASSWORD"
            return Check(f"{what}: server", False, str(error), fix)
        return Check(f"{what}: server", True, "answers")
    data = Path(env.get("XDG_DATA_HOME") or Path(env.get("HOME") or "/") / ".local" / "share")
    logins = _json(data / "opencode" / "auth.json")
    provider = (seat.role.model or "").partition("/")[0]
    keys = [name for name in env if name.endswith(("_API_KEY", "_AUTH_TOKEN")) and env[name]]
    own = [name for name in ("OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT") if env.get(name)]
    if provider in logins or (logins and not provider):
        found = f"logged in to {', '.join(sorted(logins))}"
    elif keys or own:
        found = f"by {(keys + own)[0]}"
    elif provider and not _configured(env, provider):
        fix = f"as {user_name()}: {seat.backend.program()} auth login; or a key in .testenv"
        return Check(f"{what}: login", False, f"not logged in to {provider}", fix)
    else:
        found = "none stored: a model that needs none, or a configuration of its own"
    return Check(f"{what}: login", True, found)


def _configured(env: Mapping[str, str], provider: str) -> bool:
    """Whether the user's own configuration names the provider."""
    home = Path(env.get("XDG_CONFIG_HOME") or Path(env.get("HOME") or "/") / ".config")
    for name in ("opencode.json", "opencode.jsonc", "config.json"):
        try:
            text = (home / "opencode" / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if f'"{provider}"' in text:
            return True
    return False
