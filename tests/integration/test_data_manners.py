"""How lists of data points may be asked for: several values, either order, fields, counts."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from tests.integration.test_gateway import (  # noqa: F401  fixtures
    address,
    api,
    load,
)
from tests.support.pages import candle, csv_context

START = datetime(2024, 1, 1, tzinfo=UTC)


def article(number: int, title: str, moment: datetime) -> dict[str, Any]:
    return {
        "title": title,
        "link": f"http://x/{number}",
        "id": f"http://x/{number}",
        "key": f"http://x/{number}",
        "published": moment.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "summary": "",
    }


@pytest.fixture
def filled(engine: Engine) -> None:
    """Candles of three coins and news about them, some at the same times."""
    chance = random.Random(3)
    for number, coin in enumerate(("btc", "eth", "xrp")):
        path = f"set-{coin}/{coin}-usd.csv"
        load(
            engine,
            [candle(day + 1) for day in range(20)],
            offset=number,
            stream=f"csv/{path}",
            context=csv_context(path),
        )
    titles = ("Bitcoin rises", "Ethereum and Bitcoin fall", "Markets")
    load(
        engine,
        [
            article(
                n,
                f"{chance.choice(titles)} {n}",
                START + timedelta(days=chance.randrange(20)),
            )
            for n in range(30)
        ],
        offset=9,
        stream="rss/paper",
        context={},
    )


def pages(api: httpx.Client, **params: Any) -> list[dict[str, Any]]:  # noqa: F811
    found = []
    answer = api.get("/data", params=params)
    while True:
        assert answer.status_code == 200, answer.text
        found += answer.json()
        following = answer.links.get("next")
        if following is None:
            return found
        answer = api.get(following["url"].removeprefix("/api/v1"))


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"symbol": "btc"},
        {"symbol": "eth,btc"},
        {"source": "rss"},
        {"kind": "candle", "instrument": "btc-usd,xrp-usd"},
        {"from": "2024-01-05", "to": "2024-01-15"},
        {"as_of": "2100-01-01T00:00:00Z"},
        {"updated_since": "2020-01-01T00:00:00Z"},
    ],
)
def test_the_oldest_first_is_the_newest_first_turned_round(
    api: httpx.Client,  # noqa: F811
    params: dict[str, str],
) -> None:
    newest = pages(api, limit=1000, **params)
    assert newest
    assert pages(api, limit=7, **params) == newest
    assert pages(api, limit=7, order="asc", **params) == newest[::-1]
    skipped = api.get(
        "/data", params={**params, "order": "asc", "skip": 3, "limit": 2}
    )
    assert skipped.json() == newest[::-1][3:5]
    answer = api.get(
        "/data", params={**params, "count": "true", "limit": 1}
    )
    assert int(answer.headers["x-total-count"]) == len(newest)


@pytest.mark.usefixtures("filled")
def test_several_values_are_the_sum_of_each(
    api: httpx.Client,  # noqa: F811
) -> None:
    def ids(**params: str) -> set[str]:
        return {each["id"] for each in pages(api, limit=1000, **params)}

    both = ids(symbol="BTC, eth")
    assert both == ids(symbol="btc") | ids(symbol="eth")
    assert ids(source="csv,rss") == ids()
    assert ids(kind="news") == ids(source="rss")
    assert ids(currency="USD,EUR", interval="1d") == ids(kind="candle")
    assert ids(interval="1h") == set()


@pytest.mark.usefixtures("filled")
def test_only_the_fields_that_are_asked_for(
    api: httpx.Client,  # noqa: F811
) -> None:
    whole = pages(api, limit=1000, symbol="btc")
    some = pages(
        api, limit=7, symbol="btc", fields="close,timestamp", order="asc"
    )
    assert some == [
        {"close": each["close"], "timestamp": each["timestamp"]}
        for each in whole[::-1]
    ]


def test_what_was_written_since(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    load(engine, [candle(day) for day in (1, 2, 3, 4)], offset=1)
    moment = datetime.now(UTC).isoformat()
    assert pages(api, updated_since=moment) == []
    load(
        engine,
        [candle(1), candle(2, close="1.75"), candle(5)],
        offset=2,
    )
    found = pages(api, updated_since=moment)
    assert [
        (each["timestamp"][8:10], each["close"]) for each in found
    ] == [("05", 1.5), ("02", 1.75)]
    assert pages(api, updated_since=moment, symbol="eth") == []
    assert len(pages(api, updated_since="2020-01-01T00:00:00+00:00")) == 5


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"fields": "close,tiem"}, "tiem"),
        ({"fields": "timestmp"}, "did you mean `timestamp`"),
        ({"fields": ""}, "fields"),
        ({"order": "up"}, "order"),
        ({"count": "maybe"}, "count"),
        (
            {"as_of": "2024-01-01", "updated_since": "2024-01-01"},
            "either",
        ),
        ({"symbol": "btc,,eth"}, "symbol"),
        ({"kind": "candle,news,car"}, "must be of"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    api: httpx.Client,  # noqa: F811
    params: dict[str, str],
    said: str,
) -> None:
    answer = api.get("/data", params=params)
    assert answer.status_code == 422
    assert said in answer.text
