"""The order of ids is the order of times."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from shared.identity import point_ids
from shared.identity.ids import text_id

FIRST = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def id_at(moment: datetime, name: str = "x") -> uuid.UUID:
    digits = point_ids.point_id(
        "price", moment.isoformat(), text_id(name)
    )
    return uuid.UUID(digits)


def moments(count: int) -> list[datetime]:
    rng = random.Random(5)
    span = (LAST - FIRST) // timedelta(microseconds=1)
    return [
        FIRST + timedelta(microseconds=rng.randint(0, span))
        for _ in range(count)
    ]


def test_ids_are_in_the_order_of_their_times() -> None:
    times = moments(2000)
    times += [time + timedelta(microseconds=1) for time in times]
    ids = [id_at(time, str(n)) for n, time in enumerate(times)]
    in_order = sorted(range(len(ids)), key=ids.__getitem__)
    assert sorted(times) == [times[n] for n in in_order]
    assert all(
        point_ids.first_id_at(time)
        <= id_at(time)
        < point_ids.first_id_at(time + timedelta(microseconds=1))
        for time in times[:200]
    )


def test_they_are_uuids_of_version_8() -> None:
    for kind in ("candle", "news"):
        for name in range(64):
            digits = point_ids.point_id(
                kind, "2024-01-01T00:00:00Z", text_id(str(name))
            )
            found = uuid.UUID(digits)
            assert (found.version, found.variant) == (8, uuid.RFC_4122)


def test_an_id_is_made_once_however_often_it_is_made() -> None:
    for kind in ("candle", "news"):
        first = point_ids.point_id(
            kind, "2024-01-01T00:00:00Z", text_id("a")
        )
        again = point_ids.point_id(kind, "2024-01-01T00:00:00Z", first)
        assert first == again


def test_news_have_no_time_in_their_ids_and_stand_behind_all_times() -> (
    None
):
    early, late = (
        point_ids.point_id("news", time, text_id("story"))
        for time in ("1990-01-01T00:00:00Z", "2099-01-01T00:00:00Z")
    )
    assert early == late
    assert uuid.UUID(early) >= point_ids.FIRST_OF_NEWS > id_at(LAST)


@pytest.mark.parametrize(
    ("time", "place"),
    [
        ("0001-01-01T00:00:00Z", FIRST),
        ("1969-12-31T23:59:59.999999Z", FIRST),
        ("1970-01-01T00:00:00Z", FIRST),
        ("2200-01-01T00:00:00Z", LAST),
        ("9999-12-31T23:59:59Z", LAST),
    ],
)
def test_times_beyond_have_the_place_of_the_first_or_the_last(
    time: str, place: datetime
) -> None:
    digits = point_ids.time_prefix(time)
    assert id_at(place).hex.startswith(digits)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05.000000+00:00"),
        ("2024-01-02T03:04:05Z", "2024-01-02T05:04:05+02:00"),
        ("2024-01-02T03:04:05Z", "2024-01-02 03:04:05"),
    ],
)
def test_one_time_has_one_beginning_however_it_is_written(
    one: str, other: str
) -> None:
    assert point_ids.time_prefix(one) == point_ids.time_prefix(other)


@pytest.mark.parametrize(
    "time", ["", "now", "2024-13-01T00:00:00Z", "2024-01-01T25:00:00Z"]
)
def test_what_is_no_time_is_refused(time: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        point_ids.time_prefix(time)
