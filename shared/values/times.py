"""Times in every usual notation, as naive UTC or ISO 8601 text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from shared.errors import BadValueError
from shared.values.amounts import MISSING
from shared.values.words import lines

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  times are naive UTC here
# Below the bound: seconds, ms, µs, ns → µs.
_UNITS = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1), (1e20, 0.001))
# What lies outside is not a time of this field.
_EARLIEST = datetime(1990, 1, 1)  # noqa: DTZ001  times are naive UTC here
_LATEST = datetime(2100, 1, 1)  # noqa: DTZ001  times are naive UTC here
_FIRST_SECOND = int((_EARLIEST - _EPOCH).total_seconds())
_LAST_SECOND = int((_LATEST - _EPOCH).total_seconds())
_DAY_S = 86_400
_CENTURY = 70  # two digits of a year: below it 20xx, else 19xx
_CALENDAR = re.compile(
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?",
    re.ASCII,
)  # YYYYMMDDhhmm[ss]
_BY_LENGTH = {
    10: 1_000_000,
    13: 1_000,
    16: 1,
}  # digits of an epoch in s, ms, µs → µs
_DIGITS = re.compile(r"\d{9,19}(?:\.\d+)?", re.ASCII)
_NUMERIC = re.compile(
    r"(?P<first>\d{1,4})(?P<mark>[/.\-年])\s?(?P<second>\d{1,2})[/.\-月]\s?(?P<third>\d{1,4})[.日]?"
    r"(?:[ T,]+(?P<clock>.+))?",
    re.ASCII,
)
_SPELLED = re.compile(
    r"(?:[^\W\d_]+\.?,\s*)?"
    r"(?:(?P<month>[^\W\d_]+)\.?[ \-]+(?P<day>\d{1,2})"
    r"|(?P<day2>\d{1,2})\.?[ \-]*(?:de )?(?P<month2>[^\W\d_]+)\.?)"
    r"(?:,|\.)?[ \-]*(?:de )?(?P<year>\d{4}|\d\d)(?:[ T,]+(?P<clock>.+))?"
)
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})"
    r"(?:[:h](?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r"(?:[ \-]?(?P<half>[ap])\.?m\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)


def _months() -> dict[str, int]:
    found = {}
    for line in lines(Path(__file__).with_name("months.tsv")):
        number, _, names = line.partition("\t")
        found.update(dict.fromkeys(names.split(), int(number)))
    return found


_MONTHS = _months()


def timestamp(
    field: str,
    value: Any,
    order: str | None = None,
    zone: ZoneInfo | None = None,
) -> datetime:
    """A time as naive UTC.

    Epochs in s, ms, µs or ns by their size, ISO 8601 (without a zone: in `zone`, else UTC), dates
    in figures or words. `order` says which number of `01/02/2021` is the day: `day_first`,
    `month_first`. Raises BadValueError, also where that would have to be guessed.
    """
    text = str(value).strip() if value is not None else ""
    per = _BY_LENGTH.get(len(text))
    if (
        per is not None and text.isascii() and text.isdigit()
    ):  # nearly all epochs
        return _plausible(
            field, text, _EPOCH + timedelta(microseconds=int(text) * per)
        )
    if _CALENDAR.fullmatch(text):
        text = f"{text[:8]}T{text[8:]}"
    elif _DIGITS.fullmatch(text):
        return _from_epoch(field, text)
    if text.lower() in MISSING:
        raise BadValueError(field, "missing_time", f"{field} is empty")
    try:
        parsed = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        parsed = _written(field, text, order)
    try:
        return _plausible(field, text, _in_utc(field, text, parsed, zone))
    except OverflowError:
        raise _bad_time(
            field, f"{field} is out of range: {text[:60]!r}"
        ) from None


def _bad_time(field: str, message: str) -> BadValueError:
    return BadValueError(field, "bad_time", message)


def _in_utc(
    field: str, text: str, moment: datetime, zone: ZoneInfo | None
) -> datetime:
    if moment.tzinfo is not None:
        return _naive(moment)
    if zone is None:
        return moment
    first = _naive(moment.replace(tzinfo=zone, fold=0))
    second = _naive(moment.replace(tzinfo=zone, fold=1))
    if (
        first != second
    ):  # the hour that a change of the clocks repeats or leaves out
        message = (
            f"{field} {text[:40]!r} comes twice or not at all in {zone.key}"
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
    per = next((factor for bound, factor in _UNITS if amount < bound), None)
    if per is None:
        raise _bad_time(field, f"{field} is out of range: {text}")
    micros = int(amount * per) if per >= 1 else amount // 1000
    if fraction.strip("0") and per >= 1:
        micros += int(Decimal("0." + fraction) * int(per))
    return _plausible(field, text, _EPOCH + timedelta(microseconds=micros))


def _written(field: str, text: str, order: str | None) -> datetime:
    """A date in figures, in the order that is known, or in words; with a time of day or without."""
    try:
        numeric = _NUMERIC.fullmatch(text)
        if numeric is not None:
            day = datetime(*_day_of(field, text, numeric, order))  # noqa: DTZ001
            return day + _time_of(numeric["clock"])
        spelled = _SPELLED.fullmatch(text)
        month = (
            _month(spelled["month"] or spelled["month2"])
            if spelled
            else None
        )
        if spelled is not None and month is not None:
            number = int(spelled["day"] or spelled["day2"])
            year = _full_year(int(spelled["year"]))
            day = datetime(year, month, number)  # noqa: DTZ001
            return day + _time_of(spelled["clock"])
    except ValueError as error:
        raise _bad_time(
            field, f"{field} is not a time: {text[:60]!r} ({error})"
        ) from None
    raise _bad_time(field, f"{field} is not a time: {text[:60]!r}")


def _full_year(year: int) -> int:
    if year >= 100:
        return year
    return year + 2000 if year < _CENTURY else year + 1900


def _day_of(
    field: str, text: str, found: re.Match[str], order: str | None
) -> tuple[int, int, int]:
    """(year, month, day)."""
    first = int(found["first"])
    second = int(found["second"])
    third = int(found["third"])
    if len(found["first"]) > 2:
        return first, second, third
    if order == "year_first" and len(found["third"]) <= 2:
        return _full_year(first), second, third
    year = _full_year(third)
    if order == "month_first":
        return year, first, second
    if order == "day_first" or found["mark"] == "." or first > 12:
        return year, second, first
    if second > 12:
        return year, first, second
    message = f"{field} {text[:40]!r} may be day/month or month/day: write it as YYYY-MM-DD"
    raise BadValueError(field, "ambiguous_date", message)


def _time_of(clock: str | None) -> timedelta:
    """The time of day, less the offset of its zone. Raises ValueError."""
    if not clock:
        return timedelta()
    found = _CLOCK.fullmatch(clock.strip())
    if found is None:
        raise ValueError(f"not a time of day: {clock[:20]!r}")
    hour = _hour(int(found["hour"]), found["half"])
    minute = int(found["minute"] or 0)
    second = int(found["second"] or 0)
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("not a time of day")
    micros = int((found["fraction"] or "").ljust(6, "0")[:6])
    moment = timedelta(
        hours=hour, minutes=minute, seconds=second, microseconds=micros
    )
    return moment - _offset(found["zone"] or "")


def _hour(hour: int, half: str | None) -> int:
    if not half:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError("hour must be 1 to 12")
    return hour % 12 + (12 if half.lower() == "p" else 0)


def _offset(zone: str) -> timedelta:
    digits = zone.replace(":", "")
    if digits[:1] not in ("+", "-"):
        return timedelta()
    offset = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
    return offset if digits[0] == "+" else -offset


def _month(name: str) -> int | None:
    """By its first four letters, or three."""
    name = name.lower()
    return _MONTHS.get(name[:4]) or _MONTHS.get(name[:3])


def timestamp_text(field: str, value: Any) -> str:
    """`iso(timestamp(field, value))`, faster.

    An epoch of whole seconds, which most rows have, is put together from the day and the time of
    day.
    """
    if value.__class__ is str and value.isascii() and value.isdigit():
        seconds = _whole_seconds(value)
        if _FIRST_SECOND <= seconds < _LAST_SECOND:
            days, rest = divmod(seconds, _DAY_S)
            return f"{_day(days)}T{_time_of_day(rest)}Z"
    return iso(timestamp(field, value))


def _whole_seconds(digits: str) -> int:
    if len(digits) == 10:
        return int(digits)
    return (
        int(digits[:10])
        if len(digits) == 13 and digits.endswith("000")
        else 0
    )


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
