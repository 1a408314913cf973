"""Times in every usual notation, as naive UTC or ISO 8601 text."""

from __future__ import annotations

import contextlib
import re
import time
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any

from shared.errors import BadValueError
from shared.values.amounts import MISSING
from shared.values.dates import AmbiguousDateError, read_date

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  times are naive UTC here
# Below the bound: seconds, ms, µs, ns → µs.
_UNITS = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1), (1e20, 0.001))
# What lies outside is not a time of this field.
_EARLIEST = datetime(1990, 1, 1)  # noqa: DTZ001  times are naive UTC here
_LATEST = datetime(2100, 1, 1)  # noqa: DTZ001  times are naive UTC here
_FIRST_SECOND = int((_EARLIEST - _EPOCH).total_seconds())
_LAST_SECOND = int((_LATEST - _EPOCH).total_seconds())
_DAY_S = 86_400
_DAY_AND_TWO_DIGITS = len("2024-01-02-03")
# A day of XML Schema may have a zone.
_DAY_AND_ZONE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?P<zone>Z|[+\-]\d\d:\d\d)", re.ASCII
)
# As Go writes a time: `2023-12-06 10:00:00 +0000 UTC`.
_ZONE_TWICE = re.compile(
    r"(?P<time>.{10,40} [+\-]\d\d:?\d\d) \(?[A-Z]{2,5}\)?"
)
MAX_LENGTH = 100  # characters of what may be a time
_CALENDAR = re.compile(
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?",
    re.ASCII,
)  # YYYYMMDDhhmm[ss]
_BY_LENGTH = {
    10: 1_000_000,
    13: 1_000,
    16: 1,
}  # digits of an epoch in s, ms, µs → µs
# Ten digits from here on (2033) are sooner a date such as YYYYMMDDhh, or an identifier.
_FIRST_UNLIKELY = "1990000000"
_NS_OF_2001 = (
    10**18
)  # what has fewer digits counts ticks of another beginning
_SECOND = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", re.ASCII)
_DIGITS = re.compile(r"\d{9,19}(?:\.\d+)?", re.ASCII)


def timestamp(
    field: str,
    value: Any,
    order: str | None = None,
    zone: tzinfo | None = None,
) -> datetime:
    """A time as naive UTC.

    Epochs in s, ms, µs or ns by their size, ISO 8601, dates in figures or words. A time that says
    no zone is in `zone`, else in UTC. `order` says which number of `01/02/2021` is the day:
    `day_first`, `month_first`. Raises BadValueError, also where that would have to be guessed.
    """
    text = str(value).strip() if value is not None else ""
    per = _BY_LENGTH.get(len(text))
    if (
        per is not None and text.isascii() and text.isdigit()
    ):  # nearly all epochs
        _refuse_unlikely(field, text)
        return _plausible(
            field, text, _EPOCH + timedelta(microseconds=int(text) * per)
        )
    if len(text) > MAX_LENGTH:
        message = f"{field} is not a time: {text[:60]!r}"
        raise _bad_time(field, message)
    if _CALENDAR.fullmatch(text):
        text = f"{text[:8]}T{text[8:]}"
    elif _DIGITS.fullmatch(text):
        return _from_epoch(field, text)
    if text.lower() in MISSING:
        raise BadValueError(field, "missing_time", f"{field} is empty")
    return _read(field, text, order, zone)


def _read(
    field: str, text: str, order: str | None, zone: tzinfo | None
) -> datetime:
    try:
        parsed = _iso(text)
    except ValueError:
        parsed = _written(field, text, order)
    try:
        return _plausible(field, text, _in_utc(field, text, parsed, zone))
    except OverflowError:
        message = f"{field} is out of range: {text[:60]!r}"
        raise _bad_time(field, message) from None


def _refuse_unlikely(field: str, digits: str) -> None:
    if len(digits) == 10 and digits >= _FIRST_UNLIKELY:
        message = (
            f"{field} {digits!r} may be a date such as YYYYMMDDhh or seconds since 1970: write it "
            "as YYYY-MM-DD hh:mm"
        )
        raise BadValueError(field, "ambiguous_date", message)


def _iso(text: str) -> datetime:
    """ISO 8601, also with ` UTC` behind it. Raises ValueError."""
    twice = _ZONE_TWICE.fullmatch(text)
    if twice is not None:
        text = twice["time"]
    if text.endswith(" UTC"):
        moment = datetime.fromisoformat(text[:-4])
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if len(text) == _DAY_AND_TWO_DIGITS and text[10] in "+-":
        raise ValueError("an hour or a zone")
    day = _DAY_AND_ZONE.fullmatch(text)
    if day is not None:
        text = f"{day['day']}T00:00:00{day['zone']}"
    return datetime.fromisoformat(text)


