"""tmux's language, written so that it means what it says.

- In a word, each byte that tmux's parser could take for syntax is an octal escape.
- In some words tmux also expands formats (`#{…}`, `#(…)` runs a command): the start folder and
  the command of a pipe, where it goes through strftime before that. There `literal` comes first.
- An agent gets the environment of its `Launch` and TERM, whatever the server carries.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from cc_ci_orch.shell.ports import Launch

# All that the server may know of our environment: enough for the windows that a person opens.
KEPT = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "USER")
_OF_TMUX = ("TMUX", "TMUX_PANE", "TERM_PROGRAM", "TERM_PROGRAM_VERSION")
# tmux sets these over what `-e` says: PATH from its client, the others in some versions.
_OVERRIDDEN = ("COLORTERM", "PATH", "SHELL")
_OF_SH = ("OLDPWD", "SHLVL")


def word(text: str) -> str:
    """One word of tmux's language that stands for exactly this text (without NUL)."""
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:=@%+,-"
    escaped = (chr(byte) if byte in plain else f"\\{byte:03o}" for byte in os.fsencode(text))
    return '"' + "".join(escaped) + '"'


def literal(text: str) -> str:
    """What expands to this text where tmux expands formats."""
    # `#` stands for itself as `##`, except right before `[`, where tmux takes it for a style
    # and leaves all of it alone.
    return re.sub(r"#+(?![#\[])", lambda hashes: hashes.group() * 2, text)


def agent_words(launch: Launch) -> str:
    """`-e …  -c … -- …`: what respawn-pane and new-session both take."""
    env = [f"-e {word(f'{name}={value}')}" for name, value in launch.env.items() if name != "TERM"]
    argv = ("sh", "-c", _prelude(launch.env), "sh", *launch.argv)
    cwd = word(literal(os.path.abspath(launch.cwd)))
    return " ".join([*env, "-c", cwd, "--", *map(word, argv)])


def _prelude(env: Mapping[str, str]) -> str:
    """A shell script: undo what tmux and the shell do to the environment, become the agent.

    (A shell may drop variables whose names it could not have set itself, like `a.b`.)
    """
    absent = (name for name in (*KEPT, *_OVERRIDDEN, *_OF_SH) if name not in env)
    restored = [f"export {n}={shlex.quote(env[n])}" for n in _OVERRIDDEN if n in env]
    unset = "unset " + " ".join(sorted({*_OF_TMUX, *absent}))
    return "; ".join([unset, *restored, 'exec "$@"'])


def pipe_command(target: str, log: Path | None) -> str:
    """The command that appends a pane's output to `log`, or ends that; `target` is a word."""
    if log is None:
        return f"pipe-pane -t {target}"
    command = f"exec cat >> {shlex.quote(os.path.abspath(log))}"
    return f"pipe-pane -t {target} {word(literal(command.replace('%', '%%')))}"
