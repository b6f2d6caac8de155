"""journal, reboots: the written hand-over."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
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
from cc_ci_orch.shell.records import EVENTS, timestamp
from cc_ci_orch.status import iso

LAST_BOOT = "boot_id"
"""The file in the state folder that says which boot was the last one known."""

TEMPLATE = """\
<!-- What happened, and why. The lines below `Open items` are what is left to do.
     Lines like this one are left out; an empty text writes nothing. -->


Open items

"""


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
    text = sys.stdin.buffer.read().decode("utf-8", "replace") if from_stdin else _edited()
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
    return 0


def _edited() -> str:
    """What a person writes in their editor."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise UsageError(
            "can't append to JOURNAL.md: EDITOR is not set",
            "echo 'What happened.' | ./launch.sh journal append -",
        )
    with tempfile.NamedTemporaryFile("w+", suffix=".md", encoding="utf-8") as file:
        file.write(TEMPLATE)
        file.flush()
        argv = [*shlex.split(editor), file.name]
        if os.spawnvp(os.P_WAIT, argv[0], argv) != 0:
            raise OrchError(f"can't append to JOURNAL.md: {argv[0]} failed, nothing is written")
        text = Path(file.name).read_text(encoding="utf-8", errors="replace")
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("<!--", "     ")))
    return "" if text.strip().lower() == "open items" else text


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
