"""What is priced, and what each source calls it; series in any order, with what they lack."""

from __future__ import annotations

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


def get(api: httpx.Client, path: str, **params: Any) -> Any:  # noqa: F811
    answer = api.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def filled(engine: Engine) -> None:
    for number, (coin, days) in enumerate(
        {
            "btc-usd": (1, 2, 3, 4),
            "eth-usd": (1, 2, 5),
            "xrp-usd": (3, 4),
        }.items()
    ):
        path = f"mine/{coin}.csv"
        load(
            engine,
            [candle(day) for day in days],
            offset=number,
            stream=f"csv/{path}",
            context=csv_context(path),
        )


@pytest.mark.usefixtures("filled")
def test_a_symbol_is_found_with_its_coin_and_the_ids_of_each_source(
    api: httpx.Client,  # noqa: F811
) -> None:
    (btc,) = get(api, "/instruments", q="BTC", limit=1)
    assert (btc["symbol"], btc["name"], btc["rank"]) == (
        "btc",
        "Bitcoin",
        1,
    )
    assert btc["candidates"][0]["id"] == "btc-bitcoin"
    assert (btc["ids"], btc["series"], btc["points"]) == (
        {"csv": ["btc-usd"]},
        1,
        4,
    )
    assert get(api, "/instruments", q="bitcoin")[0]["symbol"] == "btc"
    assert get(api, "/instruments", q="eth-ether")[0]["symbol"] == "eth"
    assert get(api, "/instruments", q="no such coin") == []


@pytest.mark.usefixtures("filled")
def test_what_has_data_points_comes_first_and_filters_leave_only_that(
    api: httpx.Client,  # noqa: F811
) -> None:
    first = get(api, "/instruments", limit=4)
    assert [each["symbol"] for each in first[:3]] == ["btc", "eth", "xrp"]
    assert first[2]["candidates"][0]["id"] == "xrp-xrp"
    assert first[3]["points"] == 0
    only = get(api, "/instruments", source="csv", sort="points")
    assert [each["symbol"] for each in only] == ["btc", "eth", "xrp"]
    assert get(api, "/instruments", source="rss") == []
    seen = []
    url = "/instruments?limit=50&sort=symbol"
    while url:
        answer = api.get(url)
        seen += [each["symbol"] for each in answer.json()]
        following = answer.links.get("next")
        url = (
            following["url"].removeprefix("/api/v1") if following else ""
        )
    assert len(seen) > 150
    assert seen == sorted(set(seen))


@pytest.mark.usefixtures("filled")
def test_series_say_how_complete_they_are_and_come_in_any_order(
    api: httpx.Client,  # noqa: F811
) -> None:
    found = {
        each["symbol"]: (each["expected"], each["completeness"])
        for each in get(api, "/series")
    }
    assert found == {"btc": (4, 1), "eth": (5, 0.6), "xrp": (2, 1)}
    for sort, order, expected in (
        ("points", "desc", ["btc", "eth", "xrp"]),
        ("completeness", "asc", ["eth", "btc", "xrp"]),
        ("last", "desc", ["eth", "xrp", "btc"]),
        ("symbol", "desc", ["xrp", "eth", "btc"]),
    ):
        listed = get(api, "/series", sort=sort, order=order)
        assert [each["symbol"] for each in listed] == expected
    several = get(api, "/series", symbol="xrp,BTC", source="csv,rss")
    assert [each["symbol"] for each in several] == ["btc", "xrp"]
    answer = api.get("/series", params={"limit": 2})
    assert 'rel="next"' in answer.headers["link"]
    rest = api.get(answer.links["next"]["url"].removeprefix("/api/v1"))
    assert [each["symbol"] for each in rest.json()] == ["xrp"]
    assert "link" not in rest.headers


@pytest.mark.parametrize(
    ("path", "params", "said"),
    [
        ("/series", {"sort": "name"}, "sort"),
        ("/series", {"source": "csv,nasdaq"}, "must be of"),
        ("/series", {"symbol": "a," * 200 + "a"}, "100 values"),
        ("/series", {"symbol": "a,,b"}, "symbol"),
        ("/instruments", {"q": ""}, "q"),
        ("/instruments", {"query": "btc"}, "no such parameter"),
    ],
)
def test_what_cannot_be_listed_is_refused(
    api: httpx.Client,  # noqa: F811
    path: str,
    params: dict[str, str],
    said: str,
) -> None:
    answer = api.get(path, params=params)
    assert answer.status_code == 422
    assert said in answer.text
