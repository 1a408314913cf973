"""Times in every usual notation, as naive UTC or ISO 8601 text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from shared.errors import BadValueError
from shared.values.amounts import MISSING

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  naive on purpose: all times here are UTC
_UNITS = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1), (1e20, 0.001))  # below the bound: seconds, ms, µs, ns → µs
_EARLIEST, _LATEST = datetime(1990, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001  what lies outside is no time of this field
_FIRST_SECOND, _LAST_SECOND = int((_EARLIEST - _EPOCH).total_seconds()), int((_LATEST - _EPOCH).total_seconds())
_CALENDAR = re.compile(
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?", re.ASCII
)  # YYYYMMDDhhmm[ss]
_BY_LENGTH = {10: 1_000_000, 13: 1_000, 16: 1}  # digits of an epoch in s, ms, µs → µs
_DIGITS = re.compile(r"\d{9,19}(?:\.\d+)?", re.ASCII)
_NUMERIC = re.compile(r"(\d{1,4})([/.\-年])\s?(\d{1,2})[/.\-月]\s?(\d{1,4})[.日]?(?:[ T,]+(.+))?", re.ASCII)
_SPELLED = re.compile(
    r"(?:[^\W\d_]+\.?,\s*)?(?:(?P<month>[^\W\d_]+)\.?[ \-]+(?P<day>\d{1,2})|(?P<day2>\d{1,2})\.?[ \-]*(?:de )?(?P<month2>[^\W\d_]+)\.?)"
    r"(?:,|\.)?[ \-]*(?:de )?(?P<year>\d{4}|\d\d)(?:[ T,]+(?P<clock>.+))?"
)
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?:[:h](?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r"(?:[ \-]?(?P<half>[ap])\.?m\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)
# The first three letters, or more where those are shared, in English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Turkish.
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan ene gen sty oca", "feb fev fév lut şub sub", "mar mär mrz maa", "apr avr abr kwi nis", "may mai mag maj mei",
            "jun juin giu cze haz", "jul juil lug lip tem", "aug aou aoû ago sie ağu agu", "sep set wrz eyl", "oct okt ott out paź paz eki",
            "nov lis kas", "dec dez déc dic gru ara",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip


def timestamp(field: str, value: Any, order: str | None = None, zone: ZoneInfo | None = None) -> datetime:
    """A time as naive UTC: epochs in s, ms, µs or ns by their size, ISO 8601 (no zone means `zone`, else UTC), dates in figures or words.

    `order` says which number of `01/02/2021` is the day: `day_first`, `month_first`. Raises BadValueError, also where
    that would have to be guessed.
    """
    text = str(value).strip() if value is not None else ""
    if (per := _BY_LENGTH.get(len(text))) and text.isascii() and text.isdigit():  # nearly all epochs; what follows says the same
        return _plausible(field, text, _EPOCH + timedelta(microseconds=int(text) * per))
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
        raise BadValueError(field, "bad_time", f"{field} is out of range: {text[:60]!r}") from None


def _in_utc(field: str, text: str, moment: datetime, zone: ZoneInfo | None) -> datetime:
    if moment.tzinfo is not None:
        return moment.astimezone(UTC).replace(tzinfo=None)
    if zone is None:
        return moment
    first, second = (moment.replace(tzinfo=zone, fold=fold).astimezone(UTC).replace(tzinfo=None) for fold in (0, 1))
    if first != second:  # the hour that a change of the clocks repeats or leaves out
        raise BadValueError(field, "ambiguous_time", f"{field} {text[:40]!r} comes twice or not at all in {zone.key}")
    return first


def _plausible(field: str, text: str, moment: datetime) -> datetime:
    if not _EARLIEST <= moment < _LATEST:
        raise BadValueError(field, "bad_time", f"{field} {text[:60]!r} is no time between 1990 and 2100")
    return moment


def _from_epoch(field: str, text: str) -> datetime:
    whole, _, fraction = text.partition(".")
    amount = int(whole)
    per = next((factor for bound, factor in _UNITS if amount < bound), None)
    if per is None:
        raise BadValueError(field, "bad_time", f"{field} is out of range: {text}")
    micros = int(amount * per) if per >= 1 else amount // 1000
    if fraction.strip("0") and per >= 1:
        micros += int(Decimal("0." + fraction) * int(per))
    return _plausible(field, text, _EPOCH + timedelta(microseconds=micros))


def _written(field: str, text: str, order: str | None) -> datetime:
    """A date in figures, in the order that is known, or in words; with a time of day or without."""
    try:
        if found := _NUMERIC.fullmatch(text):
            return datetime(*_day_of(field, text, found, order)) + _time_of(found[5])  # noqa: DTZ001
        if (found := _SPELLED.fullmatch(text)) and (month := _month(found["month"] or found["month2"])):
            year = int(found["year"])
            moment = datetime(year + 2000 if year < 70 else year + 1900 if year < 100 else year, month, int(found["day"] or found["day2"]))  # noqa: DTZ001
            return moment + _time_of(found["clock"])
    except ValueError as error:
        raise BadValueError(field, "bad_time", f"{field} is not a time: {text[:60]!r} ({error})") from None
    raise BadValueError(field, "bad_time", f"{field} is not a time: {text[:60]!r}")


def _day_of(field: str, text: str, found: re.Match[str], order: str | None) -> tuple[int, int, int]:
    first, mark, second, third = int(found[1]), found[2], int(found[3]), int(found[4])
    if len(found[1]) > 2:
        return first, second, third
    year = third + 2000 if third < 70 else third + 1900 if third < 100 else third
    if order == "year_first" and len(found[4]) <= 2:
        return first + 2000 if first < 70 else first + 1900, second, third
    if order == "month_first":
        return year, first, second
    if order == "day_first" or mark == "." or first > 12:
        return year, second, first
    if second > 12:
        return year, first, second
    raise BadValueError(field, "ambiguous_date", f"{field} {text[:40]!r} may be day/month or month/day: write it as YYYY-MM-DD")


def _time_of(clock: str | None) -> timedelta:
    """The time of day, less the offset of its zone. Raises ValueError."""
    if not clock:
        return timedelta()
    found = _CLOCK.fullmatch(clock.strip())
    if found is None:
        raise ValueError(f"no time of day: {clock[:20]!r}")
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("hour must be 1 to 12")
        hour = hour % 12 + (12 if found["half"].lower() == "p" else 0)
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("no time of day")
    moment = timedelta(hours=hour, minutes=minute, seconds=second, microseconds=int((found["fraction"] or "").ljust(6, "0")[:6] or 0))
    zone = (found["zone"] or "").replace(":", "")
    if zone[:1] in ("+", "-"):
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
        return moment - offset if zone[0] == "+" else moment + offset
    return moment


def _month(name: str) -> int | None:
    name = name.lower()
    return next((number for length in (4, 3) if (number := _MONTHS.get(name[:length]))), None)


def timestamp_text(field: str, value: Any) -> str:
    """`iso(timestamp(field, value))`; an epoch of whole seconds, which most rows have, is put together from the day and the time of day."""
    if value.__class__ is str and value.isascii() and value.isdigit():
        seconds = int(value) if len(value) == 10 else int(value[:10]) if len(value) == 13 and value.endswith("000") else 0
        if _FIRST_SECOND <= seconds < _LAST_SECOND:
            days, rest = divmod(seconds, 86_400)
            return f"{_day(days)}T{_time_of_day(rest)}Z"
    return iso(timestamp(field, value))


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).date().isoformat()


@lru_cache(maxsize=4096)
def _time_of_day(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).time().isoformat()


def iso(moment: datetime) -> str:
    """Naive UTC as ISO 8601 with Z."""
    return moment.isoformat() + "Z"
