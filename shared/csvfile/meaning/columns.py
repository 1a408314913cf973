"""Which column is what: by its name where the cells agree, else by what its cells show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shared.csvfile.meaning.column_names import (
    NOTHING,
    OHLC,
    NameMeaning,
    key,
    rank,
    read_name,
)
from shared.csvfile.meaning.number_formats import (
    NUMBER_KINDS,
    is_excel_days,
    share,
)
from shared.values.symbols import FIAT, parse_pair

Json = dict[str, Any]
PRICE_ROLES = ("price", *OHLC)
NUMBER_ROLES = (*PRICE_ROLES, "volume", "quote_volume", "market_cap")
CLEARLY = 0.8  # of the other step
MAX_LOOKED_AT = 40  # values of a column
_EPOCH = re.compile(
    r"9{10}(?:\.9+)?|9{13}(?:\.9+)?|9{16}|9{19}|9{8}|9{12}|9{14}"
)
_CLOCK = re.compile(r"9{1,2}:9{2}(?::9{2}(?:[.,]9+)?)?(?: ?aa)?|9{1,6}")
_DAY_ONLY = re.compile(r"9{8}|9{1,4}[/.\-] ?9{1,2}[/.\-] ?9{1,4}\.?")
# Others may hold exchanges, ids and the like.
_SYMBOL_NAMES = frozenset(
    ["symbol", "ticker", "pair", "tradingpair", "currencypair"]
)
_CLOCK_NAMES = frozenset(
    "time zeit heure hora ora uhrzeit czas saat время 时间 시간 godzina localtime timeutc".split()
)


@dataclass(frozen=True)
class Column:
    """One column: its name, what the name says, and the statistics of its cells."""

    position: int
    name: str
    meaning: NameMeaning
    stats: Json
    sample: list[str] = field(default_factory=list)

    @property
    def shown(self) -> str:
        return self.name or f"number {self.position + 1}"

    def holds_numbers(self) -> bool:
        return self.is_empty() or share(self.stats, NUMBER_KINDS) >= 0.5

    def holds_times(self) -> bool:
        if self.is_empty() or self.holds_dates():
            return True
        return self._share_of(_EPOCH) >= 0.5 or self.is_excel()

    def holds_dates(self) -> bool:
        return share(self.stats, ("time", "spelled_time")) >= 0.5

    def is_excel(self) -> bool:
        return is_excel_days(self.name, self.stats, self.sample)

    def holds_clocks(self) -> bool:
        return self._share_of(_CLOCK) >= 0.9

    def holds_days_only(self) -> bool:
        return self._share_of(_DAY_ONLY) >= 0.9

    def holds_symbols(self) -> bool:
        """Whether cells are pairs or coins, and not numbers, exchanges or the like."""
        listed = self.stats.get("values") or self.sample
        values = [text for text in listed if text.strip()][:MAX_LOOKED_AT]
        if not values:
            return True
        digits = sum(text.strip().isdigit() for text in values)
        return (
            any(map(self._is_symbol, values)) and digits < len(values) / 2
        )

    def _is_symbol(self, text: str) -> bool:
        pair = parse_pair(text)
        if pair is None:
            return False
        return (
            key(self.name) in _SYMBOL_NAMES
            or bool(pair.currency)
            or pair.is_known
        )

    def is_constant(self) -> bool:
        values = self.stats.get("values")
        return (
            values is not None
            and sum(bool(value.strip()) for value in values) <= 1
        )

    def is_empty(self) -> bool:
        return not share(self.stats, set(self.stats.get("kinds") or ()))

    def is_useful(self) -> bool:
        """Whether it holds something, and not the same in every row."""
        return not self.is_empty() and not self.is_constant()

    def _share_of(self, pattern: re.Pattern[str]) -> float:
        shapes: dict[str, int] = self.stats.get("shapes") or {}
        filled = {
            shape: count for shape, count in shapes.items() if shape.strip()
        }
        fitting = sum(
            count
            for shape, count in filled.items()
            if pattern.fullmatch(shape.strip())
        )
        return fitting / (sum(filled.values()) or 1)


def read_columns(context: Json, stats: Json) -> list[Column]:
    """The columns of a page's context with the statistics of the file."""
    names: list[str] = context.get("columns") or []
    sample: list[list[str]] = context.get("sample") or []
    of_columns: list[Json] = stats.get("columns") or []
    widest = sample[0] if sample else []
    width = len(names) or len(of_columns) or len(widest)
    columns = []
    for position in range(width):
        cells = [row[position] for row in sample if position < len(row)]
        own = of_columns[position] if position < len(of_columns) else {}
        columns.append(_column(position, names, own, cells))
    return columns


def _column(
    position: int, names: list[str], stats: Json, cells: list[str]
) -> Column:
    if position >= len(names):
        return Column(position, "", NOTHING, stats, cells)
    name = names[position]
    return Column(position, name, read_name(name), stats, cells)


class TimeColumns(NamedTuple):
    """The column of times, the date beside it where they are two columns, and the reason."""

    time: Column
    date: Column | None
    reason: str


