"""Dates in figures or words, with a time of day and a zone or without."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from shared.values.words import lines
from shared.values.zones import read_zone

_CENTURY = 70  # two digits of a year: below it 20xx, else 19xx
# In front of a date: `Mon,`, `lun.,`, `segunda-feira,`; also without a comma before a word or day.
_WEEKDAY = r"(?:[^\W\d_][^\d,]{0,20},\s*|[^\W\d_]{2,12}\.?\s+)?"
# Between a date and a time of day: `at`, `um`, `à las`.
_AT = r"(?:(?i:at|um|à|às|alle|om|ore|kl\.?|klo|pukul|saat|o|в|о|(?:a )?las)\s+)?"
_CLOCK_AFTER = rf"(?:[ T,_\-]+{_AT}(?P<clock>\S.*))?"
_YEAR_WORD = r"(?:\s?(?:г|р|r|roku)\b\.?)?"
_OF = r"(?:(?i:del?|of) )?"
# Behind a date of East Asia: `(水)`, `星期三`, `수요일`.
_WEEKDAY_BEHIND = (
    r"(?:\s?(?:\([^()\d]{1,3}\)|(?:星期|周|週).|[월화수목금토일]요일))?"
)
_COMPACT = re.compile(
    r"(?P<day>(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?:[ T_\-]+)"
    r"(?P<clock>\d{1,2}(?::?\d\d){1,2}.*)",
    re.ASCII,
)
_BARE_CLOCK = re.compile(r"(\d\d)(\d\d)(\d\d)?(?!\d|:)", re.ASCII)
_NUMERIC = re.compile(
    rf"{_WEEKDAY}(?P<first>\d{{1,4}})(?P<mark>[/.\-年년])\s?(?P<second>\d{{1,2}})[/.\-月월]\s?"
    rf"(?P<third>\d{{1,4}})[.日일]?{_WEEKDAY_BEHIND}"
    rf"(?:(?:[ T,_]+|(?<=[日일]))(?:- )?{_AT}(?P<clock>\S.*))?",
    re.ASCII,
)
_SPELLED = re.compile(
    rf"{_WEEKDAY}"
    r"(?:(?P<month>[^\W\d_]+)\.?[ \-]+(?P<day>\d{1,2})(?:st|nd|rd|th)?(?!\d)"
    rf"|(?P<day2>\d{{1,2}})(?:st|nd|rd|th|er)?\.?[ \-/]*{_OF}"
    r"(?P<month2>(?!(?:st|nd|rd|th)\b)[^\W\d_]+)\.?)"
    rf"(?:,|\.)?(?: *[-/]|(?! *-)) *{_OF}(?P<year>\d{{4}}|\d\d){_YEAR_WORD}{_CLOCK_AFTER}"
)
# `2004-július-13T9:15-05:00`, `2023 Dec 6`
_YEAR_FIRST = re.compile(
    rf"(?P<year>\d{{4}})[ \-.]+(?P<month>[^\W\d_]+)\.?[ \-]+(?P<day>\d{{1,2}})\.?{_CLOCK_AFTER}"
)
# `Mon Mar  7 18:05:00 2022`, also with a zone before the year.
_YEAR_LAST = re.compile(
    r"(?:[^\W\d_]+\.?,?\s+)?(?P<month>[^\W\d_]+)\.?\s+(?P<day>\d{1,2}),?\s+"
    r"(?P<clock>\d{1,2}:\d\d(?::\d\d)?)(?P<zone>\s+[A-Z]{2,5}|\s+[+\-]\d\d:?\d\d)?\s+"
    r"(?P<year>\d{4})"
)
_BEFORE_NOON = frozenset({"上午", "午前", "오전"})
_CLOCK = re.compile(
    r"(?:(?P<part>上午|下午|午前|午後|오전|오후)\s*)?(?P<hour>\d{1,2})"
    r"(?:[:h時时시点點]\s?(?P<minute>\d{1,2})[分분]?"
    r"(?::?\s?(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?[秒초]?)?)?"
    r"(?:[ \-]?(?P<half>[ap])\.?\s?m\.?(?![A-Za-z]))?(?:\s?Uhr)?(?P<zone>.*)",
    re.IGNORECASE,
)


class AmbiguousDateError(ValueError):
    """It may be day/month or month/day."""


def _months() -> dict[str, int]:
    found = {}
    for line in lines(Path(__file__).with_name("months.tsv")):
        number, _, names = line.partition("\t")
        found.update(dict.fromkeys(names.split(), int(number)))
    return found


_MONTHS = _months()
_LONGEST_BEGINNING = max(map(len, _MONTHS))


def read_date(text: str, order: str | None = None) -> datetime:
    """A date as it is written; with a zone where the text says one.

    `order`: which number of `01/02/2021` is the day (`day_first`, `month_first`, `year_first`).
    Raises ValueError, AmbiguousDateError where the order would have to be guessed.
    """
    text = _plain(text)
    compact = _COMPACT.fullmatch(text)
    if compact is not None:
        day = datetime.strptime(compact["day"], "%Y%m%d")  # noqa: DTZ007
        return _at(
            day, _BARE_CLOCK.sub(_with_colons, compact["clock"], 1)
        )
    numeric = _NUMERIC.fullmatch(text)
    if numeric is not None:
        day = datetime(*_day_of(text, numeric, order))  # noqa: DTZ001
        return _at(day, numeric["clock"])
    return _spelled(text)


def _plain(text: str) -> str:
    """Without marks of direction, letters and figures in their usual width."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text).strip(
        "\u200e\u200f\ufeff "
    )


