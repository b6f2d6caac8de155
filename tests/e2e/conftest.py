"""Instances for the tests: each private, and each ended whatever happens."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.e2e.instance")

from tests.e2e.instance import Instance  # noqa: E402

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def program() -> Iterator[Path]:
    """A copy of the program: no test can leave anything in the repository, nor see it change."""
    folder = Path(tempfile.mkdtemp(prefix="orch-program-", dir="/tmp"))
    for name in ("cc_ci_orch", "plan", "prompts"):
        shutil.copytree(REPOSITORY / name, folder / name)
    for file in (*REPOSITORY.glob("launch*.py"), *REPOSITORY.glob("launch*.sh")):
        shutil.copy2(file, folder)
    yield folder
    shutil.rmtree(folder)


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
