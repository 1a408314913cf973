"""`CSV_DIR=s3://…`: a whole stack on an object storage, with no folder that services share."""

from __future__ import annotations

from collections.abc import Iterator

import obstore
import pytest

from tests.support.object_storage import (
    Storage,
    content,
    object_storage,
    put,
)
from tests.support.oracle import write_candles
from tests.support.product import until
from tests.support.stack import Stack, prepare, running

ROWS = 200_000
STREAM = "csv/venue/btc-usd.csv"
PREFIX = "exports"


@pytest.fixture(scope="module")
def storage() -> Iterator[Storage]:
    with object_storage() as storage:
        yield storage


@pytest.fixture(scope="module")
def stack(
    storage: Storage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("objects")
    prepare(root)
    settings = {**storage.settings(PREFIX), "EXTRACTORS": "2"}
    with running(root / "state", root / "csv", **settings) as stack:
        yield stack


def test_a_file_is_read_on_after_a_kill_and_once_alone(
    stack: Stack, storage: Storage
) -> None:
    bucket = storage.bucket(PREFIX)
    file = write_candles(stack.csv_dir / "btc-usd.csv", ROWS)
    put(
        bucket,
        "venue/btc-usd.csv",
        (stack.csv_dir / "btc-usd.csv").read_bytes(),
    )
    run_id = stack.start_run(streams=[STREAM])
    stack.wait_for_records(run_id, 20_000)
    for pid in stack.pids("extractor"):
        stack.kill_pid(pid)
    run = stack.wait_for(run_id, 180)
    assert (run["status"], run["records"]) == ("succeeded", ROWS), run
    assert stack.candles(STREAM) == file.candles
    again = stack.ingest(sources=["csv"])
    assert (again["status"], again["records"]) == ("succeeded", 0)


def test_uploads_go_there(stack: Stack, storage: Storage) -> None:
    text = b"date,price\n03/04/2024,1.5\n05/04/2024,2.5\n"
    put_ = stack.api.put("/files/csv/mine/eth.csv", content=text)
    assert put_.status_code == 200, put_.text
    assert content(storage.bucket(PREFIX), "mine/eth.csv") == text
    seen = stack.api.get(
        "/sources/csv/inspect", params={"path": "mine/eth.csv"}
    )
    assert seen.status_code == 200, seen.text
    refused = stack.ingest(streams=["csv/mine/eth.csv"])
    assert refused["status"] == "failed", refused
    entry = {
        "file": "mine/eth.csv",
        "dates": "day_first",
    }
    added = stack.api.post("/files/mapping", json=entry)
    assert added.status_code == 200, added.text
    run = stack.ingest(streams=["csv/mine/eth.csv"])
    assert (run["status"], run["inserted"]) == ("succeeded", 2), run


def test_a_storage_that_is_away_is_told_and_found_again(
    stack: Stack, storage: Storage
) -> None:
    def streams() -> int:
        (csv,) = (
            each
            for each in stack.api.get("/sources").json()
            if each["name"] == "csv"
        )
        return int(csv["streams"])

    assert streams() == 2
    # As when the key is taken back.
    obstore.delete(
        storage.bucket(PREFIX).store,
        ["venue/btc-usd.csv", "mine/eth.csv", "mapping.yaml"],
    )
    assert storage.api.delete("/prices").status_code == 204
    run = stack.ingest(sources=["csv"])
    assert run["status"] == "failed", run
    assert "s3://prices/exports cannot be read" in str(run["errors"])
    assert stack.api.get("/sources").status_code == 200
    assert stack.api.get("/health").status_code == 200
    assert storage.api.put("/prices").status_code == 200
    put(
        storage.bucket(PREFIX),
        "sol-usd.csv",
        b"date,price\n2024-01-01,5\n",
    )
    run = stack.ingest(sources=["csv"])
    assert (run["status"], run["inserted"]) == ("succeeded", 1), run
    until("the stream to be known", lambda: streams() == 1, 30)
