"""When a webhook is told."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.conditions import (
    Point,
    Prices,
    decimal,
    met,
    stale,
)
from shared.configuration.settings import (
    Direction,
    IsStale,
    MoodIs,
    PriceChanges,
    PriceCrosses,
    Webhook,
)

ABOVE = PriceCrosses(symbol="btc", price="100", direction=Direction.ABOVE)
BELOW = PriceCrosses(symbol="btc", price="100", direction=Direction.BELOW)


def point(at_s: float, price: Any = None, **changed: Any) -> Point:
    values: dict[str, Any] = {
        "id": f"{at_s}",
        "source": "coinpaprika",
        "dataset": "live",
        "instrument": "btc-bitcoin",
        "currency": "USD",
        "symbols": ("btc",),
        "at_s": at_s,
        "price": None if price is None else Decimal(str(price)),
        **changed,
    }
    return Point(**values)


def webhook(*conditions: Any, **changed: Any) -> Webhook:
    return Webhook(
        url="https://x.example",
        salt="s",
        conditions=list(conditions),
        **changed,
    )


def told(hook: Webhook, *points: Point) -> list[tuple[float, str]]:
    prices = Prices()
    found = []
    for each in points:
        found += [
            (each.at_s, one.type) for one in met(hook, each, prices)
        ]
        prices.saw(each)
    return found


def test_a_price_crosses_from_one_side_to_the_other() -> None:
    path = [99, 100, 101, 100, 99, 100.5, 98]
    points = [point(n, price) for n, price in enumerate(path)]
    assert told(webhook(ABOVE), *points) == [
        (1, "price.crossed"),
        (5, "price.crossed"),
    ]
    assert told(webhook(BELOW), *points) == [
        (3, "price.crossed"),
        (6, "price.crossed"),
    ]


def test_the_first_price_crosses_nothing_and_series_stand_apart() -> None:
    other = {"dataset": "elsewhere"}
    assert told(webhook(ABOVE), point(0, 150)) == []
    assert (
        told(webhook(ABOVE), point(0, 50), point(1, 150, **other)) == []
    )


def test_a_price_that_comes_late_is_seen_against_what_was_before_it() -> (
    None
):
    assert told(
        webhook(ABOVE), point(10, 50), point(20, 60), point(15, 150)
    ) == [(15, "price.crossed")]
    assert told(webhook(ABOVE), point(10, 50), point(5, 150)) == []


@given(
    st.lists(st.decimals(1, 200, places=2, allow_nan=False), min_size=2)
)
def test_crossings_take_turns(prices: list[Decimal]) -> None:
    points = [point(n, price) for n, price in enumerate(prices)]
    up = [at for at, _ in told(webhook(ABOVE), *points)]
    for at in up:
        assert points[int(at)].price >= 100  # type: ignore[operator]
        assert points[int(at) - 1].price < 100  # type: ignore[operator]
    expected = sum(
        before < 100 <= after for before, after in pairwise(prices)
    )
    assert len(up) == expected


def test_a_change_is_against_the_oldest_price_of_the_window() -> None:
    change = PriceChanges(symbol="btc", percent=10, within_s=60)
    hook = webhook(change)
    assert told(hook, point(0, 100), point(30, 109)) == []
    assert told(hook, point(0, 100), point(30, 111)) == [
        (30, "price.changed")
    ]
    assert told(hook, point(0, 100), point(61, 150)) == []  # too long ago
    assert told(hook, point(0, 100), point(30, 89)) == [
        (30, "price.changed")
    ]


def test_only_of_the_sources_and_symbols_that_are_wanted() -> None:
    hook = webhook(ABOVE, sources=["coingecko"])
    assert told(hook, point(0, 50), point(1, 150)) == []
    eth = {"symbols": ("eth",)}
    assert (
        told(webhook(ABOVE), point(0, 50, **eth), point(1, 150, **eth))
        == []
    )


@pytest.mark.parametrize(
    ("wanted", "given_", "is_told"),
    [
        (0.5, 0.6, True),
        (0.5, 0.4, False),
        (-0.5, -0.6, True),
        (-0.5, -0.4, False),
        (-0.5, 0.9, False),
        (0.5, None, False),
    ],
)
def test_a_mood_is_at_least_so_good_or_so_bad(
    wanted: float, given_: float | None, is_told: bool
) -> None:
    hook = webhook(MoodIs(symbol="btc", sentiment=wanted))
    news = point(0, sentiment=given_)
    assert bool(told(hook, news)) is is_told


def test_silence_is_told_once() -> None:
    hook = webhook(IsStale(source="rss", after_s=60))
    assert (
        list(stale(hook, {}, 1_000)) == []
    )  # never read: nothing to miss
    assert list(stale(hook, {"rss": 950.0}, 1_000)) == []
    (first,) = stale(hook, {"rss": 900.0}, 1_000)
    (again,) = stale(hook, {"rss": 900.0}, 2_000)
    assert first.key == again.key
    (later,) = stale(hook, {"rss": 1_500.0}, 3_000)
    assert later.key != first.key


def test_prices_are_kept_as_long_as_they_are_asked_for() -> None:
    prices = Prices(window_s=10)
    for at in range(100):
        prices.saw(point(at, at + 1))
    now = point(99.5, 1)
    assert prices.last(now) == 100
    assert prices.first_since(now, 0) == (89, 90)
    assert prices.first_since(now, 95.5) == (96, 97)
    assert prices.first_since(now, 99.2) is None
    assert prices.last(point(10, 1)) is None  # forgotten


@pytest.mark.parametrize("text", ["1e-999999", "9e999999", "NaN", "x"])
def test_a_number_beyond_all_sense_is_none(text: str) -> None:
    assert decimal(text) is None
