"""Sources side by side, at the moments when their prices were known."""

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
)
from tests.integration.test_ohlcv import HOUR, loaded
from tests.integration.test_price import ticks

START = datetime(2024, 1, 1, tzinfo=UTC)


def closes(*values: str) -> list[Any]:
    return [
        (
            START + n * HOUR,
            Decimal(value),
            Decimal(value) + 1,
            Decimal(value) - 1,
            Decimal(value),
            Decimal(1),
        )
        for n, value in enumerate(values)
    ]


def agreement(api: httpx.Client, **params: Any) -> Any:  # noqa: F811
    answer = api.get("/agreement", params={"symbol": "btc", **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def three(engine: Engine) -> None:
    """By begin, by end, and by moment: the same hours."""
    loaded(engine, closes("100", "101", "102", "103"), dataset="one")
    by_end = [
        (moment + HOUR, *values)
        for moment, *values in closes("100", "101", "112", "103")
    ]
    loaded(engine, by_end, dataset="two", time="Close time", offset=10)
    ticks(
        engine,
        [
            (START + n * HOUR - timedelta(minutes=1), str(99 + n))
            for n in range(1, 4)
        ],
    )


@pytest.mark.usefixtures("three")
def test_prices_are_compared_at_the_moments_when_they_are_known(
    api: httpx.Client,  # noqa: F811
) -> None:
    found = agreement(api)
    names = [each["dataset"] for each in found["series"]]
    assert sorted(names) == ["one", "ticks", "two"]
    assert found["within_seconds"] == 3600
    assert [
        (
            each["time"][11:16],
            {
                names[price["series"]]: price["price"]
                for price in each["prices"]
            },
            each["agree"],
        )
        for each in found["moments"]
    ] == [
        ("01:00", {"one": 100, "two": 100, "ticks": 100}, True),
        ("02:00", {"one": 101, "two": 101, "ticks": 101}, True),
        ("03:00", {"one": 102, "two": 112, "ticks": 102}, False),
        ("04:00", {"one": 103, "two": 103}, True),
    ]
    assert (found["compared"], found["agreed"]) == (4, 3)
    assert found["worst"]["time"] == "2024-01-01T03:00:00Z"
    assert found["worst"]["spread_percent"] == 9.8039


@pytest.mark.usefixtures("three")
def test_the_one_that_lies_apart_is_named_with_its_data_point(
    api: httpx.Client,  # noqa: F811
) -> None:
    found = agreement(api)
    (two,) = [
        each for each in found["series"] if each["dataset"] == "two"
    ]
    assert (two["compared"], two["outliers"]) == (4, 1)
    assert two["worst"]["deviation_percent"] == 9.8039
    (third,) = [each for each in found["moments"] if each["outliers"]]
    assert third["outliers"] == [two["worst"]["id"]]
    answer = api.get(f"/data/{two['worst']['id']}/lineage")
    assert answer.status_code == 200
    assert agreement(api, threshold_percent=10)["agreed"] == 4
    newest = agreement(api, order="desc", limit=2)
    assert [each["time"][11:13] for each in newest["moments"]] == [
        "04",
        "03",
    ]


@pytest.mark.usefixtures("three")
def test_moments_are_paged(api: httpx.Client) -> None:  # noqa: F811
    url = "/agreement?symbol=btc&limit=1&from=2024-01-01"
    seen = []
    while url:
        answer = api.get(url)
        seen += [each["time"][11:13] for each in answer.json()["moments"]]
        following = answer.links.get("next")
        url = (
            following["url"].removeprefix("/api/v1") if following else ""
        )
    assert seen == ["01", "02", "03", "04"]


def test_of_two_that_differ_nobody_knows_which_is_wrong(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    loaded(engine, closes("100", "101"), dataset="one")
    loaded(engine, closes("100", "150"), dataset="two", offset=9)
    found = agreement(api)
    assert found["agreed"] == 1
    assert all(not each["outliers"] for each in found["moments"])


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({}, 422),
        ({"symbol": "btc", "interval": "9x"}, 422),
        ({"symbol": "btc", "threshold_percent": "0"}, 422),
        ({"symbol": "btc", "threshold_percent": "nan"}, 422),
        ({"symbol": "none"}, 404),
        ({"symbol": "btc", "limit": "5001"}, 422),
    ],
)
def test_what_cannot_be_compared_is_refused(
    api: httpx.Client,  # noqa: F811
    params: dict[str, str],
    status: int,
) -> None:
    answer = api.get("/agreement", params=params)
    assert answer.status_code == status, answer.text
