"""Which series a question about prices is answered from, by one rule that is stated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from services.gateway.database import Database, Where, window_of
from services.gateway.prices.intervals import Interval
from services.gateway.prices.series import (
    CANDLES,
    HAVE_POINTS,
    SAMPLED,
    WholeSeries,
    whole_series,
)
from shared.csvfile.overrides import SAMPLE
from shared.messages.base import Source

RULE = (
    "made-up data only where there is nothing else; candles before sampled prices; of candles the "
    "coarsest interval that fits; then the series that reaches furthest, then the one with more "
    "data points, then the smaller number"
)
_SELECT_SYMBOLS = """
SELECT DISTINCT symbol FROM series {wanted} ORDER BY symbol {window}
"""
_ARE_PRICES = ("kind IN ('candle', 'price', 'ticker')",)


async def found(
    database: Database, wanted: Where, *, is_of_now: bool = True
) -> list[WholeSeries]:
    """The series of prices that match. Raises as `whole_series`."""
    wanted.conditions += _ARE_PRICES
    if is_of_now:
        wanted.conditions += HAVE_POINTS
    return await whole_series(database, wanted)


async def symbols(
    database: Database, wanted: Where, limit: int, skip: int
) -> list[str]:
    """Symbols of series that match, in their order."""
    wanted.conditions += [
        *_ARE_PRICES,
        *HAVE_POINTS,
        "symbol IS NOT NULL",
    ]
    query = _SELECT_SYMBOLS.format(
        wanted=wanted, window=window_of(limit, skip)
    )
    rows = await database.rows(query, *wanted.arguments)
    return [row["symbol"] for row in rows]


def fitting(
    series: Iterable[WholeSeries], interval: Interval, zone: ZoneInfo
) -> list[WholeSeries]:
    """Those of which bars of an interval can be made, the chosen one first (`RULE`)."""
    return ranked(each for each in series if _fits(each, interval, zone))


def _fits(
    series: WholeSeries, interval: Interval, zone: ZoneInfo
) -> bool:
    if series.basis == SAMPLED:
        return True
    own = series.interval
    return own is not None and interval.holds(own, zone)


def ranked(series: Iterable[WholeSeries]) -> list[WholeSeries]:
    """In the order of `RULE`."""
    return sorted(series, key=rank)


def by_symbol(
    series: Iterable[WholeSeries],
) -> dict[str, list[WholeSeries]]:
    """Those of each symbol, in the order of `RULE`."""
    found: dict[str, list[WholeSeries]] = {}
    for each in sorted(series, key=rank):
        if each.symbol is not None:
            found.setdefault(each.symbol, []).append(each)
    return {
        symbol: [each for each in of_coin if not _is_made_up(each)]
        or of_coin
        for symbol, of_coin in found.items()
    }


def _is_made_up(series: WholeSeries) -> bool:
    return (series.source, series.dataset) == (Source.CSV, SAMPLE)


def rank(series: WholeSeries) -> tuple[Any, ...]:
    """The place of a series by `RULE`, the least first."""
    size = series.interval.about_seconds() if series.interval else 0
    extent = series.last_at - series.first_at
    return (
        _is_made_up(series),
        series.basis != CANDLES,
        -size if series.basis == CANDLES else 0,
        -extent,
        -series.points,
        min(series.ids),
    )
