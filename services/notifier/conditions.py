"""When a webhook is told: what its conditions make of prices, moods and silence. Pure.

Only what is of now counts: points within some minutes of the moment at which they came.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from shared.configuration.settings import (
    Condition,
    Direction,
    IsStale,
    MoodIs,
    PriceChanges,
    PriceCrosses,
    Webhook,
)
from shared.messages.base import Json

FRESH_S = 600.0
MAX_SERIES = 20_000
MAX_DIGITS = 40  # before or behind the point
MAX_KEPT = 5_000  # prices of a series


@dataclass(frozen=True)
class Point:
    """A data point as conditions see it. `at_s`: its own time, in seconds."""

    id: str
    source: str
    dataset: str
    instrument: str
    currency: str
    symbols: tuple[str, ...]
    at_s: float
    price: Decimal | None = None
    sentiment: float | None = None
    title: str | None = None

    @property
    def series(self) -> tuple[str, str, str, str]:
        return (self.source, self.dataset, self.instrument, self.currency)

    def told(self) -> Json:
        """What a webhook is told of it."""
        return {
            "id": self.id,
            "source": self.source,
            "dataset": self.dataset,
            "instrument": self.instrument,
            "symbols": list(self.symbols),
            "currency": self.currency or None,
            "timestamp_s": self.at_s,
            "price": None if self.price is None else str(self.price),
            "sentiment": self.sentiment,
            "title": self.title,
        }


@dataclass(frozen=True)
class Told:
    """What is to be told. `key`: what makes it the same when it is found again."""

    type: str
    key: str
    data: Json


@dataclass
class Prices:
    """The last prices of each series, as far back as a condition asks."""

    window_s: float = 3_600.0
    _kept: OrderedDict[
        tuple[str, str, str, str], list[tuple[float, Decimal]]
    ] = field(default_factory=OrderedDict)

    def last(self, point: Point) -> Decimal | None:
        """The price of its series just before it."""
        kept, at = self._place(point, point.at_s)
        return kept[at - 1][1] if at else None

    def first_since(
        self, point: Point, begin: float
    ) -> tuple[float, Decimal] | None:
        """The oldest of its series from a time on, and before it."""
        kept, at = self._place(point, begin)
        is_before = at < len(kept) and kept[at][0] < point.at_s
        return kept[at] if is_before else None

    def _place(
        self, point: Point, moment: float
    ) -> tuple[list[tuple[float, Decimal]], int]:
        """What is kept of its series, and how many of that lie before a moment."""
        kept = self._kept.get(point.series, [])
        return kept, bisect_left(kept, moment, key=_at)

    def saw(self, point: Point) -> None:
        if point.price is None:
            return
        kept = self._kept.setdefault(point.series, [])
        self._kept.move_to_end(point.series)
        if not kept or kept[-1][0] < point.at_s:
            kept.append((point.at_s, point.price))
        old = bisect_left(kept, point.at_s - self.window_s, key=_at)
        del kept[: max(old, len(kept) - MAX_KEPT)]
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._kept) > MAX_SERIES:
            self._kept.popitem(last=False)


def window_of(webhooks: Iterable[Webhook]) -> float:
    """How far back their conditions look, in seconds; an hour at least."""
    spans = [
        condition.within_s
        for webhook in webhooks
        for condition in webhook.conditions
        if isinstance(condition, PriceChanges)
    ]
    return float(max([3_600, *spans]))


def met(webhook: Webhook, point: Point, prices: Prices) -> Iterator[Told]:
    """What a point means to a webhook. `prices`: those before it."""
    if (
        webhook.sources is not None
        and point.source not in webhook.sources
    ):
        return
    for condition in webhook.conditions:
        found = _met(condition, point, prices)
        if found is not None:
            yield found


def _met(
    condition: Condition, point: Point, prices: Prices
) -> Told | None:
    match condition:
        case PriceCrosses() if _is_about(condition, point):
            return _crossed(condition, point, prices)
        case PriceChanges() if _is_about(condition, point):
            return _changed(condition, point, prices)
        case MoodIs() if condition.symbol in point.symbols:
            return _mood(condition, point)
        case _:
            return None


def _is_about(
    condition: PriceCrosses | PriceChanges, point: Point
) -> bool:
    return point.price is not None and condition.symbol in point.symbols


def _crossed(
    condition: PriceCrosses, point: Point, prices: Prices
) -> Told | None:
    """From one side to the other, between the price before and this one."""
    last = prices.last(point)
    limit = decimal(condition.price)
    if last is None or point.price is None or limit is None:
        return None
    if not _is_crossed(condition.direction, last, limit, point.price):
        return None
    return Told(
        "price.crossed",
        f"{_named(condition)} {point.id}",
        {
            "condition": msgspec.to_builtins(condition),
            "point": point.told(),
            "price_before": str(last),
        },
    )


def _is_crossed(
    direction: Direction, last: Decimal, limit: Decimal, price: Decimal
) -> bool:
    if direction == Direction.ABOVE:
        return last < limit <= price
    return last > limit >= price


def _changed(
    condition: PriceChanges, point: Point, prices: Prices
) -> Told | None:
    """Against the oldest price of the window; once a window."""
    begin = point.at_s - condition.within_s
    before = prices.first_since(point, begin)
    if before is None or point.price is None or not before[1]:
        return None
    at_s, first = before
    percent = _percent(first, point.price)
    if abs(percent) < condition.percent:
        return None
    return Told(
        "price.changed",
        _key_of_change(condition, point, percent),
        {
            "condition": msgspec.to_builtins(condition),
            "point": point.told(),
            "percent": round(percent, 4),
            "price_before": str(first),
            "since_s": at_s,
        },
    )


def _at(kept: tuple[float, Decimal]) -> float:
    return kept[0]


def _percent(before: Decimal, now: Decimal) -> float:
    return float((now / before - 1) * 100)


def _key_of_change(
    condition: PriceChanges, point: Point, percent: float
) -> str:
    """The same for all changes of one way within one window."""
    window = int(point.at_s // condition.within_s)
    way = "up" if percent > 0 else "down"
    return f"{_named(condition)} {point.series} {way} {window}"


def _mood(condition: MoodIs, point: Point) -> Told | None:
    if point.sentiment is None:
        return None
    wanted = condition.sentiment
    is_met = (
        point.sentiment >= wanted
        if wanted >= 0
        else point.sentiment <= wanted
    )
    if not is_met:
        return None
    return Told(
        "news.mood",
        f"{_named(condition)} {point.id}",
        {
            "condition": msgspec.to_builtins(condition),
            "point": point.told(),
        },
    )


def stale(
    webhook: Webhook, last_success_s: dict[str, float], now_s: float
) -> Iterator[Told]:
    """Once for each silence of a source that was ever read."""
    for condition in webhook.conditions:
        if not isinstance(condition, IsStale):
            continue
        last = last_success_s.get(condition.source)
        if last is None or now_s - last < condition.after_s:
            continue
        yield Told(
            "source.stale",
            f"{_named(condition)} {round(last)}",
            {
                "condition": msgspec.to_builtins(condition),
                "source": condition.source,
                "last_success_s": last,
            },
        )


def decimal(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    is_sane = found.is_finite() and abs(found.adjusted()) <= MAX_DIGITS
    return found if is_sane else None


def _named(condition: Any) -> str:
    return msgspec.json.encode(condition).decode()
