"""What a price did after news, counted from when this system knew them, and from publication."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean, median
from typing import Any

from services.gateway.database import Database
from services.gateway.prices.intervals import Interval
from services.gateway.prices.moments import Found, Wanted, last_known
from services.gateway.prices.series import WholeSeries

NEAR = timedelta(
    hours=1
)  # a price that is older says nothing of its moment
MOODS = ("negative", "neutral", "positive", "unknown")


@dataclass(frozen=True)
class Article:
    """News about a coin. `known_at`: when this system stored them first."""

    id: str
    published_at: datetime
    known_at: datetime
    title: str | None
    url: str | None
    feed: str
    symbols: list[str]
    sentiment: float | None

    @property
    def mood(self) -> str:
        if self.sentiment is None:
            return "unknown"
        if self.sentiment == 0:
            return "neutral"
        return "negative" if self.sentiment < 0 else "positive"

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "published_at": self.published_at,
            "known_at": self.known_at,
            "title": self.title,
            "url": self.url,
            "feed": self.feed,
            "symbols": self.symbols,
            "sentiment": self.sentiment,
        }


@dataclass(frozen=True)
class Move:
    """From the last price at a moment to that of the same series some time later."""

    before: Found | None
    after: dict[str, Found | None]

    def percent(self, name: str) -> float | None:
        """None where there is no price then, or none that is near."""
        after = self.after[name]
        if self.before is None or after is None:
            return None
        price = self.before.number()
        if price <= 0:
            return None
        return round(float((after.number() / price - 1) * 100), 4)

    def shown(self) -> dict[str, Any]:
        before = self.before
        return {
            "price": None if before is None else before.price,
            "currency": None
            if before is None
            else before.series.currency,
            "time": None if before is None else before.time,
            "move_percent": {
                name: self.percent(name) for name in self.after
            },
        }


async def moves(
    database: Database,
    moments: Sequence[datetime],
    series: Sequence[WholeSeries],
    delays: dict[str, Interval],
) -> list[Move]:
    """One for each moment."""
    before = await last_known(
        database, [Wanted(moment, series) for moment in moments]
    )
    near = [
        each if each is not None and moment - each.time <= NEAR else None
        for moment, each in zip(moments, before, strict=True)
    ]
    wanted = [
        Wanted(delay.later(moment, 1), [each.series])
        for moment, each in zip(moments, near, strict=True)
        if each is not None
        for delay in delays.values()
    ]
    after = iter(await last_known(database, wanted))
    now = datetime.now(UTC)
    return [
        _move(moment, each, after, delays, now)
        for moment, each in zip(moments, near, strict=True)
    ]


def _move(
    moment: datetime,
    before: Found | None,
    after: Iterator[Found | None],
    delays: dict[str, Interval],
    now: datetime,
) -> Move:
    if before is None:
        return Move(None, dict.fromkeys(delays))
    found = {}
    for name, delay in delays.items():
        later = next(after)
        end = delay.later(moment, 1)
        is_near = later is not None and (
            later.time > moment
            and end - later.time <= NEAR
            and end <= now
        )
        found[name] = later if is_near else None
    return Move(before, found)


def by_mood(
    articles: Sequence[Article],
    moved: Sequence[Move],
    delays: Sequence[str],
) -> list[dict[str, Any]]:
    """Mean and median move by sentiment and delay, with how many they are of."""
    return [
        {
            "sentiment": mood,
            "delay": name,
            "news": sum(each.mood == mood for each in articles),
            **_statistics(
                [
                    percent
                    for article, move in zip(articles, moved, strict=True)
                    if article.mood == mood
                    and (percent := move.percent(name)) is not None
                ]
            ),
        }
        for mood in MOODS
        for name in delays
    ]


def _statistics(percents: list[float]) -> dict[str, Any]:
    return {
        "moves": len(percents),
        "mean_percent": round(fmean(percents), 4) if percents else None,
        "median_percent": round(median(percents), 4)
        if percents
        else None,
    }
