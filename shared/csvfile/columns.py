"""Which column is what: by its name where the name is understood and its cells agree, else by what its cells show."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from shared.csvfile.column_names import OHLC, Named, key, rank, read_name
from shared.csvfile.number_formats import NUMBER_KINDS, is_excel_days, share
from shared.values.symbols import FIAT, parse_pair

Json = dict[str, Any]
PRICE_ROLES = ("price", *OHLC)
NUMBER_ROLES = (*PRICE_ROLES, "volume", "quote_volume", "market_cap")
_EPOCH = re.compile(r"9{10}(?:\.9+)?|9{13}(?:\.9+)?|9{16}|9{19}|9{8}|9{12}|9{14}")
_CLOCK = re.compile(r"9{1,2}:9{2}(?::9{2}(?:[.,]9+)?)?(?: ?aa)?|9{1,6}")
_SYMBOL_NAMES = frozenset(["symbol", "ticker", "pair", "tradingpair", "currencypair"])  # others may hold exchanges, ids and the like
_DAY_ONLY = re.compile(r"9{8}|9{1,4}[/.\-] ?9{1,2}[/.\-] ?9{1,4}\.?")


@dataclass(frozen=True)
class Column:
    """One column: its name, what the name says, and the evidence over its cells."""

    position: int
    name: str
    named: Named
    evidence: Json
    sample: list[str] = field(default_factory=list)

    @property
    def shown(self) -> str:
        return self.name or f"number {self.position + 1}"

    def holds_numbers(self) -> bool:
        return self.is_empty() or share(self.evidence, NUMBER_KINDS) >= 0.5

    def holds_times(self) -> bool:
        return self.is_empty() or self.holds_dates() or self._share_of(_EPOCH) >= 0.5 or self.is_excel()

    def holds_dates(self) -> bool:
        return share(self.evidence, ("time", "spelled_time")) >= 0.5

    def is_excel(self) -> bool:
        return is_excel_days(self.name, self.evidence, self.sample)

    def holds_clocks(self) -> bool:
        return self._share_of(_CLOCK) >= 0.9

    def holds_days_only(self) -> bool:
        return self._share_of(_DAY_ONLY) >= 0.9

    def holds_symbols(self) -> bool:
        """Whether cells are pairs or coins, and not numbers, exchanges or the like."""
        values = [text for text in self.evidence.get("values") or self.sample if text.strip()][:40]
        pairs = [parse_pair(text) for text in values]
        is_plain = key(self.name) in _SYMBOL_NAMES
        known = sum(pair is not None and bool(is_plain or pair.currency or pair.is_known) for pair in pairs)
        return not values or (known > 0 and sum(text.strip().isdigit() for text in values) < len(values) / 2)

    def is_constant(self) -> bool:
        values = self.evidence.get("values")
        return values is not None and len([value for value in values if value.strip()]) <= 1

    def is_empty(self) -> bool:
        return not share(self.evidence, set(self.evidence.get("kinds") or ()))

    def _share_of(self, pattern: re.Pattern[str]) -> float:
        shapes: dict[str, int] = {shape: count for shape, count in (self.evidence.get("shapes") or {}).items() if shape.strip()}
        return sum(count for shape, count in shapes.items() if pattern.fullmatch(shape.strip())) / (sum(shapes.values()) or 1)


def read_columns(context: Json, evidence: Json) -> list[Column]:
    names: list[str] = list(context.get("columns") or [])
    sample: list[list[str]] = context.get("sample") or []
    found: list[Json] = evidence.get("columns") or []
    width = len(names) or len(found) or (len(sample[0]) if sample else 0)
    return [
        Column(
            n, names[n] if n < len(names) else "", read_name(names[n]) if n < len(names) else Named(), found[n] if n < len(found) else {},
            [row[n] for row in sample if n < len(row)],
        )
        for n in range(width)
    ]  # fmt: skip


def time_columns(columns: list[Column]) -> tuple[Column, Column | None, str] | None:
    """(time, the date beside it where they are two columns, why)."""
    clocks = [column for column in columns if column.holds_clocks() and key(column.name) in _CLOCK_NAMES]
    named = sorted(
        (column for column in columns if column.named.role == "time" and column.holds_times() and column not in clocks),
        key=lambda column: rank(column.name),
    )
    if named:
        best = named[0]
        return (
            (clocks[0], best, "a date and a time of day") if clocks and best.holds_days_only() else (best, None, "its name and its cells")
        )
    filled = [column for column in columns if not column.is_empty() and not column.is_constant()]
    dates = [column for column in filled if column.holds_dates()]
    found = next(iter([*dates, *(column for column in filled if column.holds_times())]), None)
    return (found, None, "its cells are times") if found else None


_CLOCK_NAMES = frozenset(
    ["time", "zeit", "heure", "hora", "ora", "uhrzeit", "czas", "saat", "время", "时间", "시간", "godzina", "localtime", "timeutc"]
)


def ohlc_by_cells(columns: list[Column], related: Json, *, is_ascending: bool, taken: set[int]) -> tuple[dict[str, int], str] | None:
    """Open, high, low and close among four neighbouring columns, told apart by how their numbers relate."""
    above = {(a, b) for a, b in related.get("never_below") or ()}
    # Fractions travel as exact numbers, which may be texts.
    steps = {pair: float(size) for pair, size in (related.get("steps") or {}).items()}
    numeric = [n for n in related.get("numeric") or () if n not in taken and not columns[n].is_constant()]
    for start in range(len(numeric) - 3):
        four = numeric[start : start + 4]
        if four != list(range(four[0], four[0] + 4)):
            continue
        high = next((n for n in four if sum((n, m) in above for m in four) == 3), None)
        low = next((n for n in four if sum((m, n) in above for m in four) == 3), None)
        if high is None or low is None or any((n, m) in above for n in four for m in four if {n, m}.isdisjoint({high, low})):
            continue
        first, second = (n for n in four if n not in (high, low))
        return _open_and_close(first, second, high, low, steps, is_ascending=is_ascending)
    return None


def _open_and_close(
    first: int, second: int, high: int, low: int, steps: dict[str, float], *, is_ascending: bool
) -> tuple[dict[str, int], str] | None:
    """A close is followed by an open near it: by the one of the row below, or above where the newest row stands first."""
    left, right = steps.get(f"{second},{first}"), steps.get(f"{first},{second}")
    if left is None or right is None:
        return None
    close_then_open, open_then_close = (left, right) if is_ascending else (right, left)
    if close_then_open < 0.8 * open_then_close:
        opening, closing, why = first, second, "each open lies near the close before it"
    elif open_then_close < 0.8 * close_then_open:
        opening, closing, why = second, first, "each open lies near the close before it"
    elif high < low and first < high and second > low:
        opening, closing, why = first, second, "the usual order open, high, low, close"
    else:
        return None
    return {
        "open": opening,
        "high": high,
        "low": low,
        "close": closing,
    }, f"of four neighbours one is never below, one never above the others; {why}"


def is_coin(currency: str | None) -> bool:
    """Whether what stands in a name like `price_btc` may be the coin and not the currency."""
    return currency is not None and currency not in FIAT
