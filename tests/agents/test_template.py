"""The argv template of the `command` backend."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ci_orch.agents.template import PLACEHOLDERS, Template

VALUES = {name: f"<{name}>" for name in PLACEHOLDERS}


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("agent", ("agent",)),
        ("agent {role} x", ("agent", "<role>", "x")),
        ("agent --model={model}", ("agent", "--model=<model>")),
        ("agent '{prompt} and {phase}'", ("agent", "<prompt> and <phase>")),
        ("agent \"a b\" ''", ("agent", "a b", "")),
        ("agent {{x}} {{{role}}}", ("agent", "{x}", "{<role>}")),
        ("agent # {workdir}", ("agent", "#", "<workdir>")),
        (r"agent a\ b", ("agent", "a b")),
        ("agent\n {prompt_file}\t{conversation}", ("agent", "<prompt_file>", "<conversation>")),
    ],
)
def test_a_template_is_split_and_filled(text: str, argv: tuple[str, ...]) -> None:
    assert Template.parse(text).fill(VALUES) == argv


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("'' x", "program is empty"),
        ("agent 'x", "no closing quotation"),
        ("agent x\\", "no escaped character"),
        ("agent {promt}", r"unknown placeholder \{promt\}; there are \{prompt_file\}"),
        ("agent {}", "unknown placeholder"),
        ("agent {role!r}", "unknown placeholder"),
        ("agent {role.x}", "unknown placeholder"),
        ("agent { role }", "stray {"),
        ("agent {role", "stray {"),
        ("agent role}", "stray }"),
        ("agent {{role}", "stray }"),
        ("agent {ro{role}", "stray {"),
        ("agent \0", "NUL"),
    ],
)
def test_a_text_that_is_no_template_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Template.parse(text)


def test_what_it_mentions_is_known() -> None:
    """A literal of the same letters is no mention."""
    template = Template.parse("agent {role} '{{prompt}}' prompt")
    assert [name for name in PLACEHOLDERS if template.mentions(name)] == ["role"]


@given(st.text(), st.text())
def test_a_filled_in_value_is_one_argument_as_it_is(prompt: str, model: str) -> None:
    """Neither split, nor expanded, nor read as a template again."""
    filled = Template.parse("agent {prompt} -m{model}").fill(
        {"prompt": f"{{model}} {prompt}", "model": f"{{prompt}} $(id) {model}"}
    )
    assert filled == ("agent", f"{{model}} {prompt}", f"-m{{prompt}} $(id) {model}")


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\0")), min_size=1))
def test_any_command_can_be_written_as_a_template(words: list[str]) -> None:
    """Quoted for the shell and its braces doubled, it comes back as it was."""
    words[0] = f"x{words[0]}"
    text = shlex.join(words).replace("{", "{{").replace("}", "}}")
    assert Template.parse(text).fill({}) == tuple(words)


@given(st.text(alphabet="a {}'\"\\role"))
def test_a_template_that_was_accepted_can_be_filled(text: str) -> None:
    try:
        template = Template.parse(text)
    except ValueError:
        return
    assert len(template.fill(VALUES)) == len(template.words) > 0
