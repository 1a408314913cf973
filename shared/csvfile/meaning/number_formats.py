"""How a file writes dates and numbers, and how far apart its rows are.

Decided on whole columns, or refused.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from shared.errors import BadValueError, UnmappableError

Json = dict[str, Any]
Row = list[str]
NUMBER_KINDS = frozenset(
    "integer thousands_comma thousands_point decimal_comma comma_either point_either "
    "decimal_point spaced exponent".split()
)
EMPTY_KINDS = frozenset(["blank", "word"])
BY_PERSON = "mapping.yaml says so"
PLACEHOLDER = "…"  # in the lines that a refusal offers, for what a person must fill in
# Roles that a person may give to a column.
ROLES = tuple(
    "time date open high low close price volume market_cap symbol currency".split()
)
BY_DELIMITER = (
    "the file is cut at commas, so those inside quotes group thousands"
)
MONTHS = 12
_FIRST_YEAR = 9  # no coin is older than 2009
_MINUTE = 60
_HOUR = 3600
_DAY = 86_400
_NAMED_INTERVAL = re.compile(
    r"(?<![A-Za-z0-9])(\d{1,3})(min|hour|day|week|[mhdwM])(?![A-Za-z0-9])"
)
# From 2009 on, when the first coin was mined: what is less may be seconds of a day.
_EXCEL = re.compile(r"(?:39[89]\d\d|[4-6]\d{4})(?:[.,]\d+)?", re.ASCII)
_EXCEL_SHAPE = re.compile(r"9{5}(?:[.,]9+)?|")
_DATE_NAME = re.compile(
    r"date|datum|dat|day|tag|fecha|дата|jour|giorno|dia", re.IGNORECASE
)
_IN_FIGURES = re.compile(r"\D?9{1,2}[/.\-] ?9{1,2}[/.\-] ?9")
# Behind a date written in figures: `01/09/2024 00:00:00.000`, `01.09.2024T10:00`.
_BEHIND_DATE = re.compile(r"[ a,]")
_OVERWHELMING = (
    20  # to one: then the few are slips, which become dead letters
)


class Decided(NamedTuple):
    """A conclusion, None where there is nothing to conclude, and the reason for it."""

    value: str | None
    reason: str


UNDECIDED = Decided(None, "")


def lines(path: str, **given: object) -> str:
    """The lines for the mapping file that settle something."""
    body = "\n".join(map("    {}: {}".format, given, given.values()))
    return f"files:\n  - file: {quoted(path)}\n{body}"


def quoted(text: str) -> str:
    """A text as YAML takes it back."""
    if text.isprintable() and "\\" not in text:
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text)


def mapping_hint(path: str, what: str, **given: object) -> str:
    return (
        f"{what}: write into CSV_DIR/mapping.yaml\n{lines(path, **given)}"
    )


def share(column: Json, kinds: Iterable[str]) -> float:
    """The share of these kinds among the cells that hold something."""
    found: dict[str, int] = column.get("kinds") or {}
    filled = sum(
        count for kind, count in found.items() if kind not in EMPTY_KINDS
    )
    return (
        sum(found.get(kind, 0) for kind in kinds) / filled
        if filled
        else 0.0
    )


# -- dates ----------------------------------------------------------------------------------------


def date_order(
    path: str, name: str, column: Json, given: str | None
) -> Decided:
    """The order of day and month; undecided where every date says it itself.

    Raises UnmappableError `ambiguous_date`.
    """
    parts = column.get("date_parts")
    if given:
        _refuse_order(path, name, parts, given)
        return Decided(given, BY_PERSON)
    in_figures = list(
        filter(_IN_FIGURES.match, column.get("shapes") or {})
    )
    if parts:
        _refuse_days_before_months(path, name, parts)
    if not parts or not in_figures or parts[0][1] > 31:
        return UNDECIDED
    if _is_year_first(parts):
        return _year_first(parts)
    if any("." in _date_of(shape) for shape in in_figures):
        return Decided(
            "day_first", "dates with points begin with the day"
        )
    return _by_highest(path, name, parts[0][1], parts[1][1])


def _date_of(shape: str) -> str:
    """The shape of a date without the time of day behind it."""
    return _BEHIND_DATE.split(shape.strip())[0]


def _refuse_days_before_months(
    path: str, name: str, parts: list[list[int]]
) -> None:
    """Raises UnmappableError `ambiguous_date` for years in front, days in the middle."""
    year, middle, last = parts
    if year[0] > 31 and middle[1] > MONTHS >= last[1]:
        message = (
            f"{path}: in column {name!r} the year stands first and the second number goes up to "
            f"{middle[1]}, so that it is the day. Export dates as year, month, day"
        )
        raise UnmappableError("ambiguous_date", message, "time")


def _refuse_order(
    path: str, name: str, parts: list[list[int]] | None, given: str
) -> None:
    """Raises UnmappableError `bad_mapping` where a month would go beyond 12."""
    if not parts or given == "year_first" or parts[0][1] > 31:
        return
    month = parts[0] if given == "month_first" else parts[1]
    if month[1] > MONTHS:
        message = (
            f"{path}: mapping.yaml says dates: {given}, but in column {name!r} that number goes "
            f"up to {month[1]}"
        )
        raise UnmappableError("bad_mapping", message, "time")


def _year_first(parts: list[list[int]]) -> Decided:
    (low, high), _, (third_low, third_high) = parts
    last = f"the last runs from {third_low} to {third_high}"
    reason = f"the first number stays between {low} and {high}, {last}"
    return Decided("year_first", reason)


def _is_year_first(parts: list[list[int]]) -> bool:
    """Years of two digits in front: few of them, and days at the end."""
    (low, high), _, (third_low, third_high) = parts
    is_year = low >= _FIRST_YEAR and high - low <= 15
    is_day = third_low < _FIRST_YEAR or third_high - third_low >= 20
    return is_year and third_high <= 31 and is_day


def _by_highest(path: str, name: str, first: int, second: int) -> Decided:
    if first > MONTHS and second > MONTHS:
        raise _two_days(path, name)
    if first > MONTHS:
        reason = f"the first number goes up to {first}, the second only to {second}"
        return Decided("day_first", reason)
    if second > MONTHS:
        reason = f"the second number goes up to {second}, the first only to {first}"
        return Decided("month_first", reason)
    raise _ambiguous_dates(path, name)


def _two_days(path: str, name: str) -> UnmappableError:
    message = "both the first and the second number of dates go beyond 12"
    shown = f"{path}: in column {name!r} {message}"
    return UnmappableError("ambiguous_date", shown, "time")


def _ambiguous_dates(path: str, name: str) -> UnmappableError:
    what = (
        f"{path}: the dates in column {name!r} may be day/month or month/day, "
        "no number of them goes beyond 12"
    )
    hint = mapping_hint(path, what, dates="day_first   # or month_first")
    return UnmappableError("ambiguous_date", hint, "time")


def is_excel_days(name: str, column: Json, sample: list[str]) -> bool:
    """Whether a column of dates holds a spreadsheet's count of days (44197 for 2021-01-01)."""
    filled = [text.strip() for text in sample if text.strip()]
    if not filled or _DATE_NAME.search(name) is None:
        return False
    shapes: dict[str, int] = column.get("shapes") or {}
    is_count = all(_EXCEL.fullmatch(text) for text in filled)
    return is_count and all(
        _EXCEL_SHAPE.fullmatch(shape.strip()) for shape in shapes
    )


