"""What costs more calls than are left of the month is refused."""

from __future__ import annotations

import pytest

from services.gateway.problems import ProblemError
from services.gateway.routes.catalog.coverage import refuse_beyond, share
from services.gateway.schemas.sources import Budget


def budget(used: int, per_month: int | None) -> Budget:
    return Budget(
        month="2024-01", used=used, per_month=per_month, per_second=10
    )


def test_no_more_calls_than_are_left() -> None:
    refuse_beyond(None, 10_000)
    refuse_beyond(budget(5, None), 10_000)
    refuse_beyond(budget(90, 100), 10)
    with pytest.raises(ProblemError, match="11 calls, and 10 of 100"):
        refuse_beyond(budget(90, 100), 11)
    with pytest.raises(ProblemError, match="and 0 of 100"):
        refuse_beyond(budget(120, 100), 1)


@pytest.mark.parametrize(
    ("points", "expected", "found"),
    [
        (10, 10, 1.0),
        (999_999, 1_000_000, 0.9999),
        (0, 10, 0.0),
        (5, None, None),
        (0, 0, None),
        (12, 10, 1.0),
    ],
)
def test_only_what_is_whole_is_complete(
    points: int, expected: int | None, found: float | None
) -> None:
    assert share(points, expected) == found