def time_columns(columns: list[Column]) -> TimeColumns | None:
    """None where no column is a time."""
    clocks = list(filter(_is_clock, columns))
    named = [
        column
        for column in columns
        if _is_named_time(column) and column not in clocks
    ]
    if named:
        best = min(named, key=lambda column: rank(column.name))
        if clocks and best.holds_days_only():
            return TimeColumns(clocks[0], best, "a date and a time of day")
        return TimeColumns(best, None, "its name and its cells")
    return _time_by_cells(list(filter(Column.is_useful, columns)))


def _is_clock(column: Column) -> bool:
    return key(column.name) in _CLOCK_NAMES and column.holds_clocks()


def _is_named_time(column: Column) -> bool:
    return column.meaning.role == "time" and column.holds_times()


def _time_by_cells(columns: list[Column]) -> TimeColumns | None:
    """The first column of dates, else of times."""
    for holds in (Column.holds_dates, Column.holds_times):
        for column in filter(holds, columns):
            return TimeColumns(column, None, "its cells are times")
    return None


class Candle(NamedTuple):
    """Positions of open, high, low and close, and the reason."""

    columns: dict[str, int]
    reason: str


def ohlc_by_cells(
    columns: list[Column],
    related: Json,
    *,
    is_ascending: bool,
    taken: set[int],
) -> Candle | None:
    """Open, high, low and close among four neighbouring columns.

    They are told apart by how their numbers relate.
    """
    above = {(a, b) for a, b in related.get("never_below") or ()}
    steps = _steps_of(related)
    for four in _neighbours(columns, related, taken):
        bounds = _high_and_low(four, above)
        if bounds is not None:
            return _open_and_close(
                four, *bounds, steps, is_ascending=is_ascending
            )
    return None


def _neighbours(
    columns: list[Column], related: Json, taken: set[int]
) -> Iterator[list[int]]:
    """Every four neighbouring columns of numbers that change."""
    numeric = [
        position
        for position in related.get("numeric") or ()
        if position not in taken and not columns[position].is_constant()
    ]
    for start in range(len(numeric) - 3):
        four = numeric[start : start + 4]
        if four[3] == four[0] + 3:
            yield four


def _steps_of(related: Json) -> dict[str, float]:
    """Fractions travel as exact numbers, which may be texts."""
    steps: Json = related.get("steps") or {}
    return {pair: float(size) for pair, size in steps.items()}


def _high_and_low(
    four: list[int], above: set[tuple[int, int]]
) -> tuple[int, int] | None:
    """The one that is never below the others and the one that is never above them.

    None where others are ordered too: then nothing tells open and close from them.
    """
    high = _above_all(four, above)
    low = _above_all(four, {(b, a) for a, b in above})
    if high is None or low is None:
        return None
    first, second = _between(four, high, low)
    if (first, second) in above or (second, first) in above:
        return None
    return high, low


def _above_all(four: list[int], above: set[tuple[int, int]]) -> int | None:
    for one in four:
        others = {(one, other) for other in four if other != one}
        if others <= above:
            return one
    return None


def _between(four: list[int], high: int, low: int) -> list[int]:
    return [one for one in four if one not in (high, low)]


def _open_and_close(
    four: list[int],
    high: int,
    low: int,
    steps: dict[str, float],
    *,
    is_ascending: bool,
) -> Candle | None:
    """A close is followed by an open near it: by the one of the row below.

    Or above, where the newest row stands first.
    """
    first, second = _between(four, high, low)
    left = steps.get(f"{second},{first}")
    right = steps.get(f"{first},{second}")
    if left is None or right is None:
        return None
    if not is_ascending:
        left, right = right, left
    reason = "each open lies near the close before it"
    is_opening = _is_nearer(left, right)
    if is_opening is None and _is_usual_order(first, high, low, second):
        is_opening = True
        reason = "the usual order open, high, low, close"
    if is_opening is None:
        return None
    opening, closing = (first, second) if is_opening else (second, first)
    return _candle(opening, high, low, closing, reason)


def _is_nearer(one: float, other: float) -> bool | None:
    """Whether one step is clearly smaller than the other; None where neither is."""
    if one < CLEARLY * other:
        return True
    return False if other < CLEARLY * one else None


def _is_usual_order(first: int, high: int, low: int, second: int) -> bool:
    return first < high < low < second


def _candle(
    opening: int, high: int, low: int, closing: int, reason: str
) -> Candle:
    roles = {"open": opening, "high": high, "low": low, "close": closing}
    bounds = (
        "of four neighbours one is never below, one never above the others"
    )
    return Candle(roles, f"{bounds}; {reason}")


def is_coin(currency: str | None) -> bool:
    """Whether what stands in a name like `price_btc` may be the coin and not the currency."""
    return currency is not None and currency not in FIAT


class Reasons:
    """Why a file was taken for what it was taken for, for people.

    A list of conclusions, each with its reason and the columns that it is about.
    """

    def __init__(self) -> None:
        self.listed: list[Json] = []

    def add(
        self, what: str, value: object, reason: str, *columns: Column
    ) -> None:
        entry: Json = {"what": what, "is": value, "because": reason}
        if columns:
            entry["columns"] = [column.shown for column in columns]
        self.listed.append(entry)
