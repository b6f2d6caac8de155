"""What a prompt can tell a role about where the phase stands: values for the templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cc_ci_orch.core.course import planned, standing_of
from cc_ci_orch.core.model import Course
from cc_ci_orch.core.phases import PhaseSpec
from cc_ci_orch.core.standing import Gate, Say


def values(course: Course, phases: Sequence[PhaseSpec]) -> Mapping[str, str]:
    """phase, phase_title, plan_file, gates, claims, verdicts; as far as the plan has it."""
    spec = planned(course, phases)
    if spec is None:
        return {"phase": course.phase} if course.phase else {}
    state = standing_of(course, spec)
    everything = (*state.gates, state.end)
    return {
        "phase": spec.id,
        "phase_title": spec.title,
        "plan_file": spec.plan,
        "gates": ", ".join(spec.gates) or "none",
        "claims": _listed(_said(gate, gate.claim) for gate in everything),
        "verdicts": _listed(_said(gate, gate.verdict) for gate in everything),
    }


def _said(gate: Gate, say: Say | None) -> str:
    if say is None:
        return ""
    still = ", open" if say is gate.claim and gate.open else ""
    return f"{gate.id} {say.word} #{say.attempt} ({say.commit[:7]}{still})"


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(part for part in parts if part) or "none"
