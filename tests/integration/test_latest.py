"""The newest price of each coin, and how it has moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from tests.integration.test_gateway import (  # noqa: F401  fixtures
    address,
    api,
    load,
)
from tests.integration.test_ohlcv import HOUR, loaded

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def hourly(
    engine: Engine, count: int, *, coin: str = "btc-usd", **more: Any
) -> None:
    """The close of hour n is 100 + n."""
    rows = [
        (
            START + n * HOUR,
            Decimal(100 + n),
            Decimal(101 + n),
            Decimal(99),
            Decimal(100 + n),
            Decimal(5),
        )
        for n in range(count)
    ]
    loaded(engine, rows, coin=coin, **more)


def latest(api: httpx.Client, **params: Any) -> Any:  # noqa: F811
    answer = api.get("/latest", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_row_a_coin(api: httpx.Client, engine: Engine) -> None:  # noqa: F811
    hourly(engine, 24 * 9)
    hourly(engine, 3, coin="eth-eur", offset=20)
    btc, eth = latest(api)
    last = 100 + 24 * 9 - 1
    assert (btc["symbol"], btc["price"], btc["currency"]) == (
        "btc",
        last,
        "USD",
    )
    assert btc["time"] == "2024-01-10T00:00:00Z"
    assert btc["age_seconds"] > 0
    assert btc["change_1h_percent"] == pytest.approx(
        (last / (last - 1) - 1) * 100, abs=1e-4
    )
    assert btc["change_24h_percent"] == pytest.approx(
        (last / (last - 24) - 1) * 100, abs=1e-4
    )
    assert btc["change_7d_percent"] == pytest.approx(
        (last / (last - 168) - 1) * 100, abs=1e-4
    )
    assert btc["sparkline"] == [
        last - 6 * step for step in range(27, -1, -1)
    ]
    assert (btc["volume"], btc["base_volume"], btc["market_cap"]) == (
        5,
        5,
        None,
    )
    assert btc["agreement"] is None
    assert (eth["symbol"], eth["currency"]) == ("eth", "EUR")
    assert eth["change_24h_percent"] is None
    assert eth["sparkline"][:-1] == [None] * 27
    (point,) = api.get(
        "/data", params={"symbol": "eth", "limit": 1}
    ).json()
    assert eth["id"] == point["id"]


def test_which_coins(api: httpx.Client, engine: Engine) -> None:  # noqa: F811
    for number, coin in enumerate(("btc-usd", "eth-usd", "sol-usd")):
        hourly(engine, 2, coin=coin, offset=10 * number)

    def names(**params: Any) -> list[str]:
        return [row["symbol"] for row in latest(api, **params)]

    assert names() == ["btc", "eth", "sol"]
    assert names(symbol="SOL, btc") == ["btc", "sol"]
    assert names(limit=1, skip=1) == ["eth"]
    assert names(source="rss") == []
    assert names(currency="EUR") == []
    assert api.get("/latest", params={"limit": 201}).status_code == 422
    assert api.get("/latest", params={"coin": "btc"}).status_code == 422


def test_whether_sources_agree(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    hourly(engine, 48)
    rows = [
        (
            START + n * HOUR,
            Decimal(148),
            Decimal(151),
            Decimal(99),
            Decimal(148),
            Decimal(5),
        )
        for n in range(48)
    ]
    loaded(engine, rows, dataset="other", offset=30)
    (row,) = latest(api)
    assert row["agreement"]["series"] == 2
    assert row["agreement"]["agree"] is True
    assert row["agreement"]["spread_percent"] == pytest.approx(
        1 / 147 * 100, abs=1e-3
    )


def test_the_mood_of_the_day(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    hourly(engine, 24)
    entries = [
        {
            "key": str(n),
            "title": title,
            "published": moment,
            "link": f"https://example.com/{n}",
        }
        for n, (title, moment) in enumerate(
            [
                (
                    "Bitcoin soars to a record high",
                    "2024-01-01T20:00:00Z",
                ),
                ("Bitcoin plunges after a hack", "2024-01-01T21:00:00Z"),
                ("Bitcoin crashes", "2023-12-01T00:00:00Z"),
            ]
        )
    ]
    load(engine, entries, offset=60, stream="rss/news", context={})
    (row,) = latest(api)
    assert row["news"] == 2
    assert -1 <= row["sentiment"] <= 1


def test_a_price_of_the_future_hides_none_of_today(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    hourly(engine, 24)
    one, two = Decimal(1), Decimal(2)
    future = datetime(2090, 1, 1, tzinfo=UTC)
    loaded(
        engine,
        [(future + n * HOUR, one, two, one, two, one) for n in range(3)],
        dataset="wrong",
        offset=30,
    )
    (row,) = latest(api)
    assert (row["series"]["dataset"], row["price"]) == ("mine", 123)
