"""What every mapping shares: its shape, exact numbers, and times in every usual notation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from shared.errors import IngestError
from shared.events import Json, Rejection, Skip, UnifiedData
from shared.identity import data_id, value_hash


@dataclass(frozen=True)
class PageInfo:
    """All that a mapping may know besides the record."""

    source: str
    dataset: str
    stream: str
    context: Json
    fetched_at: str


@dataclass(frozen=True)
class MappedPage:
    events: list[UnifiedData]
    skipped: list[Skip]
    rejected: list[Rejection]


Outcome = list[UnifiedData] | Skip | Rejection
MapRecord = Callable[[int, Any], Outcome]
Compile = Callable[[PageInfo], MapRecord]


class UnmappableError(IngestError):
    """Nothing on this page can be mapped, for one reason."""

    def __init__(self, reason: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.reason, self.message, self.field = reason, message, field


class BadValueError(IngestError):
    """A value that must not be guessed at. `field` names it."""

    def __init__(self, field: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.field, self.reason, self.message = field, reason, message

    def rejection(self) -> Rejection:
        return Rejection(reason=self.reason, message=self.message, field=self.field)


_PLAIN = re.compile(r"-?\d{1,30}(?:\.\d{1,60})?", re.ASCII)
_GROUPED = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?", re.ASCII)
_SUFFIXED = re.compile(r"(-?[\d,]*\.?\d+)([KMBT])", re.ASCII | re.IGNORECASE)
_SUFFIXES = {"K": 3, "M": 6, "B": 9, "T": 12}
_MISSING = frozenset({"", "-", "–", "—", "null", "none", "nan", "na", "n/a", "nil", "\\n"})
_MAX_DIGITS_BEFORE, _MAX_DIGITS_AFTER = 40, 60
_WIDE = Context(prec=300)


def number(field: str, value: Any) -> str | None:
    """A number as exact text in one form (no exponent, no trailing zeros), None where there is none.

    Raises BadValueError for what is no number, is not finite, or has no place in a NUMERIC of sane size.
    """
    text = value.strip() if isinstance(value, str) else "" if value is None else str(value)
    if _PLAIN.fullmatch(text):
        return canonical(text)
    if text.lower() in _MISSING:
        return None
    if _GROUPED.fullmatch(text):
        return canonical(text.replace(",", ""))
    if (suffixed := _SUFFIXED.fullmatch(text)) and not suffixed[1].startswith(","):
        return _from_decimal(field, text, suffixed[1].replace(",", ""), _SUFFIXES[suffixed[2].upper()])
    return _from_decimal(field, text, text, 0)


def canonical(text: str) -> str:
    """Plain decimal digits without needless zeros."""
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text.startswith(("0", "-0")) and len(text) > 1:
        negative = text.startswith("-")
        digits = text.lstrip("-").lstrip("0")
        digits = digits if digits and not digits.startswith(".") else "0" + digits
        text = digits if not negative or digits == "0" else "-" + digits
    return text


def _from_decimal(field: str, shown: str, text: str, exponent: int) -> str:
    if len(text) > 200 or "_" in text:
        raise BadValueError(field, "not_a_number", f"{field} is not a number: {shown[:60]!r}")
    try:
        parsed = Decimal(text)
    except InvalidOperation:
        raise BadValueError(field, "not_a_number", f"{field} is not a number: {shown[:60]!r}") from None
    if not parsed.is_finite():
        raise BadValueError(field, "not_finite", f"{field} is {shown[:60]}, which is not a finite number")
    if parsed.adjusted() >= _MAX_DIGITS_BEFORE or (parsed and -int(parsed.as_tuple().exponent) > _MAX_DIGITS_AFTER + 20):
        raise BadValueError(field, "out_of_range", f"{field} is out of range: {shown[:60]}")
    return canonical(format(_WIDE.scaleb(parsed, exponent), "f"))


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
    if text.lower() in _MISSING:
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


def data_point(info: PageInfo, index: int, key: tuple[str, ...], **values: Any) -> UnifiedData:
    """A data point with its identity (`key`, within source and dataset) and the hash over its values."""
    return UnifiedData(id=data_id(info.source, info.dataset, *key), value_hash=value_hash(*values.values()), record_index=index, **values)
