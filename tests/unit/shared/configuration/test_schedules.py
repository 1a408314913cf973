"""When schedules are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.configuration.schedules import (
    longest_wait_s,
    refuse_wrong,
    runs_a_month,
    times_after,
    times_until,
)
from shared.configuration.settings import Schedule

NIGHTLY = Schedule(cron="30 2 * * *", timezone="Europe/Berlin")
NOW = datetime(2026, 10, 24, 12, tzinfo=UTC)


def test_a_night_of_25_hours_has_one_half_past_two() -> None:
    found = [str(each) for each in islice(times_after(NIGHTLY, NOW), 3)]
    assert found == [
        "2026-10-25 00:30:00+00:00",
        "2026-10-26 01:30:00+00:00",
        "2026-10-27 01:30:00+00:00",
    ]


def test_a_night_without_half_past_two_has_one_too() -> None:
    before = datetime(2026, 3, 28, 12, tzinfo=UTC)
    found = [
        str(each) for each in islice(times_after(NIGHTLY, before), 2)
    ]
    assert found == [
        "2026-03-29 01:00:00+00:00",
        "2026-03-30 00:30:00+00:00",
    ]


@given(
    st.sampled_from(
        [
            NIGHTLY,
            Schedule(every_s=7),
            Schedule(every_s=86_400),
            Schedule(cron="*/7 * * * *"),
            Schedule(cron="0 9 * * 1-5", timezone="America/New_York"),
            Schedule(cron="15 1,3 * * *", timezone="Australia/Lord_Howe"),
        ]
    ),
    st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1)).map(
        lambda moment: moment.replace(tzinfo=UTC)
    ),
)
def test_backwards_meets_what_forwards_does(
    schedule: Schedule, moment: datetime
) -> None:
    last = next(times_until(schedule, moment))
    coming = next(times_after(schedule, moment))
    assert last <= moment < coming
    assert next(times_after(schedule, last)) == coming
    assert next(times_until(schedule, coming)) == coming
    just_before = coming - timedelta(microseconds=1)
    assert next(times_until(schedule, just_before)) == last


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "either cron or every_s"),
        ({"cron": "0 0 * * *", "every_s": 60}, "either cron or every_s"),
        ({"cron": "x"}, "five fields"),
        ({"cron": "* * * * * *"}, "five fields"),
        ({"cron": "@daily"}, "five fields"),
        ({"cron": "61 * * * *"}, "no cron"),
        ({"cron": "0 0 31 2 *"}, "no cron"),
        ({"every_s": 9}, "at least 10"),
        ({"cron": "0 0 * * *", "timezone": "../etc/passwd"}, "time zone"),
        ({"cron": "0 0 * * *", "timezone": "Mars"}, "time zone"),
        (
            {"every_s": 60, "history_days": 2, "streams": ["csv/a"]},
            "with sources",
        ),
    ],
)
def test_what_is_wrong_is_said(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        refuse_wrong(Schedule(**wrong))


@pytest.mark.parametrize(
    ("cron", "runs", "wait_days"),
    [
        ("* * * * *", 43_200, 1 / 1440),
        ("0 0 1 * *", 12 * 30 / 365, 31),
        ("0 9 * * 1-5", 261 * 30 / 365, 3),
        ("0 0 29 2 *", 0, 1461),
    ],
)
def test_how_often_it_comes(
    cron: str, runs: float, wait_days: float
) -> None:
    schedule = Schedule(cron=cron)
    assert runs_a_month(schedule, NOW) == pytest.approx(runs, rel=0.01)
    found = longest_wait_s(schedule, NOW) / 86_400
    assert found == pytest.approx(wait_days, rel=0.01)
