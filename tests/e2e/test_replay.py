"""Replay.

What was fetched is normalized again, from the topic or the archive, and changes nothing that is
newer.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.server import Simulator, entry, rss, ticker
from tests.support.oracle import write_candles
from tests.support.stack import Stack

STREAM = "csv/again/btc-usd.csv"
ROWS = 2_300


def replay(stack: Stack, **body: Any) -> dict[str, Any]:
    answer = stack.api.post("/replay", json=body)
    assert answer.status_code == 202, answer.text
    return stack.wait_for(answer.json()["run_id"])


def table(stack: Stack) -> list[tuple[Any, ...]]:
    return stack.query(
        "SELECT id, value_hash, revision, page_id, run_id, updated_at FROM unified_data ORDER BY id"
    )


def digest(stack: Stack, run_id: str) -> tuple[int, str]:
    found = stack.api.get(f"/runs/{run_id}/digest").json()
    return found["records"], found["sha256"]


@pytest.fixture(scope="module")
def ingested(stack: Stack, upstream: Simulator) -> dict[str, Any]:
    write_candles(stack.csv_dir / "again" / "btc-usd.csv", ROWS)
    upstream.tickers["btc-bitcoin"] = ticker("btc-bitcoin")
    upstream.feeds["late"] = rss(
        [entry(1, "Ethereum plunges as exchange hack drains $300M")]
    )
    run = stack.ingest(
        streams=[STREAM, "rss/late", "coinpaprika/btc-bitcoin"]
    )
    assert run["status"] == "succeeded", run
    return run


@pytest.mark.parametrize("origin", ["topic", "archive", "auto"])
def test_a_replay_of_a_run_yields_the_same_and_changes_nothing(
    stack: Stack, ingested: dict[str, Any], origin: str
) -> None:
    before, pages = (
        table(stack),
        stack.query("SELECT count(*) FROM raw_data"),
    )

    run = replay(stack, run_id=ingested["run_id"], origin=origin)

    assert (
        run["kind"],
        run["status"],
        run["ledger"]["balanced"],
        run["ledger"]["pages_missing"],
    ) == ("replay", "succeeded", True, 0)
    assert (
        run["records"],
        run["unchanged"],
        run["inserted"],
        run["updated"],
    ) == (
        ingested["records"],
        ingested["records"],
        0,
        0,
    )
    assert run["sources"].keys() == ingested["sources"].keys()
    assert (
        table(stack),
        stack.query("SELECT count(*) FROM raw_data"),
    ) == (
        before,
        pages,
    )
    assert digest(stack, run["run_id"]) == digest(
        stack, ingested["run_id"]
    )
    difference = stack.api.get(
        f"/runs/{ingested['run_id']}/diff/{run['run_id']}"
    ).json()
    assert difference["counts"] == {
        "only_in_a": 0,
        "only_in_b": 0,
        "changed": 0,
        "unchanged": ingested["records"],
    }


def test_newer_facts_stay(
    stack: Stack, upstream: Simulator, ingested: dict[str, Any]
) -> None:
    upstream.tickers["btc-bitcoin"] = ticker(
        "btc-bitcoin", 50_000.5
    )  # the same time, another price
    newer = stack.ingest(streams=["coinpaprika/btc-bitcoin"])
    assert newer["updated"] == 1
    run = replay(stack, run_id=ingested["run_id"], source="coinpaprika")
    assert (run["records"], run["unchanged"]) == (1, 1)
    (point,) = stack.api.get(
        "/data", params={"run_id": newer["run_id"]}
    ).json()
    assert (
        point["price"],
        stack.query(
            "SELECT price FROM unified_data WHERE id = %s", point["id"]
        ),
    ) == (50_000.5, [(Decimal("50000.5"),)])
    found = stack.api.get(
        f"/runs/{ingested['run_id']}/diff/{newer['run_id']}",
        params={"kind": "changed"},
    ).json()
    assert [
        change
        for change in found["differences"][0]["fields"]
        if change["field"] == "price"
    ] == [{"field": "price", "old": 42000.5, "new": 50_000.5}]


def test_a_symbol_a_stream_or_offsets_select(
    stack: Stack, ingested: dict[str, Any]
) -> None:
    about = replay(
        stack,
        symbol="ETH",
        source="rss",
        stream="rss/late",
        run_id=ingested["run_id"],
    )
    assert (about["status"], about["unchanged"], about["skipped"]) == (
        "succeeded",
        1,
        about["records"] - 1,
    )
    ((partition, first, last),) = stack.query(
        'SELECT "partition", min("offset"), max("offset") FROM raw_data WHERE run_id = %s AND'
        " stream = %s GROUP BY 1",
        ingested["run_id"],
        STREAM,
    )
    some = replay(
        stack,
        stream=STREAM,
        run_id=ingested["run_id"],
        offsets=[{"partition": partition, "from": first + 1, "to": last}],
    )
    assert (some["status"], some["records"], len(some["tasks"])) == (
        "succeeded",
        1_000,
        1,
    )
    nothing = replay(
        stack,
        **{"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"},
    )
    assert (
        nothing["status"],
        nothing["records"],
        "no raw page matches" in nothing["message"],
    ) == ("succeeded", 0, True)
