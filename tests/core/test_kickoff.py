"""Templates and values -> the text that an agent is given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ci_orch.core.kickoff import LONGEST_LINE, own_template_name, render, template_name, wrap
from cc_ci_orch.core.model import PromptKind


def test_each_kind_has_its_template_and_the_kickoff_is_the_roles_own() -> None:
    assert template_name(PromptKind.KICKOFF, "builder.md") == "builder.md"
    assert template_name(PromptKind.HANDOVER, "builder.md") == "handover.md"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{role}, go", "builder, go"),
        ("{unknown} {ROLE} {role", "{unknown} {ROLE} {role"),
        ("{{role}} {{}}", "{role} {}"),
        ("  \n{role}\n\n", "builder"),
        ("{tricky}", "{role}"),
        ("{0} {role.__class__} {role!r}", "{0} {role.__class__} {role!r}"),
    ],
)
def test_a_template_is_prose_and_nothing_in_it_is_an_error(template: str, text: str) -> None:
    """Known names are filled in, once; the rest stays as it is."""
    assert render(template, {"role": "builder", "tricky": "{role}"}) == text


@given(st.text(alphabet="ab \n", max_size=60).map(lambda text: text.replace("b", "b" * 700)))
def test_no_line_is_too_long_for_a_terminal_and_no_word_is_lost(text: str) -> None:
    wrapped = wrap(text)
    assert all(len(line) <= LONGEST_LINE for line in wrapped.split("\n"))
    assert "".join(wrapped.split()) == "".join(text.split())


def test_lines_are_broken_at_spaces() -> None:
    assert wrap("x" * 600 + " " + "y" * 600) == "x" * 600 + "\n" + "y" * 600
    assert wrap("short") == "short"


def test_a_role_may_have_texts_of_its_own() -> None:
    assert own_template_name(PromptKind.KICKOFF, "reader.md") == "reader.md"
    assert own_template_name(PromptKind.IDLE, "reader.md") == "reader-nudge.md"
