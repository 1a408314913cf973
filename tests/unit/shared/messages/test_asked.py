"""Ranges of what was asked, merged."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.messages.asked import (
    Asked,
    AskedOutcome,
    asked_before,
    asked_from,
    asked_now,
    merged,
)

DAY = datetime(2024, 1, 1, tzinfo=UTC)


def days(first: int, last: int, **more: str) -> Asked:
    found = asked_from(
        DAY + timedelta(days=first), DAY + timedelta(days=last)
    )
    return Asked(first=found.first, last=found.last, **more)  # type: ignore[arg-type]


def test_ranges_that_touch_are_one() -> None:
    assert merged([days(3, 5), days(1, 3), days(7, 8)]) == [
        days(1, 5),
        days(7, 8),
    ]
    assert merged([days(1, 9), days(2, 3)]) == [days(1, 9)]


def test_days_that_follow_each_other_are_one() -> None:
    chunks = [
        each
        for day in range(5)
        for each in asked_before(
            DAY + timedelta(days=day), DAY + timedelta(days=day + 1)
        )
    ]
    (whole,) = merged(chunks)
    assert (whole.first, whole.last) == (
        "2024-01-01T00:00:00Z",
        "2024-01-05T23:59:59.999999Z",
    )


def test_what_came_of_it_keeps_ranges_apart() -> None:
    ranges = [
        days(1, 3),
        days(2, 4, outcome=AskedOutcome.FAILED, reason="x"),
    ]
    assert len(merged(ranges)) == 2


def test_moments_go_together_where_they_are_near() -> None:
    first = asked_now()
    hour = datetime.fromisoformat(first.last)

    def at(minutes: int) -> Asked:
        moment = hour + timedelta(minutes=minutes)
        found = asked_from(moment, moment)
        return Asked(
            first=found.first, last=found.last, every_s=first.every_s
        )

    assert len(merged([at(0), at(50), at(100)])) == 1
    assert len(merged([at(0), at(61)])) == 2


def test_nobody_asks_for_the_future() -> None:
    now = datetime.now(UTC)
    assert (
        asked_before(now + timedelta(days=1), now + timedelta(days=2))
        == []
    )
    (found,) = asked_before(
        now - timedelta(days=1), now + timedelta(days=9)
    )
    assert found.end <= datetime.now(UTC)


def test_a_range_does_not_end_before_it_begins() -> None:
    with pytest.raises(ValueError, match="before it begins"):
        days(2, 1)


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 6)), max_size=25
    )
)
def test_the_same_days_are_asked_in_as_few_ranges_as_there_can_be(
    spans: list[tuple[int, int]],
) -> None:
    ranges = merged([days(first, first + more) for first, more in spans])
    asked = {
        2 * first + step
        for first, more in spans
        for step in range(2 * more + 1)
    }  # in half days, since between two days that touch nothing is missing
    found = set()
    for each in ranges:
        first = (each.begin - DAY) // timedelta(hours=12)
        last = (each.end - DAY) // timedelta(hours=12)
        found |= set(range(first, last + 1))
    assert found == asked
    for before, after in itertools.pairwise(ranges):
        assert before.end < after.begin
