"""How news feel, and what a price did after them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from tests.integration.test_gateway import (  # noqa: F401  fixtures
    address,
    api,
    load,
)
from tests.integration.test_ohlcv import HOUR, loaded

START = datetime(2024, 1, 1, tzinfo=UTC)
ARTICLES = (
    ("Bitcoin plunges after hack", 2, "paper"),
    ("Bitcoin rallies to record", 5, "paper"),
    ("Bitcoin soars", 6, "wire"),
    ("What is Bitcoin?", 30, "wire"),
    ("Ethereum soars", 31, "wire"),
)


def get(api: httpx.Client, path: str, **params: Any) -> Any:  # noqa: F811
    answer = api.get(path, params={"symbol": "btc", **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def filled(engine: Engine) -> None:
    """Hourly closes of 100, 101, 102 … and five articles, known half an hour later."""
    rows = [
        (
            START + n * HOUR,
            Decimal(100 + n),
            Decimal(101 + n),
            Decimal(99 + n),
            Decimal(100 + n),
            Decimal(1),
        )
        for n in range(48)
    ]
    loaded(engine, rows)
    for number, (title, hour, feed) in enumerate(ARTICLES):
        moment = START + hour * HOUR
        load(
            engine,
            [
                {
                    "title": title,
                    "link": f"http://x/{number}",
                    "id": f"http://x/{number}",
                    "key": f"http://x/{number}",
                    "published": moment.strftime(
                        "%a, %d %b %Y %H:%M:%S GMT"
                    ),
                    "summary": "",
                }
            ],
            offset=50 + number,
            stream=f"rss/{feed}",
            context={},
        )
    with engine.begin() as transaction:
        transaction.execute(
            text(
                'UPDATE points SET created_at = "timestamp"'
                " + interval '30 minutes' WHERE id >="
                " 'f0000000-0000-0000-0000-000000000000'"
            )
        )


@pytest.mark.usefixtures("filled")
def test_bars_count_and_name_what_they_are_made_of(
    api: httpx.Client,  # noqa: F811
) -> None:
    found = get(api, "/sentiment")["bars"]
    first, second = found
    assert (first["news"], first["negative"], first["positive"]) == (
        3,
        1,
        2,
    )
    assert (first["feeds"], first["share_of_feeds"]) == (2, 1)
    scores = [each["sentiment"] for each in first["headlines"]]
    assert first["mean"] == pytest.approx(sum(scores) / 3, abs=0.0001)
    assert [abs(each) for each in scores] == sorted(
        map(abs, scores), reverse=True
    )
    assert all(each["words"] for each in first["headlines"])
    assert (second["news"], second["neutral"]) == (1, 1)
    assert second["share_of_feeds"] == 0.5
    hours = get(api, "/sentiment", interval="1h", headlines=0)["bars"]
    assert len(hours) == 29
    assert sum(bar["news"] for bar in hours) == 4
    assert hours[1]["mean"] is None
    only = get(api, "/sentiment", dataset="paper")["bars"]
    assert only[0]["news"] == 2
    assert get(api, "/sentiment", symbol="none")["bars"] == []
    late = {"from": "9999-12-31", "interval": "1M"}
    assert get(api, "/sentiment", **late)["bars"] == []


@pytest.mark.usefixtures("filled")
def test_bars_are_paged(api: httpx.Client) -> None:  # noqa: F811
    url = "/sentiment?symbol=btc&interval=1h&limit=7&from=2024-01-01"
    seen = []
    while url:
        answer = api.get(url)
        seen += [bar["open_time"] for bar in answer.json()["bars"]]
        following = answer.links.get("next")
        url = (
            following["url"].removeprefix("/api/v1") if following else ""
        )
    assert len(seen) == len(set(seen)) == 29
    assert seen == sorted(seen)


@pytest.mark.usefixtures("filled")
def test_a_move_counts_from_when_the_news_were_known(
    api: httpx.Client,  # noqa: F811
) -> None:
    found = {
        each["title"]: each
        for each in get(api, "/news", impact="1h,24h,2d")
    }
    assert len(found) == 4
    hack = found["Bitcoin plunges after hack"]
    # Known at 2:30, when the close of 1:00 to 2:00 was the last price: 101.
    known = hack["since_known"]
    assert (known["price"], known["time"]) == (
        101,
        "2024-01-01T02:00:00Z",
    )
    assert known["move_percent"] == {
        "1h": pytest.approx(100 / 101, abs=0.0001),
        "24h": pytest.approx(2400 / 101, abs=0.0001),
        "2d": None,
    }
    published = hack["since_published"]
    assert published["move_percent"]["1h"] == known["move_percent"]["1h"]
    # News of long ago that are known today have no price near.
    whole = get(api, "/news", limit=2)
    rest = api.get(
        api.get("/news", params={"symbol": "btc", "limit": 2})
        .links["next"]["url"]
        .removeprefix("/api/v1")
    ).json()
    assert [each["id"] for each in whole + rest] == [
        each["id"] for each in get(api, "/news")
    ]


@pytest.mark.usefixtures("filled")
def test_moves_by_sentiment_are_those_of_each(
    api: httpx.Client,  # noqa: F811
) -> None:
    found = get(api, "/news/impact", impact="1h,2d")
    by = {
        (each["sentiment"], each["delay"]): each
        for each in found["impact"]
    }
    assert found["news"] == 4
    positive = by["positive", "1h"]
    assert (positive["news"], positive["moves"]) == (2, 2)
    expected = [100 / 104, 100 / 105]
    assert positive["mean_percent"] == pytest.approx(
        sum(expected) / 2, abs=0.0002
    )
    assert by["negative", "2d"]["mean_percent"] is None
    assert by["neutral", "1h"]["moves"] == 1


def test_without_a_price_there_is_no_move(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    load(
        engine,
        [
            {
                "title": "Bitcoin soars",
                "link": "http://x/1",
                "id": "http://x/1",
                "published": "Mon, 01 Jan 2024 05:00:00 GMT",
                "summary": "",
            }
        ],
        stream="rss/paper",
        context={},
    )
    (news,) = get(api, "/news")
    assert news["since_known"] == {
        "price": None,
        "currency": None,
        "time": None,
        "move_percent": {"1h": None, "4h": None, "24h": None},
    }
    assert timedelta(0) < datetime.now(UTC) - datetime.fromisoformat(
        news["known_at"]
    )


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/sentiment", {}),
        ("/sentiment", {"symbol": "btc", "interval": "2x"}),
        ("/sentiment", {"symbol": "btc", "headlines": "21"}),
        ("/news", {"symbol": "btc", "impact": "1h,1w"}),
        ("/news", {"symbol": "btc", "impact": "1h,2h,3h,4h,5h,6h"}),
        ("/news", {"symbol": "btc", "cursor": "x"}),
        ("/news/impact", {"symbol": "btc", "since": "ever"}),
    ],
)
def test_what_cannot_be_asked_is_refused(
    api: httpx.Client,  # noqa: F811
    path: str,
    params: dict[str, str],
) -> None:
    assert api.get(path, params=params).status_code == 422
