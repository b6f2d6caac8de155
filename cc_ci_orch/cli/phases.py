"""phase: where in the plan the instance stands; and at which phase a start begins."""

from __future__ import annotations

from cc_ci_orch.cli import talk
from cc_ci_orch.cli.compose import Instance
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.core.model import Course, Memory, PhaseState, Request
from cc_ci_orch.core.phases import PhaseError, find, first, position
from cc_ci_orch.errors import ConfigError, UsageError

NOBODY = " (no supervisor runs; RESUME_PHASE=1 ./launch.sh start goes on from there)"


def phase(call: Call) -> int:
    """Show the phases, or change the present one."""
    what, id = call.args.what, call.args.id
    instance = Instance(call.config, call.program_root)
    instance.require_plan()
    if what == "list":
        return _list(call, instance)
    if (what == "advance") == bool(id):
        wants = "no phase id" if what == "advance" else "a phase id"
        raise UsageError(f"can't change the phase: {what}: it takes {wants}", "phase list")
    if id:
        try:
            find(instance.phases, id)
        except PhaseError as error:
            raise UsageError(f"can't change the phase: {error}", "./launch.sh phase list") from None
    request = Request(0, "phase", text=what, phase=id or "")
    answer = talk.ask(call, request)
    if answer is None:
        reply = talk.carry_out(call, request)
        code, text = reply.code, f"{reply.text}{'' if reply.code else NOBODY}"
    else:
        code, text = talk.answer_of(answer)
    call.say(text)
    return code


def _list(call: Call, instance: Instance) -> int:
    """A line for each phase; the present one is marked."""
    memory = instance.memory_file.peek() or Memory()
    course = memory.course
    for spec in instance.phases:
        here = spec.id == course.phase
        deferred = "deferred" if spec.deferred or spec.id in course.deferred else ""
        state = f"{course.state}" if here else deferred
        mark = "*" if here else " "
        call.out(f"{mark} {spec.id:<8} {state:<9} {spec.title}".rstrip())
    return 0


def choose(call: Call, instance: Instance, course: Course) -> str:
    """The phase that a start begins at; "" leaves it to what is saved, or the first.

    A saved phase past the first is never left behind because a variable was forgotten.
    """
    config = call.config
    wanted = config.start_phase
    if wanted:
        try:
            return find(instance.phases, wanted).id
        except PhaseError as error:
            raise ConfigError(f"can't start: START_PHASE: {error}") from None
    saved = course.phase
    if not saved:
        return ""
    try:
        index, _ = position(instance.phases, saved)
    except PhaseError as error:
        raise ConfigError(
            f"can't start: the saved phase: {error}", "START_PHASE=ID ./launch.sh start"
        ) from None
    at_first = first(instance.phases, course.deferred)
    past = at_first is None or index > position(instance.phases, at_first.id)[0]
    if past and not config.resume_phase and course.state is not PhaseState.COMPLETE:
        beginning = at_first.id if at_first else instance.phases[0].id
        raise ConfigError(
            f"can't start: phase {saved} is in progress, and neither RESUME_PHASE nor "
            "START_PHASE says where to begin",
            f"RESUME_PHASE=1 ./launch.sh start (goes on with phase {saved}), or "
            f"START_PHASE={beginning} ./launch.sh start (begins there)",
        )
    return ""
