"""How a file writes dates and numbers, and how far apart its rows are, decided on whole columns or refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import pairwise
from typing import Any

from shared.errors import BadValueError, UnmappableError

Json = dict[str, Any]
Row = list[str]
NUMBER_KINDS = frozenset(
    [
        "integer",
        "thousands_comma",
        "thousands_point",
        "decimal_comma",
        "comma_either",
        "point_either",
        "decimal_point",
        "spaced",
        "exponent",
    ]
)
EMPTY_KINDS = frozenset(["blank", "word"])
_INTERVALS = {60: "1m", 180: "3m", 300: "5m", 600: "10m", 900: "15m", 1800: "30m", 3600: "1h", 7200: "2h", 10800: "3h", 14400: "4h", 21600: "6h", 28800: "8h", 43200: "12h", 86400: "1d", 259200: "3d", 604800: "1w"}  # fmt: skip
_NAMED_INTERVAL = re.compile(r"(?<![A-Za-z0-9])(\d{1,3})(min|hour|day|week|[mhdwM])(?![A-Za-z0-9])")
_EXCEL = re.compile(r"[3-6]\d{4}(?:[.,]\d+)?", re.ASCII)
_OVERWHELMING = 20  # to one: then the few are slips, which become dead letters


def lines(path: str, **said: object) -> str:
    """The lines for the mapping file that settle something."""
    body = "\n".join(f"    {name}: {value}" for name, value in said.items())
    return f"files:\n  - file: {path!r}\n{body}"


def mapping_hint(path: str, what: str, **said: object) -> str:
    return f"{what}: write into CSV_DIR/mapping.yaml\n{lines(path, **said)}"


def share(column: Json, kinds: Iterable[str]) -> float:
    """The share of these kinds among the cells that hold something."""
    found: dict[str, int] = column.get("kinds") or {}
    filled = sum(count for kind, count in found.items() if kind not in EMPTY_KINDS)
    return sum(found.get(kind, 0) for kind in kinds) / filled if filled else 0.0


# -- dates ------------------------------------------------------------------------------------------------------------


def date_order(path: str, name: str, column: Json, said: str | None) -> tuple[str | None, str]:
    """(order of day and month, why). (None, "") where every date says it itself. Raises UnmappableError `ambiguous_date`."""
    if said:
        return said, "mapping.yaml says so"
    parts = column.get("date_parts")
    shapes: dict[str, int] = column.get("shapes") or {}
    in_figures = [shape for shape in shapes if re.match(r"\D?9{1,2}[/.\-] ?9{1,2}[/.\-] ?9", shape)]
    if not parts or not in_figures or parts[0][1] > 31:
        return None, ""
    (low, first), (_, second), (third_low, third) = parts
    if third <= 31 and first - low <= 15 and low >= 9 and third - third_low >= 20:
        return "year_first", f"the first number stays between {low} and {first}, the last runs from {third_low} to {third}"
    if any("." in shape for shape in in_figures):
        return "day_first", "dates with points begin with the day"
    if first > 12 and second > 12:
        raise UnmappableError(
            "ambiguous_date", f"{path}: in column {name!r} both the first and the second number of dates go beyond 12", "time"
        )
    if first > 12:
        return "day_first", f"the first number goes up to {first}, the second only to {second}"
    if second > 12:
        return "month_first", f"the second number goes up to {second}, the first only to {first}"
    raise UnmappableError(
        "ambiguous_date",
        mapping_hint(
            path, f"{path}: the dates in column {name!r} may be day/month or month/day, no number of them goes beyond 12",
            dates="day_first   # or month_first",
        ),
        "time",
    )  # fmt: skip


def is_excel_days(name: str, column: Json, sample: list[str]) -> bool:
    """Whether a column of dates holds a spreadsheet's count of days (44197 for 2021-01-01)."""
    filled = [text.strip() for text in sample if text.strip()]
    shapes: dict[str, int] = column.get("shapes") or {}
    return (
        bool(filled)
        and re.search(r"date|time|dat|fecha|дата", name, re.IGNORECASE) is not None
        and all(_EXCEL.fullmatch(text) for text in filled)
        and all(re.fullmatch(r"9{5}(?:[.,]9+)?|", shape.strip()) for shape in shapes)
    )


# -- numbers ----------------------------------------------------------------------------------------------------------


def decimal_marks(
    path: str, delimiter: str, columns: dict[int, Json], names: dict[int, str], said: str | None
) -> tuple[dict[int, str], str]:
    """What stands before a fraction in each of these columns, and why. Raises UnmappableError `ambiguous_number`."""
    if said:
        return dict.fromkeys(columns, said), "mapping.yaml says so"
    marks = {position: _mark_of(path, names[position], column) for position, column in columns.items()}
    decided = {mark for mark in marks.values() if mark}
    if len(decided) == 1:
        mark = decided.pop()
        return dict.fromkeys(columns, mark), f"columns show {'1,5' if mark == ',' else '1.5 or 1,234.5'}"
    why = "each column shows its own" if decided else ""
    for position in (position for position, mark in marks.items() if mark is None):
        kinds = columns[position].get("kinds") or {}
        has_comma, has_point = kinds.get("comma_either", 0) > 0, kinds.get("point_either", 0) > 0
        if (has_comma or has_point) and (delimiter != "," or (has_comma and has_point)):
            shape = "1,234" if has_comma else "1.234"
            raise UnmappableError(
                "ambiguous_number",
                mapping_hint(
                    path, f"{path}: numbers such as {shape} in column {names[position]!r} may be fractions or thousands",
                    decimal='"."   # or ","',
                ),
                "price",
            )  # fmt: skip
        if has_comma:
            why = "the file is cut at commas, so those inside quotes group thousands"
    return {position: mark or "." for position, mark in marks.items()}, why


def _mark_of(path: str, name: str, column: Json) -> str | None:
    kinds: dict[str, int] = column.get("kinds") or {}
    comma = kinds.get("decimal_comma", 0) + kinds.get("thousands_point", 0) * (kinds.get("decimal_point", 0) == 0)
    point = kinds.get("decimal_point", 0) + kinds.get("thousands_comma", 0)
    if comma and point and max(comma, point) < _OVERWHELMING * min(comma, point):
        raise UnmappableError(
            "ambiguous_number",
            mapping_hint(path, f"{path}: column {name!r} has numbers with a decimal comma and with a point", decimal='","'),
            "price",
        )
    return None if not comma and not point else "," if comma > point else "."


# -- spacing ----------------------------------------------------------------------------------------------------------


def interval_of(path: str, rows: list[Row], moment: Callable[[Row], datetime], said: str | None) -> tuple[str | None, str]:
    """(how far apart rows are, why): the most frequent distance between neighbours, else what the file's name says."""
    if said:
        return said, "mapping.yaml says so"
    moments = []
    for row in rows:
        try:
            moments.append(moment(row))
        except (BadValueError, IndexError):
            continue
    gaps = Counter(seconds for a, b in pairwise(moments) if (seconds := abs(round((b - a).total_seconds()))))
    if gaps:
        seconds, count = gaps.most_common(1)[0]
        text = "1M" if 28 * 86400 <= seconds <= 31 * 86400 else _INTERVALS.get(seconds, f"{seconds}s")
        return text, f"{count} of {sum(gaps.values())} distances between the first rows"
    if found := _NAMED_INTERVAL.search(path.rpartition("/")[2]):
        return f"{found[1]}{found[2][0]}", "the file's name says so"
    return None, ""
