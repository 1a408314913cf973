"""Moments by number, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.coverage.grid import Grid
from services.gateway.prices.intervals import Interval

START = datetime(2024, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("interval", ["1m", "4h", "1d", "1w", "1M", "3M"])
def test_a_moment_has_the_number_that_it_is_at(interval: str) -> None:
    grid = Grid(START, Interval.parse(interval))
    for number in (-40, -1, 0, 1, 2, 13, 500):
        at = grid.at(number)
        assert grid.number_from(at) == number
        assert grid.nearest(at) == number
        assert grid.number_from(at + timedelta(microseconds=1)) == (
            number + 1
        )
        assert grid.nearest(at + timedelta(seconds=20)) == number
        assert grid.nearest(at - timedelta(seconds=20)) == number


def test_months_end_where_they_end() -> None:
    grid = Grid(START, Interval.parse("1M"))
    assert [grid.at(n).day for n in range(5)] == [31, 29, 31, 30, 31]


def test_without_a_step_every_moment_counts() -> None:
    grid = Grid()
    assert grid.at(grid.number_from(START)) == START
    assert grid.nearest(START) == grid.number_from(START)
