"""What can't work ends the evaluation, with the option, the value and what would be accepted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cc_ci_orch import places, values
from tests.nix.tool import LIBRARIES, STAND_IN, evaluate, machine, needs_nix

pytestmark = [needs_nix, pytest.mark.parametrize("library", LIBRARIES)]

FAILED = "map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions)"

GOOD = [
    "{ enable = true; }",
    "{ enable = true; name = ''a''; user = ''_worker-1''; home = ''/home/a.b''; }",
    "{ enable = true; root = ''/srv/x''; state = ''/var/lib/.hidden/x_1''; }",
    """{
      enable = true;
      settings = {
        loop_backend = "command";
        builder_backend = null;
        code_reader_backend = "demo";
        work_repo = "https://forge.example/a@b/c.git";
        role = [ { name = "code-reader"; prompt = "reader.md"; backend = "opencode"; } ];
        watchdog = { poll = "5s"; max_restarts = 3; };
      };
      environment = { WORK_REPO = "git@forge.example:team/product.git"; _X1 = "a=b \\"c\\""; };
      environmentFile = "/run/secrets/cc-ci.env";
      secretsFile = "/run/secrets/testenv";
    }""",
    "{ enable = true; socket = ''/run/user/1000/s''; }",
    f"{{ enable = true; socket = ''/{'s' * (places.SOCKET_MAX - 1)}''; }}",
]

BAD = [
    ("name = ''CC''", 'name: "CC" is no name; accepted: a lower-case letter'),
    ("name = ''''", 'name: "" is no name'),
    ("name = ''1st''", "name:"),
    (f"name = ''{'n' * 33}''", "name:"),
    ("root = ''opt/x''", 'root: "opt/x" is not usable; accepted: an absolute path'),
    ("root = ''/opt/../etc''", "root:"),
    ("root = ''/opt/x/''", "root:"),
    ("root = ''/opt/a b''; state = ''/s''", "root:"),
    ("root = ''/''; state = ''/s''", "root:"),
    ("state = ''.orch''", "state:"),
    ("state = ''/var/lib/50%''", "state:"),
    ("home = ''~''", "home:"),
    ("user = ''root''", "user: agents run with all rights of their user"),
    ("user = ''A B''", "user, group:"),
    ("group = ''-x''", "user, group:"),
    (
        "settings.loop_backend = ''gpt''",
        'settings: loop_backend = "gpt": there is no such backend; ',
    ),
    ("settings.reader_backend = 3", "settings: reader_backend = 3: there is no such backend"),
    ("settings.role = [ { name = ''x''; backend = ''Claude''; } ]", 'role.backend = "Claude"'),
    ("settings.orch_state = ''/x''", "use the options services.cc-ci-orch.state"),
    ("settings.orch_root = ''/x''", "use the options services.cc-ci-orch.root"),
    ("settings.watchdog.poll = (x: x)", "orch.toml can't hold them: watchdog.poll is a lambda"),
    ("settings.role = [ null ]", "orch.toml can't hold them: an entry of role is a null"),
    ("settings.work_repo = ''https://me:hunter2@forge.example/x''", "work_repo: an address with a"),
    ("environment.NOTIFY_URL = ''https://u:p@ntfy.example/t''", "NOTIFY_URL: an address with a"),
    ("environment.ORCH_ROOT = ''/x''", "environment: ORCH_ROOT: no variable's name, set by"),
    ("environment.PATH = ''/x''", "environment: PATH:"),
    ("environment.\"A-B\" = ''''", "environment: A-B:"),
    ('environment.TWO = "a\\nb"', "environment: TWO:"),
    ("secretsFile = ./testenv", "secretsFile: "),
    ("secretsFile = ''/nix/store/x''", "secretsFile: /nix/store/x is in the store, where"),
    ("environmentFile = ''/nix/store/x''", "environmentFile: /nix/store/x is in the store, where"),
    ("environmentFile = ''/run/a b''", "environmentFile:"),
    ("socket = ''run/x''", "socket:"),
    (f"socket = ''/{'s' * places.SOCKET_MAX}''", "socket: 101 bytes; accepted: a path of at most"),
]


@pytest.mark.parametrize("options", GOOD)
def test_nothing_is_said_of_what_can_work(library: Path, options: str) -> None:
    """A machine that can be built is not refused."""
    assert machine(library, options, FAILED) == []


@pytest.mark.parametrize(("options", "message"), BAD)
def test_what_cannot_work_is_refused(library: Path, options: str, message: str) -> None:
    """By one message, which begins with the option and tells what is accepted."""
    if "./" in options:  # a path as a flake has it: a copy in the store
        options = options.replace("./testenv", "(builtins.storeDir + ''/x-source/testenv'')")
    (said,) = machine(library, f"{{ enable = true; {options}; }}", FAILED)
    assert said.startswith("services.cc-ci-orch.")
    assert message in said


def test_a_password_is_not_repeated(library: Path) -> None:
    """A build's log is read by others."""
    options = "{ enable = true; settings.notify_url = ''https://me:hunter2@ntfy.example/x''; }"
    (said,) = machine(library, options, FAILED)
    assert "hunter2" not in said


def test_it_refuses_the_names_that_the_program_refuses(library: Path) -> None:
    """The module's idea of a name and of a backend is the program's own."""
    tried = ["a", "a-", "-a", "A", "aé", "a" * 32, "a" * 33, "a_b", "a.b", "9", "cc-ci", "a\\n", ""]
    quoted = " ".join(f'"{name}"' for name in tried)
    accepted = evaluate(
        f"""
        let
          lib = import {library};
          said = name: (import {STAND_IN}/nixos-system.nix {{ inherit lib; }} {{
            modules = [ {STAND_IN.parents[2]}/nix/module.nix
              {{ services.cc-ci-orch = {{ enable = true; inherit name; }}; }} ];
          }}).config.assertions;
          fine = name: (builtins.head (said name)).assertion;
        in
        map fine [ {quoted} ]
        """
    )
    assert accepted == [_is_name(name.replace("\\n", "\n")) for name in tried]
    (said,) = machine(library, "{ enable = true; settings.loop_backend = ''x''; }", FAILED)
    assert said.endswith(f"accepted: {', '.join(values.BACKENDS)}")


def test_a_failed_assertion_ends_the_build(library: Path) -> None:
    """NixOS throws what failed, before it builds anything."""
    with pytest.raises(AssertionError, match=re.escape('name: "X" is no name')):
        options = "{ enable = true; name = ''X''; }"
        machine(library, options, "config.system.build.toplevel.drvPath")


def _is_name(text: str) -> bool:
    try:
        values.name(text)
    except ValueError:
        return False
    return True
