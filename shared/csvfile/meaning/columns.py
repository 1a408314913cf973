"""One column of a CSV file: what its name says, and what its cells show.

A column without cells shows nothing: it holds neither numbers nor times nor symbols.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from shared.csvfile.meaning.column_names import (
    NameMeaning,
    key,
    read_name,
)
from shared.csvfile.meaning.number_formats import (
    NUMBER_KINDS,
    is_excel_days,
    share,
)
from shared.values.amounts import MISSING
from shared.values.candles import OHLC
from shared.values.symbols import parse_pair

Json = dict[str, Any]
PRICE_ROLES = (
    "price",
    *OHLC,
    "last",
    "derived_price",
    "vague_price",
)
NUMBER_ROLES = (*PRICE_ROLES, "volume", "quote_volume", "market_cap")
MAX_LOOKED_AT = 40  # values of a column
_EPOCH = re.compile(
    r"9{10}(?:\.9+)?|9{13}(?:\.9+)?|9{16}|9{19}|9{8}|9{12}|9{14}"
)
# An epoch says its moment; eight, twelve and fourteen digits are a calendar's.
_ABSOLUTE = re.compile(
    r"9{10}(?:\.9+)?|9{13}(?:\.9+)?|9{16}|9{19}|.*(?:[a ]|:99(?:\.9+)?)[-+]99:?99|.*9[aA]|.* aaa"
)
_COMPACT = re.compile(
    r"9{8}[ a_\-]+9{1,2}(?::?9{2}){1,2}(?:[.,]9+)?(?: ?a{1,3}| ?[+\-]9{2}:?9{2})?"
)
# By how many digits: parts of a second.
_EPOCHS = {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}
_CALENDARS = (8, 12, 14)
_FIRST_SECOND, _LAST_SECOND = 1_230_768_000, 4_102_444_800  # 2009, 2100
_CLOCK = re.compile(r"9{1,2}:9{2}(?::9{2}(?:[.,]9+)?)?(?: ?aa)?|9{1,6}")
_CLOCK_WITH_COLON = re.compile(
    r"9{1,2}:9{2}(?::9{2}(?:[.,]9+)?)?(?: ?aa)?"
)
_DAY_ONLY = re.compile(r"9{8}|9{1,4}[/.\-] ?9{1,2}[/.\-] ?9{1,4}\.?")
# Others may hold exchanges, ids and the like.
_SYMBOL_NAMES = frozenset(
    ["symbol", "ticker", "pair", "tradingpair", "currencypair"]
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

    @cached_property
    def filled(self) -> int:
        """Cells that are not blank."""
        kinds: dict[str, int] = self.stats.get("kinds") or {}
        filled = sum(kinds.values()) - kinds.get("blank", 0)
        # A word of three or four letters in a column of numbers is `null`, `NaN` and the like.
        return filled - (
            kinds.get("word", 0) if self.holds_numbers() else 0
        )

    def is_empty(self) -> bool:
        if share(self.stats, set(self.stats.get("kinds") or ())):
            return False
        return all(map(_is_missing, self.values()))

    def values(self) -> list[str]:
        """The distinct values of its cells where they are few, else those of the first rows."""
        listed = self.stats.get("values")
        return self.sample if listed is None else listed

    def holds_numbers(self) -> bool:
        return share(self.stats, NUMBER_KINDS) >= 0.5

    def holds_times(self) -> bool:
        if self.holds_clocks_only():
            return False
        return (
            self.holds_dates()
            or (self._share_of(_EPOCH) >= 0.5 and self._may_be_moments())
            or self.is_excel()
        )

    def _may_be_moments(self) -> bool:
        """Whether as many digits as an epoch or a calendar has are one: 58000000 is no day."""
        known = [
            is_moment
            for text in self.sample
            if (is_moment := _is_moment(text.strip())) is not None
        ]
        return sum(known) >= len(known) / 2

    def holds_dates(self) -> bool:
        return self._seem_dates() and not self.holds_clocks_only()

    def _seem_dates(self) -> bool:
        is_written = share(self.stats, ("time", "spelled_time")) >= 0.5
        return is_written or self._share_of(_COMPACT) >= 0.5

    def is_excel(self) -> bool:
        return is_excel_days(self.name, self.stats, self.sample)

    def holds_clocks(self) -> bool:
        """Whether cells may be times of day: `09:30`, `93000`."""
        return self._share_of(_CLOCK) >= 0.9

    def holds_clocks_only(self) -> bool:
        """Whether cells can be nothing else than times of day."""
        return self._share_of(_CLOCK_WITH_COLON) >= 0.5

    def holds_days_only(self) -> bool:
        return self._share_of(_DAY_ONLY) >= 0.9

    def holds_moments(self) -> bool:
        """Whether cells say themselves what moment they are: an epoch, or a zone behind them."""
        return self._share_of(_ABSOLUTE) >= 0.5

    def holds_symbols(self) -> bool:
        """Whether cells are pairs or coins, and not numbers, exchanges or the like."""
        values = [text for text in self.values() if text.strip()]
        values = values[:MAX_LOOKED_AT]
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

    def is_useful(self) -> bool:
        """Whether it holds something, and not the same in every row."""
        return not self.is_empty() and not self.is_constant()

    def _share_of(self, pattern: re.Pattern[str]) -> float:
        shapes: dict[str, int] = self.stats.get("shapes") or {}
        filled = {
            shape: count
            for shape, count in shapes.items()
            if shape.strip()
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
    width = (
        len(names)
        or len(of_columns)
        or max(map(len, sample[:1]), default=0)
    )
    columns = []
    for position in range(width):
        cells = [row[position] for row in sample if position < len(row)]
        own = of_columns[position] if position < len(of_columns) else {}
        columns.append(_column(position, names, own, cells))
    return columns


def _column(
    position: int, names: list[str], stats: Json, cells: list[str]
) -> Column:
    name = names[position] if position < len(names) else ""
    return Column(position, name, read_name(name), stats, cells)


def _is_moment(text: str) -> bool | None:
    """Of 8 to 19 digits; None for what is written otherwise."""
    digits = text.partition(".")[0]
    if not digits.isascii() or not digits.isdigit():
        return None
    if len(digits) in _EPOCHS:
        seconds = int(digits) / _EPOCHS[len(digits)]
        return _FIRST_SECOND <= seconds <= _LAST_SECOND
    if len(digits) in _CALENDARS:
        month, day = int(digits[4:6]), int(digits[6:8])
        return (
            "1970" <= digits[:4] <= "2199"
            and 1 <= month <= 12
            and 1 <= day <= 31
        )
    return None


def _is_missing(text: str) -> bool:
    return text.strip().lower() in MISSING


def fullest(columns: list[Column]) -> list[Column]:
    """Without those that are empty, or that hold less than half of what another holds."""
    most = max((column.filled for column in columns), default=0)
    return [
        column
        for column in columns
        if not column.is_empty() and 2 * column.filled >= most
    ]


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