def _bad_time(field: str, message: str) -> BadValueError:
    return BadValueError(field, "bad_time", message)


def _in_utc(
    field: str, text: str, moment: datetime, zone: tzinfo | None
) -> datetime:
    """`zone`: of a moment that does not say its own."""
    own = moment.tzinfo or zone
    if own is None:
        return moment
    first = _naive(moment.replace(tzinfo=own, fold=0))
    second = _naive(moment.replace(tzinfo=own, fold=1))
    if (
        first != second
    ):  # the hour that a change of the clocks repeats or leaves out
        message = (
            f"{field} {text[:40]!r} comes twice or not at all in {own}"
        )
        raise BadValueError(field, "ambiguous_time", message)
    return first


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _plausible(field: str, text: str, moment: datetime) -> datetime:
    if not _EARLIEST <= moment < _LATEST:
        raise _bad_time(
            field,
            f"{field} {text[:60]!r} is not a time between 1990 and 2100",
        )
    return moment


def _from_epoch(field: str, text: str) -> datetime:
    whole, _, fraction = text.partition(".")
    amount = int(whole)
    per = _unit_of(amount)
    if per is None:
        raise _bad_time(field, f"{field} is out of range: {text}")
    micros = int(amount * per) if per >= 1 else amount // 1000
    if fraction.strip("0") and per >= 1:
        micros += int(Decimal("0." + fraction) * int(per))
    return _plausible(
        field, text, _EPOCH + timedelta(microseconds=micros)
    )


def _unit_of(amount: int) -> float | None:
    """Microseconds of one; None for what is no epoch."""
    if 10**17 <= amount < _NS_OF_2001:
        return None
    return next(
        (factor for bound, factor in _UNITS if amount < bound), None
    )


def _written(field: str, text: str, order: str | None) -> datetime:
    """A date in figures, in the order that is known, or in words."""
    try:
        return read_date(text, order)
    except AmbiguousDateError as error:
        raise BadValueError(
            field, "ambiguous_date", f"{field} {error}"
        ) from None
    except ValueError as error:
        raise _bad_time(
            field, f"{field} is not a time: {text[:60]!r} ({error})"
        ) from None


def timestamp_text(field: str, value: Any) -> str:
    """`iso(timestamp(field, value))`, faster.

    An epoch of whole seconds, which most rows have, is put together from the day and the time of
    day.
    """
    if value.__class__ is str:
        seconds = _whole_seconds(value)
        if _FIRST_SECOND <= seconds < _LAST_SECOND:
            return _text_of_second(seconds)
    return iso(timestamp(field, value))


def timestamp_texts(field: str, column: list[str]) -> list[str]:
    """`timestamp_text` of each. Raises BadValueError."""
    if all(map(_SECOND.fullmatch, column)):
        with contextlib.suppress(
            ValueError
        ):  # it is said of the text that is none
            moments = list(map(datetime.fromisoformat, column))
            if min(moments) >= _EARLIEST and max(moments) < _LATEST:
                return [f"{text[:10]}T{text[11:]}Z" for text in column]
    seconds = list(map(_whole_seconds, column))
    if min(seconds) >= _FIRST_SECOND and max(seconds) < _LAST_SECOND:
        return list(map(_text_of_second, seconds))
    return [timestamp_text(field, text) for text in column]


def _whole_seconds(text: str) -> int:
    """Of an epoch in seconds or milliseconds; 0 for anything else."""
    if not text.isascii() or not text.isdigit():
        return 0
    if len(text) == 10:
        return int(text) if text < _FIRST_UNLIKELY else 0
    return (
        int(text[:10]) if len(text) == 13 and text.endswith("000") else 0
    )


def _text_of_second(seconds: int) -> str:
    days, rest = divmod(seconds, _DAY_S)
    return f"{_day(days)}T{_time_of_day(rest)}Z"


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).date().isoformat()


@lru_cache(maxsize=4096)
def _time_of_day(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).time().isoformat()


def iso(moment: datetime) -> str:
    """Naive UTC as ISO 8601 with Z."""
    return moment.isoformat() + "Z"


def from_ms(milliseconds: int) -> datetime:
    """A broker's time, UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def now_ms() -> int:
    return round(time.time() * 1000)
