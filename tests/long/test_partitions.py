"""More partitions than at first: streams change theirs, and nothing changes for their points."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from embedded.settings import ROOT
from shared.kafka.partitions import partition_of
from shared.messages.base import MAX_PAGE_RECORDS
from shared.messages.topics import RAW, TOPICS
from tests.chaos.stack import on_cluster
from tests.support.product import until
from tests.support.stack import Stack, prepare, running

FEW, MANY = 2, 5
COINS = ("ada", "sol", "dot", "ltc", "xrp", "trx", "avax", "near")
ROWS = 3 * MAX_PAGE_RECORDS
START = datetime(2024, 1, 1, tzinfo=UTC)


def write(stack: Stack, rows: int, price: float) -> None:
    """Every file anew, up to `rows`; the last of its rows have the price."""
    for number, coin in enumerate(COINS):
        lines = ["time,price"]
        for row in range(rows):
            time = START + timedelta(minutes=row)
            value = number + 1 if row < ROWS else price
            lines.append(f"{time:%Y-%m-%dT%H:%M:%SZ},{value}.{row:04}5")
        path = stack.csv_dir / "feed" / f"{coin}-usd.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root: Path = tmp_path_factory.mktemp("partitions")
    prepare(root)
    with running(
        root / "state", root / "csv", PARTITIONS=str(FEW)
    ) as stack:
        yield stack


def counts(stack: Stack) -> set[int]:
    """Of the topics along the path of a page."""
    along = {
        topic.name for topic in TOPICS if topic.own_partitions is None
    }
    return {
        len(each["partitions"])
        for each in on_cluster(stack.settings.kafka_bootstrap_servers)
        if each["topic"] in along
    }


def ingest(stack: Stack) -> dict[str, Any]:
    run = stack.ingest(sources=["csv"])
    assert (run["status"], run["ledger"]["balanced"]) == (
        "succeeded",
        True,
    )
    return run


def up(stack: Stack, partitions: int) -> str:
    """What is said where it is refused."""
    done = stack.command("up", PARTITIONS=str(partitions))
    return "" if done.returncode == 0 else done.stdout + done.stderr


def points(stack: Stack) -> list[tuple[Any, ...]]:
    return stack.query(
        'SELECT symbol, "timestamp", price, revision FROM unified_data ORDER BY id'
    )


def test_partitions_are_raised_where_nothing_is_under_way(
    stack: Stack,
) -> None:
    write(stack, ROWS, 0)
    assert ingest(stack)["records"] == len(COINS) * ROWS
    assert counts(stack) == {FEW}
    moved = [
        coin
        for coin in COINS
        if partition_of(f"csv/feed/{coin}-usd.csv", FEW)
        != partition_of(f"csv/feed/{coin}-usd.csv", MANY)
    ]
    assert moved

    running = subprocess.run(
        [sys.executable, "-m", "services.loader", "migrate"],
        cwd=ROOT,
        env={**stack.environment, "PARTITIONS": str(MANY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "services run" in running.stdout + running.stderr

    stack.stop_part("normalizer")
    write(stack, ROWS + 10, 7)
    run_id = stack.start_run(sources=["csv"])
    until(
        "its pages to be published",
        lambda: (
            (stack.run_state(run_id).get("ledger") or {}).get(
                "pages_published"
            )
            == len(COINS)
        ),
        60,
    )
    stack.down()
    assert "while 1 runs are open" in up(stack, MANY)
    stack.down()
    assert up(stack, FEW) == ""
    assert stack.wait_for(run_id)["status"] == "succeeded"
    stack.down()
    before = points(stack) if up(stack, MANY) == "" else []
    assert counts(stack) == {MANY}
    assert len(before) == len(COINS) * (ROWS + 10)

    # Files are read on from where they ended, and what is newer stands.
    write(stack, ROWS + 20, 7)
    assert ingest(stack)["records"] == len(COINS) * 10
    write(stack, ROWS + 20, 9)
    run = stack.ingest(sources=["csv"], full_refresh=True)
    assert run["status"] == "succeeded"
    newest = stack.query(
        'SELECT count(*), min(price)::int FROM unified_data WHERE "timestamp" >='
        f" '{START + timedelta(minutes=ROWS)}'"
    )
    assert newest == [(len(COINS) * 20, 9)]

    # A replay finds pages where their stream was, and where it is; none is newer for it.
    after = points(stack)
    answer = stack.api.post("/replay", json={"source": "csv"})
    replayed = stack.wait_for(answer.json()["run_id"])
    assert replayed["status"] == "succeeded"
    assert replayed["ledger"]["balanced"]
    pages = stack.query(
        "SELECT count(*), sum(record_count) FROM raw_data"
    )
    assert [
        (replayed["ledger"]["pages_published"], replayed["records"])
    ] == pages
    assert points(stack) == after

    stack.down()
    assert f"Set PARTITIONS={MANY}" in up(stack, FEW)
    stack.down()
    assert stack.command("up", PARTITIONS="").returncode == 0
    assert counts(stack) == {MANY}
    refused = stack.api.post(
        "/replay",
        json={"offsets": [{"partition": MANY}], "origin": "topic"},
    )
    assert refused.status_code == 422
    assert f"{RAW.name} has {MANY}, from 0 on" in refused.text
