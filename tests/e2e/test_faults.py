"""Kills and outages while records flow: nothing lost, nothing doubled, and it goes on by itself."""

from __future__ import annotations

import pytest

from tests.support.oracle import write_candles
from tests.support.product import until
from tests.support.stack import Stack

ROWS = 60_000


@pytest.mark.parametrize("service", ["extractor", "normalizer", "loader"])
def test_a_killed_service_comes_back_and_the_result_equals_the_oracle(
    stack: Stack, service: str
) -> None:
    name = f"csv/{service}-killed/ltc-usd.csv"
    file = write_candles(stack.csv_dir / name.removeprefix("csv/"), ROWS)
    old = stack.pids(service)

    run_id = stack.start_run(streams=[name])
    stack.wait_for_records(run_id, ROWS // 6)
    assert stack.run_state(run_id)["records"] < ROWS, (
        "the kill came too late to prove anything"
    )
    stack.kill(service)
    run = stack.wait_for(run_id, 180)

    assert (run["status"], run["inserted"], run["records"]) == (
        "succeeded",
        ROWS,
        ROWS,
    )
    assert stack.candles(name) == file.candles
    stack.assert_ledger(run_id, name, ROWS)
    until(
        f"{service} to run again",
        lambda: stack.pids(service) and stack.pids(service) != old,
        20,
    )
    stack.wait_ready()
    assert "restarted" in stack.command("status").stdout


def test_without_postgres_ingestion_is_accepted_and_arrives_later(
    stack: Stack,
) -> None:
    name = "csv/away/xmr-usd.csv"
    file = write_candles(stack.csv_dir / "away" / "xmr-usd.csv", ROWS)
    running_before = stack.start_run(streams=[name])
    stack.wait_for_records(running_before, ROWS // 6)
    stack.stop_part("postgres")

    accepted = stack.api.post("/ingest", json={"streams": [name]})
    assert accepted.status_code == 202
    assert (
        stack.api.get(f"/runs/{accepted.json()['run_id']}").json()[
            "status"
        ]
        == "queued"
    )
    data = stack.api.get("/data")
    assert (data.status_code, data.headers["content-type"]) == (
        503,
        "application/problem+json",
    )
    health = stack.api.get("/health")
    assert (
        health.status_code,
        health.json()["database"]["connected"],
    ) == (
        503,
        False,
    )
    assert stack.api.get("/health/live").status_code == 200
    stack.start_part("postgres")

    assert stack.wait_for(running_before)["status"] == "succeeded"
    assert (
        stack.wait_for(accepted.json()["run_id"])["items_processed"] == 0
    )
    assert stack.candles(name) == file.candles
    stack.assert_ledger(running_before, name, ROWS)


def test_without_kafka_ingestion_is_refused_at_once_and_it_recovers_alone(
    stack: Stack,
) -> None:
    name = "csv/broker/zec-usd.csv"
    file = write_candles(stack.csv_dir / "broker" / "zec-usd.csv", ROWS)
    run_id = stack.start_run(streams=[name])
    stack.wait_for_records(run_id, ROWS // 6)
    stack.stop_part("kafka")

    refused = until(
        "POST to be refused",
        lambda: (
            (answer := stack.api.post("/ingest")).status_code == 503
            and answer
        ),
        20,
    )
    assert (
        refused.headers["content-type"],
        refused.headers["retry-after"],
    ) == (
        "application/problem+json",
        "5",
    )
    assert stack.api.get("/data", params={"limit": 1}).status_code == 200
    assert stack.api.get("/health").json()["status"] == "degraded"
    stack.start_part("kafka")

    assert stack.wait_for(run_id, 180)["status"] == "succeeded"
    assert stack.candles(name) == file.candles
    stack.assert_ledger(run_id, name, ROWS)
    stack.wait_ready()
    assert stack.ingest(streams=[name])["items_processed"] == 0
