"""What the columns of a CSV file mean, concluded from the header and the first rows that every page carries in its context."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import PurePosixPath

from services.normalizer.mapping.base import UnmappableError
from shared.errors import BadValueError
from shared.values.symbols import QUOTES, Pair, pair_from_name, parse_pair
from shared.values.times import timestamp, timestamp_text

# Names of columns, without case and punctuation, best first.
_NAMES: dict[str, tuple[str, ...]] = {
    "time": ("opentime", "timeopen", "openat", "unix", "unixtimestamp", "timestamp", "datetime", "date", "time", "snappedat", "dateutc", "timeutc", "day", "ts"),
    "open": ("open", "openprice", "o"),
    "high": ("high", "highprice", "max", "h"),
    "low": ("low", "lowprice", "min", "l"),
    "close": ("close", "closeprice", "closing", "closingprice", "last", "c"),
    "price": ("price", "rate", "spot", "value", "lastprice"),
    "volume": ("volume", "vol", "totalvolume", "basevolume", "volume24h", "v"),
    "market_cap": ("marketcap", "mktcap", "marketcapitalization", "capmrktcurusd"),
    "symbol": ("symbol", "ticker", "pair", "coin", "market", "instrument", "asset"),
    "currency": ("currency", "quotecurrency", "quote"),
}  # fmt: skip
OHLC = ("open", "high", "low", "close")
_INTERVALS = {60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 7200: "2h", 14400: "4h", 21600: "6h", 28800: "8h", 43200: "12h", 86400: "1d", 259200: "3d", 604800: "1w"}  # fmt: skip
_WITH_CURRENCY = re.compile(rf"(price|close|open|high|low|rate|value|marketcap)(?:in)?({'|'.join(QUOTES)})")
# A comma that can only be a decimal one.
_FRACTION = re.compile(r"-?(?:0,\d+|\d{1,3}(?:\.\d{3})+,\d+|\d+,(?:\d{1,2}|\d{4,})|\d{4,},\d+)", re.ASCII)
_NOT_A_NAME = re.compile(r"[^a-z0-9]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Plan:
    """What the columns of a file mean. Positions by role; `date` stands beside `time` where they are two columns."""

    width: int
    columns: dict[str, int]
    date: int | None
    pair: Pair | None  # of the whole file; None: each row names its own
    currency: str | None  # that the header names (`price_usd`)
    interval: str | None
    comma: str  # what a comma in a number is: thousands, decimal, unknown

    @cached_property
    def is_candle(self) -> bool:
        return all(role in self.columns for role in OHLC)

    def moment(self, row: list[str]) -> str:
        """The row's time as ISO 8601 in UTC."""
        return timestamp_text("time", _time_cell(row, self.columns["time"], self.date))

    def which(self, row: list[str]) -> Pair:
        """What the row's price is of. The row's own words count most, then the header's, then the file's name."""
        pair = self.pair
        if pair is None:
            text = row[self.columns["symbol"]]
            pair = parse_pair(text)
            if pair is None:
                raise BadValueError("symbol", "unknown_symbol", f"not a symbol: {text[:40]!r}")
        if "currency" in self.columns and (own := row[self.columns["currency"]].strip()):
            if not own.isalnum() or len(own) > 10:
                raise BadValueError("currency", "unknown_currency", f"not a currency: {own[:40]!r}")
            return Pair(pair.symbol, own.upper())
        if self.currency and (self.pair is not None or pair.currency is None):
            return Pair(pair.symbol, self.currency)
        return pair


def _time_cell(row: list[str] | tuple[str, ...], time: int, date: int | None) -> str:
    return row[time] if date is None else f"{row[date]} {row[time]}".strip()


