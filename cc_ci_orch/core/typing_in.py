"""Typing into an agent: the text once, Enter until the submission is proved, then the word.

The proof is the backend's: a count of accepted prompts where the client tells it, else the
growth of its log, beyond what the terminal itself echoes; or the whole echo, and the text gone
from the terminal, for then the program has read it. Without proof Enter is pressed again, never
the text; after that it is a failed nudge, which is evidence for whatever comes next. A text that
stands in the terminal with its Enter, unread, needs no other one.
"""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core import inbox
from cc_ci_orch.core.actions import Press, Reply, Type
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import Prompt, PromptKind, Request, SessionView, Typing
from cc_ci_orch.core.policy import ENTER_TRIES, START_SETTLE
from cc_ci_orch.core.step import LOOK_EVERY, Moment, Step

TOO_LATE = "who asked waits no longer"


def go_on(view: SessionView, result: Step, typing: Typing, role: str, at: Moment) -> Step:
    """Send it, or look for its proof, or press Enter again, or give it up."""
    assert view.process is not None
    if typing.sent_at is None and typing.given:
        mem = replace(result.mem, typing=replace(typing, sent_at=at.now))
        return replace(result, mem=mem).wake_by(at.now + at.policy.submit_wait)
    if typing.sent_at is None and typing.until is not None and at.now > typing.until:
        return drop(result, role, typing, TOO_LATE, at.now)
    if typing.sent_at is None:
        return _send(view, result, typing, role, at)
    if typing.trouble:
        return failed(result, role, typing, typing.trouble, at.now)
    tells = view.submissions is not None
    if (tells or not typing.given) and _proved(view, typing):
        return _done(result, role, typing, True, "the submission is proved", at.now)
    if view.submitting:
        return result.wake_by(at.now + LOOK_EVERY)
    slow = typing.given and tells  # a dialog may stand before it
    if at.now - typing.sent_at < (at.policy.start_grace if slow else at.policy.submit_wait):
        return result.wake_by(at.now + LOOK_EVERY)
    if slow:
        return failed(result, role, typing, "no sign that it was submitted", at.now)
    stands = bool(view.unread) and _grown(view, typing) >= typing.echo > 0
    if typing.given or typing.weak or (typing.silent and stands):
        return _done(result, role, typing, True, "it was given, and the agent lives", at.now)
    if stands:
        why = "it stands in its terminal, and the program doesn't read it"
        if at.now - typing.sent_at < ENTER_TRIES * at.policy.submit_wait:
            return result.wake_by(at.now + LOOK_EVERY)
        return failed(result, role, typing, why, at.now)
    if typing.enters < ENTER_TRIES:
        again = replace(typing, sent_at=at.now, enters=typing.enters + 1)
        mem = replace(result.mem, typing=again, typed=True)
        press = Press(role, ("Enter",), view.process)
        return replace(result, mem=mem).then(press).wake_by(at.now + LOOK_EVERY)
    return failed(result, role, typing, "no sign that it was submitted", at.now)


def _send(view: SessionView, result: Step, typing: Typing, role: str, at: Moment) -> Step:
    """Type it now; the first prompt of a process only when that has drawn something."""
    assert view.process is not None
    mem = result.mem
    settled = mem.log_at > mem.started_at or at.now - mem.started_at >= START_SETTLE
    if typing.silent and not settled:
        return result.wake_by(at.now + LOOK_EVERY)
    if view.not_ready and at.now - mem.started_at < at.policy.start_grace:
        return result.wake_by(at.now + LOOK_EVERY)
    sent = replace(
        typing,
        sent_at=at.now,
        enters=1,
        log_size=view.log.size if view.log else 0,
        submissions=view.submissions or 0,
    )
    action = Type(role, typing.prompt, view.process)
    mem = replace(mem, typing=sent, typed=True)
    return replace(result, mem=mem).then(action).wake_by(at.now + LOOK_EVERY)


def _proved(view: SessionView, typing: Typing) -> bool:
    if view.submissions is not None:
        return view.submissions > typing.submissions
    grown = _grown(view, typing)
    read = view.unread == 0 and grown == typing.echo
    return grown > 0 and (grown > typing.echo or read)


def _grown(view: SessionView, typing: Typing) -> int:
    """Bytes that its log has grown since it was typed, where that tells anything."""
    return view.log.size - typing.log_size if view.log is not None and view.log_counts else 0


def drop(result: Step, role: str, typing: Typing, why: str, now: float) -> Step:
    """Whatever is on its way has nowhere to arrive any more. Whoever asked for it is told."""
    if typing.silent or typing.sent_at is None:
        result = replace(result, mem=replace(result.mem, typing=None))
        return _answer(result, role, typing, False, why)
    return failed(result, role, typing, why, now)


def failed(result: Step, role: str, typing: Typing, why: str, now: float) -> Step:
    """It isn't known to have arrived, and it is not tried any further."""
    return _done(result, role, typing, False, why, now)


def _done(result: Step, role: str, typing: Typing, proved: bool, why: str, now: float) -> Step:
    result = replace(result, mem=replace(result.mem, typing=None))
    if typing.handoffs:
        result = inbox.settle(result, typing, proved, why, now)
    event = Event(
        Name.SESSION_NUDGED,
        typing.why if proved else f"{typing.why}: {why}",
        role=role,
        by=typing.by,
        proved=proved,
        evidence={"prompt": str(typing.prompt.kind), "enters": typing.enters},
    )
    if not (typing.handoffs or (typing.silent and proved)):
        result = result.record(event)
    return _answer(result, role, typing, proved, why).wake_by(0.0)


def _answer(result: Step, role: str, typing: Typing, proved: bool, why: str) -> Step:
    if typing.request is None:
        return result
    words = f"nudged {role}: {why}" if proved else f"can't nudge {role}: {why}"
    return result.then(Reply(typing.request, 0 if proved else 1, words, role))


def of_person(request: Request) -> Typing:
    """A nudge that a person asked for, with a text of theirs or the one for an idle role."""
    prompt = Prompt(PromptKind.TEXT, request.text) if request.text else Prompt(PromptKind.IDLE)
    return Typing(prompt, "a person asked", "operator", request.id, request.by)
