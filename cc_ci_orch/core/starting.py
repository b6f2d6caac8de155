"""Starting a process: with which conversation, which first prompt, and what if it can't be.

A conversation is resumed where it was begun under the same backend and nothing speaks against
it; else a fresh one begins. What stands outside the loops gets its first prompt at each start.
The start itself is the shell's; its outcome comes back here.
"""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core import healing, inbox
from cc_ci_orch.core.actions import Notify, StartSession
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import (
    FileStamp,
    ProcessId,
    Prompt,
    PromptKind,
    RoleMemory,
    RoleSpec,
    Then,
    Typing,
)
from cc_ci_orch.core.step import Moment, Step
from cc_ci_orch.core.text import span

UNSEEN = ProcessId(0, 0)
"""A process that was started, and gone before anybody saw it: its death will be noticed."""


def begin_process(
    mem: RoleMemory, process: ProcessId | None, now: float, log: FileStamp | None = None
) -> RoleMemory:
    """The memory of a role whose new process is alive from now on.

    `log`: what its log was before it started; None where that isn't known.
    """
    return replace(
        mem,
        process=process,
        started_at=now,
        starting=False,
        start_trouble="",
        mode=None,
        next_attempt=None,
        exit=None,
        begun=True,
        lost=None,
        healing=None,
        typed=False,
        progress_at=None,
        marks={},
        cpu=None,
        log=log,
        log_at=now,
        echo=0,
        retrying_at=None,
        interrupting=None,
        idle_nudges=0,
        nudged_at=None,
    )


def start(result: Step, spec: RoleSpec, at: Moment, why: str, by: str) -> Step:
    """Start the role's process, resuming its conversation where that can be done."""
    replaced = result.mem.died_at > 0
    mem, keep = _choose_conversation(result.mem, spec, at)
    conversation = mem.conversation or ""
    resume = keep and mem.begun and spec.resumable
    lost = mem.lost if by == "watchdog" else None
    if spec.apart:
        prompt = Prompt(PromptKind.KICKOFF)
    elif resume:
        prompt = Prompt(PromptKind.RESUME)
    elif replaced and by == "watchdog":
        prompt = Prompt(PromptKind.HANDOVER)
    else:
        prompt = Prompt(PromptKind.KICKOFF)
    prompt = replace(prompt, more=inbox.prompt(mem).text)
    names = tuple(handoff.name for handoff in mem.inbox)
    mem = replace(mem, starting=True, starting_at=at.now, resumed=resume, tried=True, typing=None)
    typed = spec.types_first or (resume and spec.types_resumed)
    if typed or names:
        given = not typed
        known = mem.submissions if resume else 0
        first = Typing(
            prompt,
            "its first prompt",
            silent=True,
            given=given,
            handoffs=names,
            submissions=known,
        )
        mem = replace(mem, typing=first)
    healed = replaced and by == "watchdog"
    event = Event(
        Name.SESSION_HEALED if healed else Name.SESSION_STARTED,
        f"{why}; its conversation is lost, a fresh one begins" if lost else why,
        role=spec.name,
        by=by,
        evidence={
            "conversation": conversation,
            "resumed": resume,
            "lost_conversation": lost,
            "down_s": round(at.now - mem.died_at, 3) if replaced else None,
            "restarts": mem.restarts,
        },
    )
    action = StartSession(
        spec.name, mem.mode or Then.RESUME, conversation, resume, prompt, why, event
    )
    return replace(result, mem=mem).then(action)


def _choose_conversation(mem: RoleMemory, spec: RoleSpec, at: Moment) -> tuple[RoleMemory, bool]:
    """The memory with the conversation to start with, and whether that is the one it had."""
    same_backend = mem.conversation_backend == spec.backend
    certain = (mem.conversation or "").startswith(spec.own_ids) if mem.begun else not mem.tried
    chosen = mem.lost is not None and not mem.begun
    wanted = mem.mode is not Then.RENEW or chosen
    if wanted and mem.conversation is not None and same_backend and certain:
        return mem, True
    renewed = mem.mode is Then.RENEW and mem.begun and same_backend
    fresh = replace(
        mem,
        conversation=new_conversation(at.entropy, spec.name),
        conversation_backend=spec.backend,
        begun=False,
        lost=mem.conversation if renewed else mem.lost,
    )
    return fresh, False


def new_conversation(entropy: int, role: str) -> str:
    """A fresh UUID (version 4) from the tick's random bits; each role gets its own."""
    mixed = entropy
    for char in role:
        mixed = (mixed * 1_000_003 + ord(char)) % (1 << 128)
    text = f"{mixed:032x}"
    variant = "89ab"[int(text[16], 16) % 4]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def start_failed(
    mem: RoleMemory, spec: RoleSpec, at: Moment, detail: str, *, uncertain: bool = False
) -> Step:
    """It could not be started: account for that, and say it."""
    first = mem.deaths == 0
    mem = replace(
        mem,
        starting=False,
        start_trouble=detail,
        tried=mem.begun or uncertain,
        typing=None if mem.typing is None or mem.typing.silent else mem.typing,
        mode=mem.mode or Then.RESUME,
    )
    why = f"can't start {spec.name}: {detail}"
    result = Step(healing.count_failed_start(mem, at.policy, at.now)).record(
        Event(Name.TROUBLE, why, role=spec.name)
    )
    if result.mem.gave_up:
        return gave_up(result, spec, at, why)
    if first:
        result = result.then(Notify(f"start:{spec.name}", "trouble", why, spec.name))
    return result


def gave_up(result: Step, spec: RoleSpec, at: Moment, why: str) -> Step:
    text = f"{why}; trying again in {span(at.policy.cooldown)}"
    event = Event(
        Name.SESSION_GAVE_UP, text, role=spec.name, evidence={"signals": result.mem.evidence}
    )
    result = replace(result, mem=replace(result.mem, gave_up=True)).record(event)
    return result.then(Notify(f"gave up:{spec.name}", f"gave up on {spec.name}", text, spec.name))