@lru_cache(maxsize=256)
def build_plan(path: str, delimiter: str, header: tuple[str, ...], sample: Rows) -> Plan:
    """The plan of a file. Raises UnmappableError that says what is missing and what to do."""
    names = _without_venues([_NOT_A_NAME.sub("", name.lower()) for name in header], sample)
    names, currency = _without_currencies(names)
    columns = {
        role: position
        for role, wanted in _NAMES.items()
        if (position := next((names.index(name) for name in wanted if name in names), None)) is not None
    }
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
    if "volume" not in columns and (volume := _volume(names, pair, columns, sample)) is not None:
        columns["volume"] = volume
    return Plan(len(header), columns, date, pair, currency, _interval(columns["time"], date, sample), _comma(delimiter, columns, sample))


def _without_venues(names: list[str], sample: Rows) -> list[str]:
    """Column names, without `market`, `asset` and the like where they hold something else than symbols (an exchange's name)."""

    def holds_symbols(position: int) -> bool:
        pairs = [parse_pair(row[position]) for row in sample if position < len(row)]
        return not pairs or any(pair is not None and (pair.currency or pair.is_known) for pair in pairs)

    return ["" if name in ("market", "instrument", "asset", "coin") and not holds_symbols(n) else name for n, name in enumerate(names)]


def _without_currencies(names: list[str]) -> tuple[list[str], str | None]:
    """`price_usd` as `price`, and the currency that such names agree on: that of the first, where they do not."""
    plain, currency = list(names), None
    for position, name in enumerate(names):
        if (found := _WITH_CURRENCY.fullmatch(name)) and found[1] not in plain and currency in (None, found[2].upper()):
            plain[position], currency = found[1], found[2].upper()
    return plain, currency


def _volume(names: list[str], pair: Pair | None, columns: dict[str, int], sample: Rows) -> int | None:
    """Of `Volume BTC`, `Volume USD` the one in the coin itself. A volume in another unit is not taken for it."""
    if pair is None:
        pair = next((found for row in sample if columns["symbol"] < len(row) and (found := parse_pair(row[columns["symbol"]]))), None)
    wanted = f"volume{pair.symbol}" if pair else ""
    return names.index(wanted) if wanted in names else None


def _require(header: tuple[str, ...], columns: dict[str, int]) -> None:
    shown = ", ".join(header)[:200] or "nothing"
    if sum(_NUMBER.fullmatch(cell.strip()) is not None for cell in header) > len(header) // 2:
        raise UnmappableError(
            "no_header",
            f"the file has no header line, its first line is {shown}: add one, such as open_time,open,high,low,close,volume",
            "time",
        )
    if "time" not in columns:
        raise UnmappableError("unknown_columns", f"no column is a time (date, time, timestamp …); the header says: {shown}", "time")
    if not all(role in columns for role in OHLC) and "price" not in columns and "close" not in columns:
        raise UnmappableError(
            "unknown_columns", f"no column is a price (price, close, or open, high, low, close); the header says: {shown}", "price"
        )


def _comma(delimiter: str, columns: dict[str, int], sample: Rows) -> str:
    """What a comma in a number means: thousands in a file that is cut at commas, else what the first rows show."""
    if delimiter == ",":
        return "thousands"
    roles = [columns[role] for role in ("price", *OHLC, "volume", "market_cap") if role in columns]
    with_comma = [text for row in sample for position in roles if position < len(row) and "," in (text := row[position].strip())]
    if any(_FRACTION.fullmatch(text) for text in with_comma):
        return "decimal"
    return "thousands" if any(text.count(",") > 1 or "." in text for text in with_comma) else "unknown"


def _interval(time: int, date: int | None, sample: Rows) -> str | None:
    """The most frequent distance between neighbouring rows of the file's beginning."""
    moments = []
    for row in sample:
        try:
            moments.append(timestamp("time", _time_cell(row, time, date)))
        except (BadValueError, IndexError):
            continue
    gaps = Counter(seconds for a, b in pairwise(moments) if (seconds := abs(round((b - a).total_seconds()))))
    if not gaps:
        return None
    seconds = gaps.most_common(1)[0][0]
    return "1M" if 28 * 86400 <= seconds <= 31 * 86400 else _INTERVALS.get(seconds, f"{seconds}s")
