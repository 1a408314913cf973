"""Which series a question about prices is answered from, by one rule that is stated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from services.gateway.database import Database, Where, window_of
from services.gateway.prices.intervals import Interval
from services.gateway.problems import ProblemError
from shared.messages.points import TimestampIs

RULE = (
    "candles before sampled prices; of candles the coarsest interval that fits; then the series "
    "that reaches furthest, then the one with more data points, then the smaller number"
)
MAX_CHOSEN = 1_000  # series that a question may be about
CANDLES = "candles"
SAMPLED = "sampled"
_SELECT = """
SELECT series_id, source, dataset, stream, kind, instrument, symbol, "interval", currency,
       timestamp_is, points, first_at, last_at
FROM series {wanted}
ORDER BY series_id LIMIT {most}
"""
_SELECT_SYMBOLS = """
SELECT DISTINCT symbol FROM series {wanted} ORDER BY symbol {window}
"""
_HAVE_PRICES = (
    "kind IN ('candle', 'price', 'ticker')",
    "first_at IS NOT NULL",
    "last_at IS NOT NULL",
    "points > 0",
)


@dataclass(frozen=True)
class PriceSeries:
    """A series of candles or prices. `interval`: of its candles, None for prices."""

    series_id: int
    source: str
    dataset: str
    stream: str
    kind: str
    instrument: str | None
    symbol: str | None
    interval: Interval | None
    currency: str | None
    timestamp_is: str | None
    points: int
    first_at: datetime
    last_at: datetime

    @property
    def basis(self) -> str:
        return CANDLES if self.kind == "candle" else SAMPLED

    @property
    def is_by_close(self) -> bool:
        """Whether the timestamp of its candles is their end."""
        return self.timestamp_is == TimestampIs.CLOSE

    @cached_property
    def shown(self) -> dict[str, Any]:
        """For people."""
        return {
            "id": self.series_id,
            "source": self.source,
            "dataset": self.dataset,
            "kind": self.kind,
            "instrument": self.instrument,
            "symbol": self.symbol,
            "interval": _text(self.interval),
            "currency": self.currency,
            "timestamp_is": self.timestamp_is,
        }


def _text(interval: Interval | None) -> str | None:
    return f"{interval.count}{interval.unit}" if interval else None


async def found(database: Database, wanted: Where) -> list[PriceSeries]:
    """The series of prices that match, which have data points.

    Raises ProblemError 422 for more than a question may be about.
    """
    wanted.conditions += _HAVE_PRICES
    query = _SELECT.format(wanted=wanted, most=MAX_CHOSEN + 1)
    rows = await database.rows(query, *wanted.arguments)
    if len(rows) > MAX_CHOSEN:
        raise ProblemError(
            422,
            f"query: more than {MAX_CHOSEN:,} series match: name a source, a dataset or a currency,"
            " or ask for fewer symbols",
        )
    return [
        PriceSeries(
            **{**row, "interval": Interval.parse(row["interval"])}
        )
        for row in rows
    ]


async def symbols(
    database: Database, wanted: Where, limit: int, skip: int
) -> list[str]:
    """Symbols of series that match, in their order."""
    wanted.conditions += [*_HAVE_PRICES, "symbol IS NOT NULL"]
    query = _SELECT_SYMBOLS.format(
        wanted=wanted, window=window_of(limit, skip)
    )
    rows = await database.rows(query, *wanted.arguments)
    return [row["symbol"] for row in rows]


def fitting(
    series: Iterable[PriceSeries], interval: Interval, zone: ZoneInfo
) -> list[PriceSeries]:
    """Those of which bars of an interval can be made, the chosen one first (`RULE`)."""
    usable = [
        each
        for each in series
        if each.basis == SAMPLED
        or (each.interval and interval.holds(each.interval, zone))
    ]
    return sorted(usable, key=rank)


def by_symbol(
    series: Iterable[PriceSeries],
) -> dict[str, list[PriceSeries]]:
    """Those of each symbol, in the order of `RULE`."""
    found: dict[str, list[PriceSeries]] = {}
    for each in sorted(series, key=rank):
        if each.symbol is not None:
            found.setdefault(each.symbol, []).append(each)
    return found


def rank(series: PriceSeries) -> tuple[Any, ...]:
    """The place of a series by `RULE`, the least first."""
    size = series.interval.about_seconds() if series.interval else 0
    extent = series.last_at - series.first_at
    return (
        series.basis != CANDLES,
        -size if series.basis == CANDLES else 0,
        -extent,
        -series.points,
        series.series_id,
    )