def _with_colons(clock: re.Match[str]) -> str:
    return ":".join(filter(None, clock.groups()))


def _day_of(
    text: str, found: re.Match[str], order: str | None
) -> tuple[int, int, int]:
    """(year, month, day)."""
    second = int(found["second"])
    if _is_year_in_front(found, order):
        return _full_year(found["first"]), second, int(found["third"])
    first = int(found["first"])
    if order is None and max(first, int(found["third"])) <= 31:
        raise AmbiguousDateError(
            f"{text[:40]!r} may begin or end with its year: write it as YYYY-MM-DD"
        )
    year = _full_year(found["third"])
    if order == "month_first":
        return year, first, second
    if order == "day_first" or found["mark"] == "." or first > 12:
        return year, second, first
    if second > 12 or first == second:
        return year, first, second
    raise AmbiguousDateError(
        f"{text[:40]!r} may be day/month or month/day: write it as YYYY-MM-DD"
    )


def _is_year_in_front(found: re.Match[str], order: str | None) -> bool:
    is_given = order == "year_first" and len(found["third"]) <= 2
    return len(found["first"]) > 2 or is_given


def _full_year(digits: str) -> int:
    year = int(digits)
    if len(digits) > 2:
        return year
    return year + 2000 if year < _CENTURY else year + 1900


def _spelled(text: str) -> datetime:
    for pattern in (_SPELLED, _YEAR_FIRST, _YEAR_LAST):
        found = pattern.fullmatch(text)
        if found is not None:
            return _of_words(found.groupdict())
    raise ValueError("it has no form that is known")


def _of_words(found: dict[str, str | None]) -> datetime:
    name = found.get("month") or found.get("month2") or ""
    number = found.get("day") or found.get("day2") or "0"
    year = _full_year(found["year"] or "0")
    day = datetime(year, _month(name), int(number))  # noqa: DTZ001
    clock = found["clock"]
    return _at(
        day, f"{clock}{found.get('zone') or ''}" if clock else None
    )


def is_month(name: str) -> bool:
    """Whether a word is a month in a language that is known."""
    try:
        _month(name)
    except ValueError:
        return False
    return True


def _month(name: str) -> int:
    """By its first letters, the longest beginning that is known."""
    name = name.lower().replace("\u0307", "")  # of the capital İ
    for length in range(_LONGEST_BEGINNING, 2, -1):
        if name[:length] in _MONTHS:
            return _MONTHS[name[:length]]
    raise ValueError(f"{name[:20]!r} is not a month that is known")


def _at(day: datetime, clock: str | None) -> datetime:
    if not clock:
        return day
    time_of_day, zone = _read_clock(clock)
    return (day + time_of_day).replace(tzinfo=zone)


def _read_clock(clock: str) -> tuple[timedelta, tzinfo | None]:
    found = _CLOCK.fullmatch(clock.strip())
    if found is None:
        raise ValueError(f"{clock[:40]!r} is not a time of day")
    zone = found["zone"].strip()
    return _time_of_day(found), read_zone(zone) if zone else None


def _time_of_day(found: re.Match[str]) -> timedelta:
    hour = _hour(int(found["hour"]), _half(found))
    minute = int(found["minute"] or 0)
    second = int(found["second"] or 0)
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError(f"{found[0][:40]!r} is not a time of day")
    micros = int((found["fraction"] or "").ljust(6, "0")[:6])
    return timedelta(
        hours=hour, minutes=minute, seconds=second, microseconds=micros
    )


def _half(found: re.Match[str]) -> str | None:
    """Of the day: `a` or `p`."""
    if found["part"]:
        return "a" if found["part"] in _BEFORE_NOON else "p"
    return found["half"]


def _hour(hour: int, half: str | None) -> int:
    if not half:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError("the hour before AM or PM must be 1 to 12")
    return hour % 12 + (12 if half.lower() == "p" else 0)