# -- numbers --------------------------------------------------------------------------------------


class NumberColumn(NamedTuple):
    """A column of numbers: its name as people see it, and its statistics."""

    name: str
    stats: Json


def decimal_marks(
    path: str,
    delimiter: str,
    columns: dict[int, NumberColumn],
    given: str | None,
    others: set[str],
) -> tuple[dict[int, str], str]:
    """What stands before a fraction in each of these columns, and why.

    `others`: the marks that other columns of the file show. Raises UnmappableError
    `ambiguous_number`, `bad_mapping`.
    """
    if given:
        _refuse_mark(path, columns, given)
        return dict.fromkeys(columns, given), BY_PERSON
    marks = {
        position: _mark_of(path, column)
        for position, column in columns.items()
    }
    decided = set(filter(None, marks.values())) or others
    if len(decided) == 1:
        return _all_alike(columns, decided.pop())
    reason = "each column shows its own" if decided else ""
    for position, mark in marks.items():
        if mark is None and _has_commas(
            path, delimiter, columns[position]
        ):
            reason = BY_DELIMITER
    return {at: mark or "." for at, mark in marks.items()}, reason


def _all_alike(
    columns: Iterable[int], mark: str
) -> tuple[dict[int, str], str]:
    example = "1,5" if mark == "," else "1.5 or 1,234.5"
    return dict.fromkeys(columns, mark), f"columns show {example}"


