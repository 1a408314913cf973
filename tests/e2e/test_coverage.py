"""Each cause of a hole is made, read and filled, with no more calls than were announced."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.simulator.server import Fault, Simulator
from tests.support.stack import Stack

PARENT = "coinpaprika/btc-bitcoin"
OHLCV = "/v1/coins/btc-bitcoin/ohlcv/historical"
SERIES = {
    "symbol": "btc",
    "source": "coinpaprika",
    "kind": "candle",
}


@pytest.fixture(autouse=True)
def no_odd_days(own_upstream: Simulator) -> Any:
    yield
    own_upstream.odd_days.clear()
    own_upstream.faults.clear()


def ingest(stack: Stack, start: str, end: str) -> dict[str, Any]:
    return stack.ingest(streams=[f"{PARENT}/ohlcv/{start}..{end}"])


def holes(stack: Stack, **more: Any) -> list[tuple[Any, ...]]:
    answer = stack.api.get("/coverage", params={**SERIES, **more})
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()
    return [
        (
            each["from"][5:10],
            each["to"][5:10],
            each["cause"],
            each["reason"],
            each["can_fill"],
        )
        for each in found["holes"]
    ]


def fill(stack: Stack, **body: Any) -> Any:
    answer = stack.api.post("/coverage/fill", json={**SERIES, **body})
    assert answer.status_code in (200, 202), answer.text
    return answer.json()


def test_each_cause_is_told_and_what_can_be_filled_is(
    own: Stack, own_upstream: Simulator
) -> None:
    own_upstream.odd_days = {
        date(2022, 1, 4): None,
        date(2022, 1, 6): {
            "time_open": "2022-01-06T00:00:00Z",
            "open": 5,
            "high": 1,
            "low": 2,
            "close": 3,
            "volume": 4,
        },
        date(2022, 1, 8): {
            "time_open": "2022-01-08T00:00:00Z",
            "open": None,
            "high": None,
            "low": None,
            "close": None,
        },
    }
    ingest(own, "2022-01-01", "2022-01-11")
    for _ in range(20):
        own_upstream.fail(OHLCV, Fault(status=503))
    failed = ingest(own, "2022-01-21", "2022-01-25")
    assert failed["status"] != "succeeded"
    (error,) = failed["errors"]
    own_upstream.faults.clear()
    ingest(own, "2022-02-01", "2022-02-05")

    for_good = [
        ("01-04", "01-05", "no_data", None, False),
        ("01-06", "01-07", "rejected", "high_below_low", False),
        ("01-08", "01-09", "skipped", "no_value", False),
    ]
    found = holes(own)
    assert [each[:3] for each in found[:3]] == [
        each[:3] for each in for_good
    ]
    assert found[3:] == [
        ("01-11", "01-21", "never_asked", None, True),
        ("01-21", "01-25", "failed", error["code"], True),
        ("01-25", "02-01", "never_asked", None, True),
    ]

    announced = fill(own, dry_run=True)
    assert announced["run_id"] is None
    assert [each["stream"] for each in announced["windows"]] == [
        f"{PARENT}/ohlcv/2022-01-11..2022-02-01"
    ]
    before = len(own_upstream.requests)
    filling = fill(own)
    assert filling["windows"] == announced["windows"]
    run = own.wait_for(filling["run_id"])
    assert run["status"] == "succeeded", run
    calls = [
        path
        for path, _ in own_upstream.requests[before:]
        if path.startswith("/v1/")
    ]
    assert (len(calls), announced["calls"]) == (2, 3)
    assert holes(own) == found[:3]
    assert fill(own) == {
        **announced,
        "windows": [],
        "calls": 0,
        "budget": fill(own, dry_run=True)["budget"],
    }
    # All of it is one series, and so are its bars.
    bars = own.api.get(
        "/ohlcv",
        params={**SERIES, "interval": "1d", "from": "2022-01-01"},
    ).json()
    assert len(bars["series"][0]["bars"]) == 35 - 3


def test_a_fill_is_one_run_however_often_it_is_sent(
    own: Stack,
) -> None:
    body = {**SERIES, "from": "2021-12-30", "to": "2022-01-01"}
    headers = {"Idempotency-Key": "fill-once"}
    first, again = (
        own.api.post("/coverage/fill", json=body, headers=headers)
        for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["run_id"] == again.json()["run_id"]
    assert own.wait_for(first.json()["run_id"])["inserted"] == 2
    third = own.api.post("/coverage/fill", json=body, headers=headers)
    assert third.json()["run_id"] == first.json()["run_id"]
    assert (third.json()["windows"], third.json()["calls"]) == (
        None,
        None,
    )
