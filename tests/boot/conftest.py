"""What the tests on a machine with its own systemd share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.boot.machine")

from tests.boot.machine import Machine  # noqa: E402


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine that has not booted yet; removed at the end, whatever happens."""
    made = Machine()
    try:
        yield made
    finally:
        made.remove()
