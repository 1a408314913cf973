"""The newest price of each coin, how it has moved, and what else is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain, islice
from typing import Any

import msgspec

from services.gateway.database import Database
from services.gateway.prices.agreement import percent, spread_of
from services.gateway.prices.choice import by_symbol
from services.gateway.prices.moments import Found, Wanted, last_known
from services.gateway.prices.series import WholeSeries

CHANGES = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
STEP = timedelta(hours=6)
STEPS = 28  # of a sparkline: seven days
AGREE_WITHIN = Decimal("0.01")  # of the least price
NEAR = timedelta(hours=1)  # prices that are compared
_SELECT_MORE = """
SELECT n, market_cap::text, volume::text, base_volume::text, quote_volume::text
FROM unnest($1::uuid[]) WITH ORDINALITY AS a (id, n)
CROSS JOIN LATERAL (SELECT * FROM points WHERE points.id = a.id OFFSET 0) AS p
"""
_SELECT_SENTIMENT = """
SELECT a.n, count(*) AS news, avg(p.sentiment)::numeric(6, 4)::text AS sentiment
FROM unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS a (symbol, at, n)
JOIN points_news AS p ON p.symbols @> ARRAY[a.symbol]
     AND p."timestamp" > a.at - interval '24 hours' AND p."timestamp" <= a.at
WHERE p.retired_at IS NULL GROUP BY a.n
"""
_NO_MORE = dict.fromkeys(
    ("market_cap", "volume", "base_volume", "quote_volume")
)


@dataclass(frozen=True)
class Coin:
    """A coin with the series that know a price of it, in the order of the rule."""

    symbol: str
    series: list[WholeSeries]


def coins_of(series: Iterable[WholeSeries]) -> list[Coin]:
    """By their symbols."""
    return [Coin(*item) for item in sorted(by_symbol(series).items())]


async def latest(
    database: Database, coins: Sequence[Coin], now: datetime
) -> list[dict[str, Any]]:
    """A row a coin, of those of which a price is known now."""
    newest = await last_known(
        database, [Wanted(now, coin.series) for coin in coins]
    )
    known = [
        (coin, found)
        for coin, found in zip(coins, newest, strict=True)
        if found is not None
    ]
    earlier = await _earlier(database, known)
    more = await _more(database, [found for _, found in known])
    moods = await _moods(database, known)
    return [
        {
            **_shown(coin, found, now),
            **_moved(found, before),
            **rest,
            **mood,
        }
        for (coin, found), before, rest, mood in zip(
            known, earlier, more, moods, strict=True
        )
    ]


async def _earlier(
    database: Database, known: Sequence[tuple[Coin, Found]]
) -> list[list[Found | None]]:
    """What each coin is compared with, in the order of `_looks`."""
    looks = [list(_looks(coin, found)) for coin, found in known]
    answers = iter(await last_known(database, list(chain(*looks))))
    return [list(islice(answers, len(of_coin))) for of_coin in looks]


def _looks(coin: Coin, found: Found) -> Iterator[Wanted]:
    """The moments of changes, those of the sparkline, and the others' prices."""
    own = [found.series]
    for back in CHANGES.values():
        yield Wanted(found.time - back, own)
    for moment in _steps(found):
        yield Wanted(moment, own)
    for other in _comparable(coin, found):
        yield Wanted(found.time + NEAR, [other])


def _comparable(coin: Coin, found: Found) -> list[WholeSeries]:
    return [
        each
        for each in coin.series
        if each.currency == found.series.currency
        and each is not found.series
    ]


def _moved(found: Found, others: list[Found | None]) -> dict[str, Any]:
    before = others[: len(CHANGES)]
    line = others[len(CHANGES) : len(CHANGES) + STEPS - 1]
    rest = others[len(CHANGES) + STEPS - 1 :]
    return {
        **_changes(found, before),
        "sparkline": [*_sparkline(found, line), found.price],
        "agreement": _agreement(found, rest),
    }


def _changes(
    found: Found, before: list[Found | None]
) -> dict[str, float | None]:
    price = found.number()
    return {
        f"change_{name}_percent": _change(
            price, found.time - back, back, each
        )
        for (name, back), each in zip(
            CHANGES.items(), before, strict=True
        )
    }


def _sparkline(
    found: Found, line: list[Found | None]
) -> Iterator[msgspec.Raw | None]:
    for moment, each in zip(_steps(found), line, strict=True):
        is_near = each is not None and moment - each.time <= STEP
        yield each.price if each and is_near else None


def _steps(found: Found) -> list[datetime]:
    """The moments of a sparkline before its last."""
    return [found.time - step * STEP for step in range(STEPS - 1, 0, -1)]


def _change(
    price: Decimal,
    moment: datetime,
    back: timedelta,
    before: Found | None,
) -> float | None:
    """In percent; None where the price before is not of about that time."""
    if before is None or moment - before.time > back:
        return None
    earlier = before.number()
    if not earlier:
        return None
    return round(float((price / earlier - 1) * 100), 4)


def _agreement(
    found: Found, others: list[Found | None]
) -> dict[str, Any] | None:
    """With the prices of other series of about the same time; None without any."""
    near = [
        each.number()
        for each in others
        if each is not None and abs(each.time - found.time) <= NEAR
    ]
    if not near:
        return None
    prices = [*near, found.number()]
    spread = spread_of(prices)
    return {
        "series": len(prices),
        "spread_percent": None if spread is None else percent(spread),
        "agree": spread is not None and spread <= AGREE_WITHIN,
    }


async def _more(
    database: Database, found: Sequence[Found]
) -> list[dict[str, Any]]:
    """Market cap and volumes of data points."""
    rows = await database.rows(_SELECT_MORE, [each.id for each in found])
    more = [dict(_NO_MORE) for _ in found]
    for row in rows:
        more[row["n"] - 1] = {
            name: msgspec.Raw(row[name].encode()) if row[name] else None
            for name in _NO_MORE
        }
    return more


async def _moods(
    database: Database, known: Sequence[tuple[Coin, Found]]
) -> list[dict[str, Any]]:
    """The mean sentiment of the news of the day before each price."""
    rows = await database.rows(
        _SELECT_SENTIMENT,
        [coin.symbol for coin, _ in known],
        [found.time for _, found in known],
    )
    moods: list[dict[str, Any]] = [
        {"sentiment": None, "news": 0} for _ in known
    ]
    for row in rows:
        mood = row["sentiment"]
        moods[row["n"] - 1] = {
            "sentiment": None if mood is None else float(mood),
            "news": row["news"],
        }
    return moods


def _shown(coin: Coin, found: Found, now: datetime) -> dict[str, Any]:
    return {
        "symbol": coin.symbol,
        "price": found.price,
        "currency": found.series.currency,
        "time": found.time,
        "age_seconds": round((now - found.time).total_seconds()),
        "id": found.id,
        "series": found.series.shown,
    }
