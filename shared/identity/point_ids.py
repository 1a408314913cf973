"""Identities of data points, in the order of their times.

A UUID of version 8. Of ticker, candle and price, whose identity holds their time: 60 bits of
microseconds since 1970 in front, 62 bits of hash over the natural key behind, so that the order of
ids is the order of times. Of news, whose date may be edited: `f`, then hash alone. Times before
1970 have the place of its first microsecond, times from 2200 that of the last one before.

The tables are divided by ranges of these ids. PostgreSQL makes the same ids (migration 0008), and a
test holds the two together.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache

from shared.identity.ids import text_id

NEWS = "news"
# By which mapping version on ids are of this kind; pages of older ones get them when they are read.
FIRST_VERSION = 5
LAST_YEAR = 2199
FIRST_OF_NEWS = uuid.UUID("f0000000-0000-0000-0000-000000000000")
_OF_NEWS = FIRST_OF_NEWS.hex[0]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST_MICROS = (
    datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - _EPOCH
) // _MICROSECOND - 1
_WHOLE_SECOND = len("2024-01-02T03:04:05Z")
_DAY = len("2024-01-02")
_MONTHS = 12
_LOWEST_HASH = "8000000000000000"  # with the variant of a UUID in front
_VARIANT = {
    digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"
}


def point_id(kind: str, timestamp: str, name: str) -> str:
    """32 hex digits: the identity of what has a hash (`name`, 32 hex digits) at a time.

    Raises ValueError for a timestamp that is not ISO 8601.
    """
    if kind == NEWS:
        return f"{_OF_NEWS}{name[1:12]}8{name[13:16]}{_behind(name)}"
    return time_prefix(timestamp) + _behind(name)


def timed_id(timestamp: str, key: str) -> str:
    """32 hex digits: the identity of what is named by a key, which holds the time."""
    return time_prefix(timestamp) + _behind(text_id(key))


def _behind(name: str) -> str:
    """The 16 hex digits behind the time: the end of a hash, with the variant of a UUID in front."""
    return _VARIANT[name[16]] + name[17:]


def time_prefix(timestamp: str) -> str:
    """The 16 hex digits with which ids of this time begin. Raises ValueError."""
    if (
        len(timestamp) == _WHOLE_SECOND and timestamp[-1] == "Z"
    ):  # nearly all
        return _digits(
            _micros_of_day(timestamp[:_DAY])
            + _micros_of_clock(timestamp[_DAY:-1])
        )
    return _digits(micros_of(datetime.fromisoformat(timestamp)))


@lru_cache(maxsize=4096)
def _micros_of_day(day: str) -> int:
    return micros_of(datetime.fromisoformat(day))


@lru_cache(maxsize=4096)
def _micros_of_clock(clock: str) -> int:
    moment = time.fromisoformat(clock)
    return (
        moment.hour * 3600 + moment.minute * 60 + moment.second
    ) * 1_000_000


def is_of_news(id_: str) -> bool:
    """Whether hex digits, or the first of them, are an id of news."""
    return id_[0] == _OF_NEWS


def is_consistent(id_: str, kind: str, timestamp: str) -> bool:
    """Whether 32 hex digits are an id of this kind at this time."""
    if kind == NEWS:
        return is_of_news(id_)
    try:
        return id_.startswith(time_prefix(timestamp))
    except ValueError:
        return False


def moment_of(id_: str) -> datetime:
    """The time of an id that is not of news, in any form of a UUID."""
    digits = uuid.UUID(id_).hex
    return _EPOCH + int(digits[:12] + digits[13:16], 16) * _MICROSECOND


def first_id_at(moment: datetime) -> uuid.UUID:
    """The least id that a ticker, candle or price at this time or later may have."""
    micros = micros_of(moment)
    if micros > _LAST_MICROS:
        return FIRST_OF_NEWS
    return uuid.UUID(_digits(micros) + _LOWEST_HASH)


def first_of_month(year: int, month: int) -> uuid.UUID:
    """The least id of a month, as `first_id_at`."""
    return first_id_at(datetime(year, month, 1, tzinfo=UTC))


def end_of_month(year: int, month: int) -> uuid.UUID:
    """The least id after a month, as `first_id_at`."""
    if month == _MONTHS:
        return first_of_month(year + 1, 1)
    return first_of_month(year, month + 1)


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970; a time without a zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


def _digits(micros: int) -> str:
    if not 0 <= micros <= _LAST_MICROS:
        micros = min(max(micros, 0), _LAST_MICROS)
    digits = f"{micros:015x}"
    return f"{digits[:12]}8{digits[12:]}"
