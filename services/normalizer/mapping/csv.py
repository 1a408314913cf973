"""CSV rows: candles where a row has open, high, low and close, prices where it has a price only.

What a column means is concluded from the header and the first rows, which every page carries in its context.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from services.normalizer.mapping.base import (
    BadValueError,
    MapRecord,
    Outcome,
    PageInfo,
    UnmappableError,
    data_point,
    iso,
    number,
    timestamp,
)
from services.normalizer.mapping.symbols import Pair, pair_from_name, parse_pair
from shared.events import Rejection, Skip

# Names of columns, without case and punctuation, best first.
_NAMES: dict[str, tuple[str, ...]] = {
    "time": (
        "opentime",
        "timeopen",
        "openat",
        "unix",
        "unixtimestamp",
        "timestamp",
        "datetime",
        "date",
        "time",
        "snappedat",
        "dateutc",
        "timeutc",
        "day",
    ),
    "open": ("open", "openprice", "o"),
    "high": ("high", "highprice", "max", "h"),
    "low": ("low", "lowprice", "min", "l"),
    "close": ("close", "closeprice", "closing", "closingprice", "last", "c"),
    "price": ("price", "priceusd", "rate", "spot", "value", "lastprice"),
    "volume": ("volume", "vol", "totalvolume", "basevolume", "volume24h", "v"),
    "market_cap": ("marketcap", "mktcap", "marketcapitalization", "capmrktcurusd"),
    "symbol": ("symbol", "ticker", "pair", "coin", "market", "instrument", "asset"),
}
_OHLC = ("open", "high", "low", "close")
_INTERVALS = {
    60: "1m",
    180: "3m",
    300: "5m",
    900: "15m",
    1800: "30m",
    3600: "1h",
    7200: "2h",
    14400: "4h",
    21600: "6h",
    28800: "8h",
    43200: "12h",
    86400: "1d",
    259200: "3d",
    604800: "1w",
}
# A comma that can only be a decimal one.
_FRACTION = re.compile(r"-?(?:0,\d+|\d{1,3}(?:\.\d{3})+,\d+|\d+,(?:\d{1,2}|\d{4,})|\d{4,},\d+)", re.ASCII)
_EITHER = re.compile(r"-?\d{1,3},\d{3}", re.ASCII)
_NOT_A_NAME = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True)
class Plan:
    """What the columns of a file mean. Positions by role; `date` stands beside `time` where they are two columns."""

    width: int
    columns: dict[str, int]
    date: int | None
    pair: Pair | None  # of the whole file; None: each row names its own
    interval: str | None
    comma: str = "thousands"  # what a comma in a number is: thousands, decimal, unknown

    @property
    def is_candle(self) -> bool:
        return all(role in self.columns for role in _OHLC)

    def moment(self, row: list[str]) -> datetime:
        text = row[self.columns["time"]]
        return timestamp("time", text if self.date is None else f"{row[self.date]} {text}".strip())


def compile_mapping(info: PageInfo) -> MapRecord:
    context = info.context
    plan = _plan(
        str(context.get("path", "")),
        str(context.get("delimiter", ",")),
        tuple(context.get("columns") or ()),
        tuple(tuple(row) for row in context.get("sample") or ()),
    )
    map_row = _candle if plan.is_candle else _price

    def map_record(index: int, row: Any) -> Outcome:
        if len(row) != plan.width:
            return Rejection(reason="wrong_column_count", message=f"the row has {len(row)} cells, the header {plan.width}")
        try:
            return map_row(info, plan, index, row)
        except BadValueError as error:
            return error.rejection()

    return map_record


@lru_cache(maxsize=256)
def _plan(path: str, delimiter: str, header: tuple[str, ...], sample: tuple[tuple[str, ...], ...]) -> Plan:
    names = [_NOT_A_NAME.sub("", name.lower()) for name in header]
    names = _without_venues(names, sample)
    columns = {role: position for role, wanted in _NAMES.items() if (position := _position(names, wanted)) is not None}
    if "volume" not in columns and (position := next((n for n, name in enumerate(names) if name.startswith("volume")), None)) is not None:
        columns["volume"] = position
    if "close" not in columns and "price" in columns and all(role in columns for role in ("open", "high", "low")):
        columns["close"] = columns["price"]  # Investing.com's word for it
    _require(header, columns)
    date = names.index("date") if names[columns["time"]] == "time" and "date" in names else None
    if date is None and names[columns["time"]] == "date" and "time" in names:
        date, columns = columns["time"], {**columns, "time": names.index("time")}
    pair = None if "symbol" in columns else pair_from_name(PurePosixPath(path).stem)
    if pair is None and "symbol" not in columns:
        raise UnmappableError(
            "unknown_symbol",
            f"neither a column nor the name of {path!r} says which coin this is: name it like btc-usd.csv, or add a column symbol",
            "symbol",
        )
    plan = Plan(len(header), columns, date, pair, None)
    return Plan(len(header), columns, date, pair, _interval(plan, sample), _comma(delimiter, columns, sample))


def _without_venues(names: list[str], sample: tuple[tuple[str, ...], ...]) -> list[str]:
    """Column names, without `market`, `asset` and the like where they hold something else than symbols (an exchange's name)."""

    def holds_symbols(position: int) -> bool:
        pairs = [parse_pair(row[position]) for row in sample if position < len(row)]
        return not pairs or any(pair is not None and (pair.currency or pair.is_known) for pair in pairs)

    return ["" if name in ("market", "instrument", "asset", "coin") and not holds_symbols(n) else name for n, name in enumerate(names)]


def _comma(delimiter: str, columns: dict[str, int], sample: tuple[tuple[str, ...], ...]) -> str:
    """What a comma in a number means: thousands in a file that is cut at commas, else what the first rows show."""
    if delimiter == ",":
        return "thousands"
    roles = [columns[role] for role in ("price", *_OHLC, "volume", "market_cap") if role in columns]
    with_comma = [text for row in sample for position in roles if position < len(row) and "," in (text := row[position].strip())]
    if any(_FRACTION.fullmatch(text) for text in with_comma):
        return "decimal"
    return "thousands" if any(text.count(",") > 1 or "." in text for text in with_comma) else "unknown"


def _position(names: list[str], wanted: tuple[str, ...]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _require(header: tuple[str, ...], columns: dict[str, int]) -> None:
    shown = ", ".join(header)[:200] or "nothing"
    if "time" not in columns:
        raise UnmappableError("unknown_columns", f"no column is a time (date, time, timestamp …); the header says: {shown}", "time")
    if not all(role in columns for role in _OHLC) and "price" not in columns and "close" not in columns:
        raise UnmappableError(
            "unknown_columns", f"no column is a price (price, close, or open, high, low, close); the header says: {shown}", "price"
        )


def _interval(plan: Plan, sample: tuple[tuple[str, ...], ...]) -> str | None:
    """The most frequent distance between neighbouring rows of the file's beginning."""
    moments = []
    for row in sample:
        try:
            moments.append(plan.moment(list(row)))
        except (BadValueError, IndexError):
            continue
    gaps = Counter(seconds for a, b in pairwise(moments) if (seconds := abs(round((b - a).total_seconds()))))
    if not gaps:
        return None
    seconds = gaps.most_common(1)[0][0]
    return "1M" if 28 * 86400 <= seconds <= 31 * 86400 else _INTERVALS.get(seconds, f"{seconds}s")


def _which(plan: Plan, row: list[str]) -> Pair:
    if plan.pair is not None:
        return plan.pair
    text = row[plan.columns["symbol"]]
    pair = parse_pair(text)
    if pair is None:
        raise BadValueError("symbol", "unknown_symbol", f"not a symbol: {text[:40]!r}")
    return pair


def _amount(plan: Plan, row: list[str], role: str) -> str | None:
    position = plan.columns.get(role)
    if position is None:
        return None
    text = row[position]
    if plan.comma != "thousands" and "," in text:
        if plan.comma == "unknown" and _EITHER.fullmatch(text.strip()):
            raise BadValueError(role, "ambiguous_number", f"{role} {text!r} may be a fraction or thousands: write it without a comma")
        text = text.replace(".", "").replace(",", ".") if plan.comma == "decimal" else text
    amount = number(role, text)
    if amount is not None and amount.startswith("-"):
        raise BadValueError(role, "negative", f"{role} is negative: {amount}")
    return amount


def _candle(info: PageInfo, plan: Plan, index: int, row: list[str]) -> Outcome:
    prices = [_amount(plan, row, role) for role in _OHLC]
    if not any(prices):
        return Skip(index=index, reason="no_value")
    for role, price in zip(_OHLC, prices, strict=True):
        if price is None:
            raise BadValueError(role, "missing_value", f"{role} is empty while others of the row are not")
    open_, high, low, close = prices
    floats = [float(price or 0) for price in prices]
    if floats[1] < max(floats) or floats[2] > min(floats):
        raise BadValueError(
            "high" if floats[1] < max(floats) else "low",
            "contradiction",
            f"open {open_}, high {high}, low {low}, close {close} contradict each other",
        )
    pair, moment = _which(plan, row), iso(plan.moment(row))
    return [data_point(
        info, index, ("candle", pair.instrument, pair.currency or "", plan.interval or "", moment),
        kind="candle", timestamp=moment, instrument=pair.instrument, symbol=pair.symbol, currency=pair.currency, interval=plan.interval,
        open=open_, high=high, low=low, close=close, volume=_amount(plan, row, "volume"), market_cap=_amount(plan, row, "market_cap"),
    )]  # fmt: skip


def _price(info: PageInfo, plan: Plan, index: int, row: list[str]) -> Outcome:
    price = _amount(plan, row, "price" if "price" in plan.columns else "close")
    if price is None:
        return Skip(index=index, reason="no_value")
    pair, moment = _which(plan, row), iso(plan.moment(row))
    return [data_point(
        info, index, ("price", pair.instrument, pair.currency or "", "", moment),
        kind="price", timestamp=moment, instrument=pair.instrument, symbol=pair.symbol, currency=pair.currency,
        price=price, volume=_amount(plan, row, "volume"), market_cap=_amount(plan, row, "market_cap"),
    )]  # fmt: skip
