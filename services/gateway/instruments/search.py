"""Instruments that a text may mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from services.gateway.database import Database, Where
from services.gateway.instruments.listed import CoinsBySymbol
from services.gateway.instruments.schema import InstrumentOrder
from shared.messages.checkpoints import ListedCoin

MAX_SHOWN = 20
_NO_RANK = 10**9
_SELECT = """
SELECT symbol, source, count(*) AS series, sum(points)::bigint AS points,
       (array_agg(DISTINCT instrument ORDER BY instrument)
        FILTER (WHERE instrument IS NOT NULL))[1:{most}] AS instruments
FROM series {wanted} GROUP BY symbol, source
"""


@dataclass
class Known:
    """A symbol with the coins that have it, and the series that there are."""

    symbol: str
    coins: list[ListedCoin]
    ids: dict[str, list[str]] = field(default_factory=dict)
    series: int = 0
    points: int = 0

    @property
    def rank(self) -> int:
        """Of its best coin."""
        ranks = (coin.rank for coin in self.coins if coin.rank)
        return next(ranks, _NO_RANK)

    def fits(self, text: str) -> int | None:
        """How well, the less the better; None: not at all."""
        if self.symbol == text:
            return 0
        names = [
            *(coin.id for coin in self.coins),
            *(coin.name.lower() for coin in self.coins),
            *(each.lower() for ids in self.ids.values() for each in ids),
        ]
        if text in names:
            return 1
        if self.symbol.startswith(text):
            return 2
        return 3 if any(text in name for name in names) else None

    def shown(self, listed_at: Any) -> dict[str, Any]:
        best = self.coins[0] if self.coins else None
        return {
            "symbol": self.symbol,
            "name": best and best.name,
            "rank": (best and best.rank) or None,
            "ambiguous": sum(coin.is_active for coin in self.coins) > 1,
            "candidates": [
                {
                    "id": coin.id,
                    "name": coin.name,
                    "rank": coin.rank or None,
                    "is_active": coin.is_active,
                }
                for coin in self.coins[:MAX_SHOWN]
            ],
            "ids": self.ids,
            "series": self.series,
            "points": self.points,
            "listed_at": listed_at,
        }


async def known(
    database: Database,
    wanted: Where,
    coins: CoinsBySymbol,
) -> list[Known]:
    """All symbols of the list and of series; with conditions only those that have series."""
    has_conditions = bool(wanted.conditions)
    wanted.conditions.append("symbol IS NOT NULL")
    query = _SELECT.format(wanted=wanted, most=MAX_SHOWN)
    rows = await database.rows(query, *wanted.arguments)
    found: dict[str, Known] = {}
    if not has_conditions:
        found = {
            symbol: Known(symbol, listed)
            for symbol, listed in coins.by_symbol.items()
        }
    for row in rows:
        symbol = row["symbol"]
        each = found.setdefault(symbol, Known(symbol, coins.of(symbol)))
        each.ids[row["source"]] = row["instruments"] or []
        each.series += row["series"]
        each.points += row["points"]
    return list(found.values())


def fitting(
    instruments: Iterable[Known], text: str | None, order: InstrumentOrder
) -> list[Known]:
    """Those that a text may mean, in order."""
    placed = []
    for each in instruments:
        fit = 0 if text is None else each.fits(text.strip().lower())
        if fit is not None:
            placed.append((_place(each, fit, order), each))
    placed.sort(key=lambda pair: pair[0])
    return [each for _, each in placed]


def _place(
    each: Known, fit: int, order: InstrumentOrder
) -> tuple[Any, ...]:
    match order:
        case InstrumentOrder.RANK:
            return each.rank, each.symbol
        case InstrumentOrder.SYMBOL:
            return (each.symbol,)
        case InstrumentOrder.POINTS:
            return -each.points, each.symbol
        case InstrumentOrder.MATCH:
            return fit, not each.points, each.rank, each.symbol
