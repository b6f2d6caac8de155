"""What `doctor` says of the agents' programs: login, set-up, a server elsewhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cc_ci_orch import config as configuration
from cc_ci_orch import doctor_agents

REPOSITORY = Path(__file__).resolve().parent.parent


def found(tmp_path: Path, **env: str) -> Mapping[str, tuple[bool, str]]:
    """Each check of the builder's, by its name."""
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "ORCH_ROOT": str(REPOSITORY)}
    state = {"ORCH_STATE": str(tmp_path / "state"), "ORCH_ROLES": "builder"}
    config = configuration.load({**home, **state, **env}, REPOSITORY)
    prefix = "agent of builder: "
    return {c.what.removeprefix(prefix): (c.ok, c.found) for c in doctor_agents.checks(config)}


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def test_claude_that_was_never_used_here(tmp_path: Path) -> None:
    seen = found(tmp_path, LOOP_BACKEND="claude", IS_SANDBOX="1")
    assert seen["login"] == (False, "not logged in")
    assert seen["set up"] == (False, "never run here")
    assert seen["trust"][0]


def test_claude_that_is_logged_in(tmp_path: Path) -> None:
    """By its own login, or by a key; a key in `.testenv` is one, too."""
    write(tmp_path / ".claude.json", {"hasCompletedOnboarding": True})
    write(tmp_path / ".claude" / ".credentials.json", {})
    seen = found(tmp_path, LOOP_BACKEND="claude", IS_SANDBOX="1")
    assert seen["login"] == (True, "logged in")
    assert seen["set up"] == (True, "done")
    seen = found(tmp_path, LOOP_BACKEND="claude", IS_SANDBOX="1", ANTHROPIC_API_KEY="sk-x")
    assert seen["login"] == (True, "by ANTHROPIC_API_KEY")


def test_a_folder_that_a_person_did_not_trust(tmp_path: Path) -> None:
    clone = (tmp_path / "state" / "clones" / "builder").resolve()
    refused = {str(clone): {"hasTrustDialogAccepted": False}}
    write(tmp_path / ".claude.json", {"projects": refused})
    seen = found(tmp_path, LOOP_BACKEND="claude", IS_SANDBOX="1")
    assert seen["trust"] == (False, "refused by a person")


OPENCODE = {"LOOP_BACKEND": "opencode", "LOOP_MODEL": "anthropic/claude-x"}


@pytest.mark.parametrize(
    ("auth", "env", "expected"),
    [
        ({}, OPENCODE, (False, "not logged in to anthropic")),
        ({"openai": {}}, OPENCODE, (False, "not logged in to anthropic")),
        ({"anthropic": {}}, OPENCODE, (True, "logged in to anthropic")),
        ({}, {**OPENCODE, "ANTHROPIC_API_KEY": "sk-x"}, (True, "by ANTHROPIC_API_KEY")),
        ({}, {**OPENCODE, "OPENCODE_CONFIG_CONTENT": "{}"}, (True, "by OPENCODE_CONFIG_CONTENT")),
        ({"openai": {}}, {"LOOP_BACKEND": "opencode"}, (True, "logged in to openai")),
        ({}, {"LOOP_BACKEND": "opencode"}, (True, "none stored: a model that needs none, or")),
    ],
)
def test_opencode_and_its_logins(
    tmp_path: Path, auth: object, env: Mapping[str, str], expected: tuple[bool, str]
) -> None:
    """Only a provider that the model names can be missing: some models need no login."""
    write(tmp_path / ".local" / "share" / "opencode" / "auth.json", auth)
    ok, text = found(tmp_path, **env)["login"]
    assert ok is expected[0] and text.startswith(expected[1])


def test_opencode_with_a_provider_of_the_users_own(tmp_path: Path) -> None:
    write(tmp_path / ".config" / "opencode" / "opencode.json", {"provider": {"anthropic": {}}})
    assert found(tmp_path, **OPENCODE)["login"][0]


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

        def do_GET(self) -> None:
            login = self.headers.get("authorization")
            self.send_response(200 if login else 401)
            self.end_headers()
            self.wfile.write(b"{}")

    made = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_an_opencode_server_elsewhere(tmp_path: Path, server: HTTPServer) -> None:
    """It answers, refuses us, or isn't there."""
    env = {**OPENCODE, "OPENCODE_URL": f"http://127.0.0.1:{server.server_port}"}
    assert found(tmp_path, **env)["server"] == (False, "its API answers 401")
    well = found(tmp_path, **env, OPENCODE_SERVER_PASSWORD="a-long-password")
    assert well["server"] == (True, "answers")
    nobody = {**OPENCODE, "OPENCODE_URL": "http://127.0.0.1:1"}
    assert found(tmp_path, **nobody)["server"] == (False, "nobody listens at its API")
