"""Instances for the tests: each private, and each ended whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.e2e.instance")

from tests.e2e.instance import Instance, copied_program  # noqa: E402


@pytest.fixture(scope="session")
def program() -> Iterator[Path]:
    """One copy for all tests of a worker."""
    with copied_program() as folder:
        yield folder


Make = Callable[..., Instance]


@pytest.fixture
def instance(program: Path) -> Iterator[Make]:
    """Make an instance, with any settings; `agent` is a script and its words."""
    made: list[Instance] = []

    def make(*agent: str, place: str = "here", **settings: str) -> Instance:
        it = Instance(program, place, **settings)
        made.append(it)
        if agent:
            it.settings["LOOP_COMMAND"] = it.agent(*agent)
        return it

    yield make
    failures = []
    for it in made:
        try:
            it.end()
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, failures
