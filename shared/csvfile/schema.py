"""What the columns of a CSV file mean, as `conclude` found it; how a row is read by it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from shared.csvfile.column_names import OHLC
from shared.errors import BadValueError
from shared.values.symbols import Pair, parse_pair
from shared.values.times import iso, timestamp, timestamp_text

Json = dict[str, Any]
Row = list[str]
_EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001  naive on purpose: all times here are UTC
_DAY, _CLOCK = re.compile(r"\d{8}", re.ASCII), re.compile(r"\d{1,6}", re.ASCII)


@dataclass(frozen=True)
class Series:
    """The columns of one series of prices. `pair` None: each row names its own. `currency`: as the header names it."""

    columns: dict[str, int]
    pair: Pair | None
    currency: str | None

    @cached_property
    def is_candle(self) -> bool:
        return all(role in self.columns for role in OHLC)


@dataclass(frozen=True)
class Plan:
    """What the columns of a file mean, and why. Positions count from 0."""

    width: int
    time: int
    date: int | None
    order: str | None
    zone: ZoneInfo | None
    is_excel: bool
    decimals: dict[int, str]
    series: list[Series]
    symbol: int | None
    currency: int | None
    fallback_currency: str | None  # where neither a row nor the header names one
    interval: str | None
    reasons: list[Json]
    unused: list[str]  # columns that mean nothing to this product; the archive keeps them

    @cached_property
    def moment(self) -> Callable[[Row], str]:
        """The row's time as ISO 8601 in UTC."""
        position = self.time
        if self.date is None and self.order is None and self.zone is None and not self.is_excel:
            return lambda row: timestamp_text("time", row[position])
        return lambda row: iso(moment_of(row, position, self.date, self.order, self.zone, is_excel=self.is_excel))

    def which(self, series: Series, row: Row) -> Pair:
        """What the row's price is of. The row's own words count most, then the header's, then the file's name."""
        pair = series.pair
        if pair is None:
            text = row[self.symbol or 0]
            pair = parse_pair(text)
            if pair is None:
                raise BadValueError("symbol", "unknown_symbol", f"not a symbol: {text[:40]!r}")
        if self.currency is not None and (own := row[self.currency].strip()):
            if not own.isalnum() or len(own) > 10:
                raise BadValueError("currency", "unknown_currency", f"not a currency: {own[:40]!r}")
            return Pair(pair.symbol, own.upper())
        if series.currency and (series.pair is not None or pair.currency is None):
            return Pair(pair.symbol, series.currency.upper())
        if pair.currency is None and self.fallback_currency:
            return Pair(pair.symbol, self.fallback_currency)
        return pair

    def described(self) -> Json:
        """For people: what the file was taken for, and why."""
        return {
            "kind": "candle" if any(series.is_candle for series in self.series) else "price",
            "series": [
                {
                    "symbol": series.pair.symbol if series.pair else "of each row",
                    "currency": (series.currency or (series.pair.currency if series.pair else None) or self.fallback_currency or "").upper() or None,
                    "columns": {role: position + 1 for role, position in series.columns.items()},
                }
                for series in self.series[:50]
            ],
            "interval": self.interval,
            "unused_columns": self.unused,
            "reasons": self.reasons,
        }  # fmt: skip


def moment_of(row: Row, time: int, date: int | None, order: str | None, zone: ZoneInfo | None, *, is_excel: bool = False) -> datetime:
    text = row[time].strip()
    if date is not None:
        day = row[date].strip()
        # 20210101 beside 93000 (MetaTrader, Finam)
        text = f"{day}{text.zfill(6)}" if _DAY.fullmatch(day) and _CLOCK.fullmatch(text) else f"{day} {text}".strip()
    if is_excel:
        try:
            return timestamp("time", iso(_EXCEL_EPOCH + timedelta(seconds=round(float(text.replace(",", ".")) * 86400))))
        except (ValueError, OverflowError):
            raise BadValueError("time", "bad_time", f"time is no spreadsheet's day: {text[:40]!r}") from None
    return timestamp("time", text, order, zone)
