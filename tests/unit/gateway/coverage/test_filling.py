"""The windows that fill holes take as few calls as can be, and ask for nothing in vain."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from services.gateway.coverage.causes import Cause
from services.gateway.coverage.filling import (
    Missing,
    can_fill,
    most_calls,
    windows,
)
from services.gateway.prices.series import Part, WholeSeries
from shared.identity.windows import Window

TODAY = date(2025, 6, 1)


def series(stream: str = "coinpaprika/btc-bitcoin/ohlcv") -> WholeSeries:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return WholeSeries(
        source="coinpaprika",
        dataset="daily",
        kind="candle",
        instrument="btc-bitcoin",
        symbol="btc",
        interval=None,
        currency="USD",
        timestamp_is="open",
        parts=(Part(1, stream, 1, start, start),),
    )


def hole(
    start: str,
    end: str,
    cause: Cause = Cause.NEVER_ASKED,
    reason: str | None = None,
    stream: str = "coinpaprika/btc-bitcoin/ohlcv",
) -> Missing:
    first, past = (
        datetime.fromisoformat(each).replace(tzinfo=UTC)
        for each in (start, end)
    )
    return Missing(series(stream), first, past, cause, reason)


@pytest.mark.parametrize(
    ("cause", "reason", "expected"),
    [
        (Cause.NEVER_ASKED, None, True),
        (Cause.FAILED, "timeout", True),
        (Cause.FAILED, "plan_limit", False),
        (Cause.UNKNOWN, "loaded_before_asking_was_recorded", True),
        (Cause.UNKNOWN, "POINTS_RETENTION", False),
        (Cause.NO_DATA, None, False),
        (Cause.REJECTED, "bad_number", False),
        (Cause.RETIRED, None, False),
        (Cause.NOT_YET, None, False),
    ],
)
def test_only_what_asking_can_change_is_asked_for(
    cause: Cause, reason: str | None, expected: object
) -> None:
    found = hole("2024-01-01", "2024-01-05", cause, reason)
    assert can_fill(found, TODAY) is expected


def test_files_and_live_prices_have_no_history() -> None:
    for stream in ("csv/mine/btc.csv", "coinpaprika/btc-bitcoin"):
        found = hole("2024-01-01", "2024-01-05", stream=stream)
        assert not can_fill(found, TODAY)


def test_days_that_are_not_over_are_left_out() -> None:
    found = hole("2025-05-30", "2025-06-03")
    assert [
        (str(each.start), str(each.end))
        for each in windows([found], TODAY)
    ] == [("2025-05-30", "2025-06-01")]
    assert not can_fill(hole("2025-06-01", "2025-06-03"), TODAY)


def test_near_holes_are_asked_for_together_and_far_ones_alone() -> None:
    near = [
        hole("2023-01-01", "2023-01-03"),
        hole("2023-03-01", "2023-03-03"),
    ]
    (together,) = windows(near, TODAY)
    assert together.calls() == 2
    far = [*near, hole("2010-01-01", "2010-01-03")]
    asked = windows(far, TODAY)
    assert len(asked) == 2
    assert sum(each.calls() for each in asked) == 4


def test_every_missing_day_is_asked_for_once() -> None:
    holes = [
        hole(
            str(date(2020, 1, 1) + timedelta(days=17 * n)),
            str(date(2020, 1, 1) + timedelta(days=17 * n + 3)),
        )
        for n in range(100)
    ]
    asked = windows(holes, TODAY)
    for each in holes:
        day = each.start.date()
        while day < each.end.date():
            assert sum(w.start <= day < w.end for w in asked) == 1
            day += timedelta(days=1)
    assert sum(w.calls() for w in asked) <= 6 * 2


def test_a_plan_may_refuse_a_call_of_each_window() -> None:
    window = Window("btc", "ohlcv", date(2020, 1, 1), date(2020, 2, 1))
    assert most_calls([window]) == 3
    assert most_calls([window, window]) == 6
