"""The price at a moment: the last that was known then, never a later one."""

from __future__ import annotations

import random
import time
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
from tests.integration.test_ohlcv import HOUR, hours, loaded

START = datetime(2024, 1, 1, tzinfo=UTC)


def price(api: httpx.Client, at: datetime | str, **more: str) -> Any:  # noqa: F811
    moment = at if isinstance(at, str) else at.isoformat()
    answer = api.get(
        "/price", params={"symbol": "btc", "at": moment, **more}
    )
    if answer.status_code == 404:
        return None
    assert answer.status_code == 200, answer.text
    return answer.json()


def ticks(engine: Engine, prices: list[tuple[datetime, str]]) -> None:
    """A file of prices, as they were at moments."""
    cells = [
        [f"{moment:%Y-%m-%d %H:%M:%S}", value] for moment, value in prices
    ]
    load(
        engine,
        cells,
        offset=50,
        stream="csv/ticks/btc-usd.csv",
        context={
            "path": "ticks/btc-usd.csv",
            "columns": ["time", "price"],
            "preamble": [],
            "sample": cells[:20],
        },
    )


def test_a_close_is_known_at_the_end_of_its_candle(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    one, two = Decimal(1), Decimal(3)
    loaded(
        engine,
        [
            (START + n * HOUR, one, two, one, one + n, one)
            for n in range(3)
        ],
    )
    assert price(api, START + 59 * timedelta(minutes=1)) is None
    found = price(api, START + HOUR)
    assert (found["price"], found["time"], found["seconds_before"]) == (
        1,
        "2024-01-01T01:00:00Z",
        0,
    )
    assert found["series"]["dataset"] == "mine"
    assert found["currency"] == "USD"
    (point,) = api.get(
        "/data", params={"to": "2024-01-01T01:00:00Z"}
    ).json()
    assert found["id"] == point["id"]
    assert price(api, "0001-01-01") is None
    assert price(api, "9999-12-31T23:59:59.999999Z")["price"] == 3
    late = price(api, START + 100 * HOUR)
    assert (late["price"], late["seconds_before"]) == (3, 97 * 3600)


def test_a_candle_that_says_its_end_is_known_then(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    one, two = Decimal(1), Decimal(3)
    loaded(
        engine,
        [
            (START + n * HOUR, one, two, one, one + n, one)
            for n in range(3)
        ],
        time="Close time",
    )
    assert price(api, START)["price"] == 1
    assert price(api, START - HOUR) is None


def test_of_several_series_the_nearest_then_the_one_by_the_rule(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    one, two = Decimal(1), Decimal(2)
    loaded(
        engine,
        [(START + n * HOUR, one, two, one, two, one) for n in range(3)],
    )
    ticks(engine, [(START + n * HOUR / 2, f"1.{n}") for n in range(1, 6)])
    assert price(api, START + HOUR)["series"]["kind"] == "candle"
    nearest = price(api, START + 1.6 * HOUR)
    assert (nearest["series"]["kind"], nearest["price"]) == ("price", 1.3)
    assert price(api, START + 1.6 * HOUR, dataset="mine")["price"] == 2


def test_ten_thousand_moments_are_those_of_a_naive_search(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    rows = hours(3)
    loaded(engine, rows)
    chance = random.Random(4)
    first = rows[0][0]
    moments = [
        first + timedelta(seconds=chance.randrange(-9999, 300 * 86_400))
        for _ in range(10_000)
    ]
    began = time.monotonic()
    answer = api.post(
        "/price",
        json={
            "pairs": [
                ["BTC", f"{each:%Y-%m-%dT%H:%M:%SZ}"] for each in moments
            ]
        },
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    assert time.monotonic() - began < 30
    found = answer.json()
    known = [(moment + HOUR, close) for moment, *_, close, _ in rows]
    expected: list[Any] = []
    for moment in moments:
        before = [each for each in known if each[0] <= moment]
        expected.append(float(before[-1][1]) if before else None)
    assert [each["price"] for each in found] == expected
    assert all(
        each["price"] is None or each["seconds_before"] >= 0
        for each in found
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "pairs"),
        ({"pairs": []}, "at least 1"),
        ({"pairs": [["btc", "2024-01-01"]] * 10_001}, "10000"),
        ({"pairs": [["btc"]]}, "pairs"),
        ({"pairs": [["btc", "yesterday"]]}, "time"),
        ({"pairs": [["btc", 1_700_000_000]]}, "time"),
        ({"pairs": [["btc", None]]}, "time"),
        (
            {"pairs": [["btc", "0001-01-01T00:00:00+05:00"]]},
            "out of range",
        ),
        ({"pairs": [["", "2024-01-01"]]}, "character"),
        (
            {"pairs": [["btc", "2024-01-01"]], "curency": "USD"},
            "currency",
        ),
    ],
)
def test_what_is_no_list_of_moments(
    api: httpx.Client,  # noqa: F811
    body: dict[str, Any],
    said: str,
) -> None:
    answer = api.post("/price", json=body)
    assert answer.status_code == 422, answer.text
    assert said in answer.text


def test_a_coin_that_is_not_there(api: httpx.Client) -> None:  # noqa: F811
    assert price(api, START, symbol="none") is None
    answer = api.post("/price", json={"pairs": [["none", "2024-01-01"]]})
    assert answer.json()[0]["price"] is None
    assert api.get("/price").status_code == 422
    assert (
        api.get("/price", params={"symbol": "btc", "at": "x"}).status_code
        == 422
    )


def test_a_price_by_the_data_as_they_were(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    one, two = Decimal(1), Decimal(9)
    rows = [
        (START + n * HOUR, one, two, one, one + n, one) for n in range(4)
    ]
    loaded(engine, rows[:3])
    first = datetime.now(UTC).isoformat()
    changed = (rows[1][0], one, two, one, Decimal(8), one)
    loaded(engine, [rows[0], changed, *rows[2:]], offset=5)
    second = datetime.now(UTC).isoformat()
    moments = [START + n * HOUR for n in range(1, 6)]
    now = [price(api, moment)["price"] for moment in moments]
    assert now == [1, 8, 3, 4, 4]
    for then, expected in (
        (first, [1, 2, 3, 3, 3]),
        (second, now),
    ):
        assert [
            price(api, moment, as_of=then)["price"] for moment in moments
        ] == expected
        answer = api.post(
            "/price",
            json={
                "as_of": then,
                "pairs": [["btc", each.isoformat()] for each in moments],
            },
        )
        assert [each["price"] for each in answer.json()] == expected
    assert price(api, moments[0], as_of="2020-01-01T00:00:00Z") is None
    refused = api.post(
        "/price", json={"as_of": 5, "pairs": [["btc", "2024-01-01"]]}
    )
    assert refused.status_code == 422


def test_what_was_retired_later_counts_by_the_data_as_they_were(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    one = Decimal(1)
    loaded(
        engine,
        [(START + n * HOUR, one, one, one, one, one) for n in range(3)],
    )
    then = datetime.now(UTC).isoformat()
    with engine.begin() as transaction:
        transaction.execute(
            text(
                "UPDATE points SET retired_at = clock_timestamp(),"
                " updated_at = clock_timestamp(), revision = 2"
            )
        )
    assert price(api, START + HOUR) is None
    assert price(api, START + HOUR, as_of=then)["price"] == 1
    bars = api.get(
        "/ohlcv",
        params={"symbol": "btc", "interval": "1d", "as_of": then},
    ).json()
    assert bars["series"][0]["bars"][0]["points"] == 3
