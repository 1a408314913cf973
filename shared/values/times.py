"""Times in every usual notation, as naive UTC or ISO 8601 text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from shared.errors import BadValueError
from shared.values.numbers import MISSING

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  naive on purpose: all times here are UTC
_UNITS = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1), (1e20, 0.001))  # below the bound: seconds, ms, µs, ns → µs
_EARLIEST, _LATEST = datetime(1990, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001  what lies outside is no time of this field
_FIRST_SECOND, _LAST_SECOND = int((_EARLIEST - _EPOCH).total_seconds()), int((_LATEST - _EPOCH).total_seconds())
_CALENDAR = re.compile(
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?", re.ASCII
)  # YYYYMMDDhhmm[ss]
_BY_LENGTH = {10: 1_000_000, 13: 1_000, 16: 1}  # digits of an epoch in s, ms, µs → µs
_DIGITS = re.compile(r"\d{9,19}(?:\.\d+)?", re.ASCII)
_FORMATS = (
    "%b %d, %Y",
    "%B %d, %Y",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d %b %Y",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
)


def timestamp(field: str, value: Any) -> datetime:
    """A time as naive UTC: epochs in s, ms, µs or ns by their size, ISO 8601 (no zone means UTC), and a few spelled forms.

    Raises BadValueError, also for dates whose order of day and month cannot be known (01/02/2021).
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
        return _from_formats(field, text)
    try:
        return _plausible(field, text, parsed if parsed.tzinfo is None else parsed.astimezone(UTC).replace(tzinfo=None))
    except OverflowError:
        raise BadValueError(field, "bad_time", f"{field} is out of range: {text[:60]!r}") from None


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


def _from_formats(field: str, text: str) -> datetime:
    for form in _FORMATS:
        try:
            return _plausible(field, text, datetime.strptime(text, form))  # noqa: DTZ007  UTC, see timestamp()
        except ValueError:
            continue
    if re.fullmatch(r"\d{1,2}/\d{1,2}/\d{2,4}.*", text):
        raise BadValueError(field, "ambiguous_date", f"{field} {text[:40]!r} may be day/month or month/day: write it as YYYY-MM-DD")
    raise BadValueError(field, "bad_time", f"{field} is not a time: {text[:60]!r}")


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
