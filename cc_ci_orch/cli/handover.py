"""journal, reboots: the written hand-over."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path

from cc_ci_orch import places
from cc_ci_orch.cli import looking
from cc_ci_orch.cli.compose import Instance
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.core import journal as journals
from cc_ci_orch.core.events import Name
from cc_ci_orch.core.times import UNKNOWN_BOOT
from cc_ci_orch.errors import OrchError, UsageError
from cc_ci_orch.shell import prose
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.shell.private import open_private
from cc_ci_orch.shell.records import EVENTS, timestamp
from cc_ci_orch.status import iso

LAST_BOOT = "boot_id"
"""The file in the state folder that says which boot was the last one known."""

DRAFT = "journal-draft"
"""Begins the name of the file in the state folder in which a person writes an entry."""

TEMPLATE = """\
<!-- What happened, and why. The lines below `Open items` are what is left to do.
     This comment is left out; an empty text writes nothing. -->


Open items

"""

_COMMENT = re.compile(r"\A\s*<!--.*?-->", re.DOTALL)


# ----------------------------------------------------------------------------------- journal


def journal(call: Call) -> int:
    """Show the newest entry of JOURNAL.md, or append one."""
    if call.args.what == "append":
        return _append(call, from_stdin=call.args.stdin or not sys.stdin.isatty())
    entry = journals.newest_entry(prose.read(call.config.root / "JOURNAL.md"))
    if entry is None:
        raise OrchError("JOURNAL.md has no entry yet", "./launch.sh journal append")
    call.out(entry, end="")
    return 0


def _append(call: Call, *, from_stdin: bool) -> int:
    if from_stdin:
        _add(call, sys.stdin.buffer.read().decode("utf-8", "replace"))
        return 0
    places.prepare_state(call.config.state)
    draft = call.config.state / f"{DRAFT}-{os.getpid()}.md"
    try:
        text = _edited(draft)
        _add(call, text)
    except UsageError:
        draft.unlink(missing_ok=True)
        raise
    except (OrchError, OSError) as error:
        if not draft.exists():
            raise
        why = error.message if isinstance(error, OrchError) else str(error)
        raise OrchError(why, f"what you wrote is kept: {draft}") from None
    draft.unlink(missing_ok=True)
    return 0


def _add(call: Call, text: str) -> None:
    if not text.strip():
        raise UsageError("can't append to JOURNAL.md: there is no text")
    places.prepare_state(call.config.state)
    path = call.config.root / "JOURNAL.md"
    status = looking.current_state(call)
    wall = Instance(call.config, call.program_root).clock.wall()

    def add(before: str) -> str:
        since = journals.newest_time(before)
        state = journals.current_state(status, _restarts(call.config.state / EVENTS, since))
        title = call.args.title or "Hand-over"
        entry = journals.entry(wall, call.config.mask(title), call.config.mask(text), state)
        return journals.appended(before, entry, blank_line=True)

    prose.change(path, Lock(call.config.state / "journal.lock"), add)
    call.say(f"appended to {path}")


def _edited(draft: Path) -> str:
    """What a person writes in their editor, in that file; it stays."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise UsageError(
            "can't append to JOURNAL.md: EDITOR is not set",
            "echo 'What happened.' | ./launch.sh journal append -",
        )
    os.close(open_private(draft, os.O_WRONLY | os.O_TRUNC))
    draft.write_text(TEMPLATE, encoding="utf-8")
    argv = [*shlex.split(editor), str(draft)]
    failed = os.spawnvp(os.P_WAIT, argv[0], argv) != 0
    try:
        text = draft.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    text = _COMMENT.sub("", text)
    unchanged = text.strip().lower() in ("", "open items")
    if unchanged:
        draft.unlink()
    if failed:
        raise OrchError(f"can't append to JOURNAL.md: {argv[0]} failed, nothing is written")
    return "" if unchanged else text


def _restarts(events: Path, since: float | None) -> int:
    """How often a session was healed since that time."""
    start = timestamp(since) if since is not None else ""
    healed = Name.SESSION_HEALED.value
    count = 0
    for line in prose.read(events).splitlines():
        try:
            event = json.loads(line)
            count += event["event"] == healed and event["t"] >= start
        except (ValueError, KeyError, TypeError):
            continue
    return count


# ----------------------------------------------------------------------------------- reboots


def reboots(call: Call) -> int:
    """Show REBOOTS.md's entries, or record this boot if it is new."""
    if call.args.what == "record":
        places.prepare_state(call.config.state)
        new = record_reboot(Instance(call.config, call.program_root))
        call.say("a new boot is recorded" if new else "no new boot")
        return 0
    for reboot in journals.reboots(prose.read(call.config.root / "REBOOTS.md")):
        call.out(reboot.line, end="")
    return 0


def record_reboot(instance: Instance) -> bool:
    """Add this boot to REBOOTS.md if it is not the last one known; whether it was added.

    The first start on a host knows no earlier boot and records nothing but that.
    """
    boot = instance.boot_id()
    if boot == UNKNOWN_BOOT:
        raise OrchError(f"can't read the boot id: {instance.config.boot_id_file}")
    state = instance.config.state
    memory = instance.memory_file.peek()
    phase = memory.course.phase if memory else ""

    def add(before: str) -> str | None:
        known = prose.read(state / LAST_BOOT).strip()
        logged = journals.reboots(before)
        previous = known or (logged[-1].boot_id if logged else "")
        if previous in ("", boot):
            return None
        when = iso(instance.clock.wall()) or ""
        line = journals.Reboot(when, boot, previous, phase or "-").line
        return journals.appended(before, line, blank_line=False)

    lock = Lock(state / "journal.lock")
    added = prose.change(instance.config.root / "REBOOTS.md", lock, add)
    instance.store.write(state / LAST_BOOT, boot + "\n")
    return added
