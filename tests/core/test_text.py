"""Values as a person reads them."""

import pytest

from cc_ci_orch.core.model import ExitStatus
from cc_ci_orch.core.text import span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0s"),
        (0, "0s"),
        (0.44, "0.4s"),
        (9.96, "10s"),
        (59.9, "59s"),
        (60, "1m00s"),
        (200, "3m20s"),
        (3600, "1h00m"),
        (7500, "2h05m"),
        (86400, "1d00h"),
        (4 * 86400 + 3 * 3600, "4d03h"),
    ],
)
def test_a_duration_reads_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (ExitStatus(code=0), "status 0"),
        (ExitStatus(signal=9), "signal 9"),
        (ExitStatus(), "unknown status"),
    ],
)
def test_an_exit_status_reads_as_what_ended_the_process(status: ExitStatus, words: str) -> None:
    assert str(status) == words