def marks_shown(columns: Iterable[Json]) -> set[str]:
    """The marks before a fraction that columns show, where they leave no doubt."""
    found = set()
    for column in columns:
        kinds: dict[str, int] = column.get("kinds") or {}
        comma = kinds.get("decimal_comma", 0)
        point = kinds.get("decimal_point", 0)
        if bool(comma) != bool(point):
            found.add("," if comma else ".")
    return found


def _refuse_mark(
    path: str, columns: dict[int, NumberColumn], given: str
) -> None:
    """Raises UnmappableError `bad_mapping` where most cells that say it say another mark."""
    own, other = "decimal_point", "decimal_comma"
    if given == ",":
        own, other = other, own
    for column in columns.values():
        kinds: dict[str, int] = column.stats.get("kinds") or {}
        if kinds.get(other, 0) > kinds.get(own, 0):
            message = (
                f"{path}: mapping.yaml says decimal: '{given}', but the numbers in column "
                f"{column.name!r} have another mark"
            )
            raise UnmappableError("bad_mapping", message, "price")


def _has_commas(path: str, delimiter: str, column: NumberColumn) -> bool:
    """Whether a column that does not say what its marks mean has commas in its numbers."""
    kinds: dict[str, int] = column.stats.get("kinds") or {}
    has_comma = kinds.get("comma_either", 0) > 0
    has_point = kinds.get("point_either", 0) > 0
    is_open = delimiter != "," or (has_comma and has_point)
    if (has_comma or has_point) and is_open:
        shape = "1,234" if has_comma else "1.234"
        raise _ambiguous_mark(path, column.name, shape)
    return has_comma


def _ambiguous_mark(path: str, name: str, shape: str) -> UnmappableError:
    what = (
        f"{path}: numbers such as {shape} in column {name!r} may be fractions or "
        "thousands"
    )
    hint = mapping_hint(path, what, decimal='"."   # or ","')
    return UnmappableError("ambiguous_number", hint, "price")


def _mark_of(path: str, column: NumberColumn) -> str | None:
    kinds: dict[str, int] = column.stats.get("kinds") or {}
    comma = kinds.get("decimal_comma", 0)
    point = kinds.get("decimal_point", 0)
    if not point:
        comma += kinds.get("thousands_point", 0)
    point += kinds.get("thousands_comma", 0)
    fewer, more = sorted((comma, point))
    if not more:
        return None
    if fewer and more < _OVERWHELMING * fewer:
        raise _both_marks(path, column.name)
    return "," if comma > point else "."


def _both_marks(path: str, name: str) -> UnmappableError:
    what = f"{path}: column {name!r} has numbers with a decimal comma and with a point"
    hint = mapping_hint(path, what, decimal='","')
    return UnmappableError("ambiguous_number", hint, "price")


# -- spacing --------------------------------------------------------------------------------------


def interval_of(
    path: str,
    rows: list[Row],
    moment: Callable[[Row], datetime],
    given: str | None,
) -> Decided:
    """How far apart rows are: half of their distances at least, else what the file's name says.

    Undecided of rows that are now this far apart and now that.
    """
    if given:
        return Decided(given, BY_PERSON)
    gaps = Counter(map(_interval_text, _gaps(_moments(rows, moment))))
    if not gaps:
        return _interval_in_name(path)
    interval, count = gaps.most_common(1)[0]
    if 2 * count < gaps.total():
        return _interval_in_name(path)
    shown = f"{count} of {gaps.total()} distances between the first rows"
    return Decided(interval, shown)


def _interval_in_name(path: str) -> Decided:
    named = _NAMED_INTERVAL.search(path.rpartition("/")[2])
    if named is None:
        return UNDECIDED
    interval = f"{named[1]}{named[2][0]}"
    return Decided(interval, "the file's name says so")


def _moments(
    rows: list[Row], moment: Callable[[Row], datetime]
) -> Iterator[datetime]:
    for row in rows:
        with contextlib.suppress(BadValueError, IndexError):
            yield moment(row)


def _gaps(moments: Iterable[datetime]) -> Iterator[int]:
    """The seconds between neighbours that differ."""
    for before, after in pairwise(moments):
        seconds = abs(round((after - before).total_seconds()))
        if seconds:
            yield seconds


def _interval_text(seconds: int) -> str:
    if 28 * _DAY <= seconds <= 31 * _DAY:
        return "1M"
    if seconds % (7 * _DAY) == 0:
        return f"{seconds // (7 * _DAY)}w"
    for name, size in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)):
        if seconds % size == 0:
            return f"{seconds // size}{name}"
    return f"{seconds}s"
