"""What an operator has: the command line and metrics, against the real stack."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families,
)
from prometheus_client.samples import Sample

from shared.monitoring.metrics import PREFIX
from tests.simulator import Simulator
from tests.simulator.server import Fault
from tests.support.ports import free_ports, free_tens
from tests.support.product import KEY, until
from tests.support.stack import Stack, running

ROWS = 30
SERVICES = ("extractor", "normalizer", "loader")
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def stack(
    upstream: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("cli")
    (root / "csv").mkdir()
    settings = {
        **upstream.settings("news"),
        "COIN_IDS": '["btc-bitcoin"]',
        "METRICS_PORT": str(free_tens()),
    }
    with running(root / "state", root / "csv", **settings) as found:
        yield found


def environment(stack: Stack) -> dict[str, str]:
    port = stack.variables["API_PORT"]
    return {
        **os.environ,
        "CRYPTO_INGEST_URL": f"http://127.0.0.1:{port}",
        "CRYPTO_INGEST_KEY": KEY,
        "XDG_CONFIG_HOME": "/nonexistent",
        "COLUMNS": "200",
    }


def call(stack: Stack, *arguments: str, **changed: str) -> Done:
    return subprocess.run(
        [sys.executable, "-m", "crypto_ingest", *arguments],
        env={**environment(stack), **changed},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


def answer(stack: Stack, *arguments: str, code: int = 0) -> Any:
    done = call(stack, *arguments, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def file_of(folder: Path, rows: int = ROWS, *, bad: bool = False) -> Path:
    path = folder / "btc-usd.csv"
    lines = ["date,open,high,low,close,volume"]
    for n in range(rows):
        high = 1 if bad and n == 7 else 110 + n
        lines.append(
            f"2024-01-{n + 1:02},{100 + n},{high},90,{105 + n},5"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_file_is_put_there_read_and_exported(
    stack: Stack, tmp_path: Path
) -> None:
    path = file_of(tmp_path, bad=True)
    done = call(stack, "upload", str(path), "--to", "venue/btc-usd.csv")
    assert done.returncode == 0, done.stderr
    assert "succeeded" in done.stdout or "partial" in done.stdout
    assert "1 refused (contradiction)" in done.stdout

    again = call(stack, "upload", str(path), "--to", "venue/btc-usd.csv")
    assert again.returncode == 3
    assert "replace" in again.stderr

    out = tmp_path / "btc.csv"
    export = ["export", "ohlcv", "--symbol", "btc", "--interval", "1d"]
    done = call(stack, *export, "-o", str(out))
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert len(rows) == ROWS - 1
    assert rows[0]["close"] == "105"
    assert call(stack, *export, "-o", str(out)).returncode == 2
    assert call(stack, *export, "-o", str(out), "--force").returncode == 0
    piped = call(stack, *export, "-o", "-", "--format", "csv")
    assert piped.stdout == out.read_text()
    parquet = tmp_path / "btc.parquet"
    assert call(stack, *export, "-o", str(parquet)).returncode == 0
    assert parquet.read_bytes()[:4] == b"PAR1"
    assert set(tmp_path.iterdir()) == {path, out, parquet}


def test_runs_are_listed_shown_and_compared(stack: Stack) -> None:
    first = answer(stack, "ingest", "--source", "csv")
    second = answer(stack, "ingest", "csv/venue/btc-usd.csv")
    assert second["status"] == "succeeded"
    listed = answer(stack, "runs", "list", "--limit", "2")
    assert [each["run_id"] for each in listed] == [
        second["run_id"],
        first["run_id"],
    ]
    shown = call(stack, "runs", "show", second["run_id"]).stdout
    assert "csv/venue/btc-usd.csv" in shown
    assert "ledger: balanced" in shown
    diff = call(stack, "diff", first["run_id"], second["run_id"])
    assert diff.returncode == 0, diff.stderr
    watched = call(stack, "runs", "watch", second["run_id"])
    assert "succeeded" in watched.stdout


def test_what_failed_is_an_exit_code(
    stack: Stack, upstream: Simulator
) -> None:
    upstream.fail("/feeds/news", Fault(404))
    done = call(stack, "ingest", "rss/news")
    assert done.returncode == 1
    assert "rss/news" in done.stdout
    assert "404" in done.stdout
    assert "is failed" in done.stderr
    unknown = call(stack, "ingest", "--source", "nowhere")
    assert unknown.returncode == 3


def test_dead_letters_are_read_and_closed(stack: Stack) -> None:
    (letter,) = answer(stack, "dead-letters", "list")
    assert letter["reason"] == "contradiction"
    shown = call(stack, "dead-letters", "show", letter["id"])
    assert "2024-01-08" in shown.stdout
    discard = ["dead-letters", "discard", letter["id"], "--note", "known"]
    unsure = call(stack, *discard)
    assert unsure.returncode == 2
    assert "--yes" in unsure.stderr
    assert call(stack, *discard, "--yes").returncode == 0
    until(
        "it to be closed",
        lambda: answer(stack, "dead-letters", "list") == [],
    )
    assert call(stack, "dead-letters", "requeue").returncode == 2


def test_a_mended_file_closes_its_letters(
    stack: Stack, tmp_path: Path
) -> None:
    path = file_of(tmp_path, bad=True)
    target = ["upload", str(path), "--to", "mended/btc-usd.csv"]
    assert call(stack, *target).returncode == 0
    (letter,) = answer(stack, "dead-letters", "list")
    again = call(
        stack, "ingest", "csv/mended/btc-usd.csv", "--full-refresh"
    )
    assert again.returncode == 0
    (same,) = answer(stack, "dead-letters", "list")
    assert same["id"] == letter["id"]  # it was met again
    file_of(tmp_path)
    assert call(stack, *target, "--replace").returncode == 0
    until(
        "it to close", lambda: answer(stack, "dead-letters", "list") == []
    )
    closed = answer(stack, "dead-letters", "show", letter["id"])
    assert closed["status"] == "discarded"
    assert closed["note"].startswith("mended: run ")
    path = "/files/csv/mended/btc-usd.csv"
    assert stack.api.delete(path).status_code == 204
    assert stack.api.delete(path).status_code == 404


def test_a_replay_shows_what_it_would_change(stack: Stack) -> None:
    done = call(stack, "replay", "--source", "csv", "--yes")
    assert done.returncode == 0, done.stderr
    assert "nothing would change" in done.stderr
    run = answer(stack, "runs", "list", "--limit", "1")[0]
    assert run["preview"] in ("discarded", "open")


def test_what_is_missing_is_said(stack: Stack) -> None:
    table = call(stack, "coverage", "--source", "csv").stdout
    assert "csv venue btc USD 1d" in table
    filled = call(stack, "fill", "--source", "csv", "--yes")
    assert filled.returncode == 0, filled.stderr


def test_lists_are_read_page_by_page(stack: Stack) -> None:
    done = answer(stack, "runs", "list", "--limit", "0")
    runs = stack.api.get("/stats", params={"limit": 1000}).json()
    assert [each["run_id"] for each in done] == [
        each["run_id"] for each in runs
    ]


def test_ctrl_c_leaves_the_run_going(
    stack: Stack, upstream: Simulator
) -> None:
    upstream.fail(
        "/v1/tickers/btc-bitcoin",
        Fault(503, headers={"retry-after": "4"}),
    )
    before = newest(stack)
    process = subprocess.Popen(
        [sys.executable, "-m", "crypto_ingest", "ingest"],
        env=environment(stack),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    run_id = until(
        "the run",
        lambda: newest(stack) if newest(stack) != before else None,
    )
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"crypto-ingest runs watch {run_id}" in told
    assert stack.wait_for(run_id)["status"] == "succeeded"


def newest(stack: Stack) -> str:
    (run,) = stack.api.get("/stats", params={"limit": 1}).json()
    return str(run["run_id"])


def test_the_doctor_says_what_is_wrong_and_what_to_do(
    stack: Stack,
) -> None:
    until(
        "the health to look at the sources again",
        lambda: "✓ health" in call(stack, "doctor").stdout,
    )
    well = call(stack, "doctor")
    assert well.returncode == 0, well.stdout
    stack.stop_part("loader")
    try:
        until(
            "the doctor to see it",
            lambda: (
                "✗ loader: none was heard of"
                in call(stack, "doctor").stdout
            ),
            60,
        )
        ill = call(stack, "doctor")
        assert ill.returncode == 1
        assert "make logs S=loader" in ill.stdout
    finally:
        stack.start_part("loader")
    wrong = call(stack, "doctor", CRYPTO_INGEST_KEY="another-key")
    assert wrong.returncode == 1
    assert "API_KEY" in wrong.stdout
    (port,) = free_ports(1)
    nowhere = f"http://127.0.0.1:{port}"
    away = call(stack, "doctor", CRYPTO_INGEST_URL=nowhere)
    assert away.returncode == 1
    assert f"nothing listens at port {port}" in away.stdout


def test_refusals_and_absence_are_told_apart(stack: Stack) -> None:
    assert call(stack, "runs", "show", "x").returncode == 3
    wrong = call(stack, "runs", "list", CRYPTO_INGEST_KEY="wrong-key")
    assert (wrong.returncode, "key" in wrong.stderr) == (3, True)
    (port,) = free_ports(1)
    nowhere = f"http://127.0.0.1:{port}"
    away = call(stack, "runs", "list", CRYPTO_INGEST_URL=nowhere)
    assert away.returncode == 4
    assert "Traceback" not in away.stderr
    assert call(stack, "nonsense").returncode == 2


def test_keys_are_made_and_revoked(stack: Stack) -> None:
    new = answer(
        stack,
        "keys",
        "make",
        "read",
        "--note",
        "dashboard",
        "--days",
        "9",
    )
    own = {"CRYPTO_INGEST_KEY": new["key"]}
    assert "dashboard: may read, until" in call(stack, "me", **own).stdout
    assert call(stack, "runs", "list", **own).returncode == 0
    refused = call(stack, "ingest", **own)
    assert refused.returncode == 3
    assert "this key may read, and this needs operate" in refused.stderr
    assert "dashboard" in call(stack, "keys", "list").stdout
    revoked = call(stack, "keys", "revoke", new["key_id"], "--yes")
    assert revoked.returncode == 0
    assert call(stack, "me", **own).returncode == 3
    log = (stack.settings.logs / "gateway-0.log").read_text()
    assert new["key_id"] in log
    assert new["key"] not in log


def test_what_is_configured_is_seen_and_changed(
    stack: Stack, tmp_path: Path
) -> None:
    assert "by .env" in call(stack, "feeds", "list").stdout
    url = "https://decrypt.co/feed"
    assert call(stack, "feeds", "add", "decrypt", url).returncode == 0
    opml = tmp_path / "feeds.opml"
    opml.write_text(call(stack, "feeds", "export").stdout)
    assert url in opml.read_text()
    assert call(stack, "feeds", "remove", "decrypt", "-y").returncode == 0
    added = call(stack, "feeds", "import", str(opml)).stdout
    assert "added: decrypt" in added
    assert "known: news" in added
    assert call(stack, "pause", "rss/decrypt").returncode == 0
    assert "is paused" in call(stack, "feeds", "list").stdout
    assert call(stack, "resume", "rss/decrypt").returncode == 0
    call(stack, "feeds", "remove", "decrypt", "-y")

    done = call(stack, "coins", "set", "btc-bitcoin", "eth-ethereum")
    assert "by API_KEY" in done.stdout
    assert "by .env" in call(stack, "coins", "reset").stdout

    often = ["schedule", "set", "x", "--every", "60"]
    assert "20,000" in call(stack, *often).stdout  # the budget
    when = ["schedule", "set", "x", "--cron", "0 7 * * 1-5"]
    done = call(stack, *when, "--timezone", "Europe/Berlin")
    assert "next" in done.stdout
    assert (
        "0 7 * * 1-5 Europe/Berlin"
        in call(stack, "schedule", "list").stdout
    )
    wrong = call(stack, "schedule", "set", "x", "--cron", "99 * * * *")
    assert wrong.returncode == 3
    assert "no cron" in wrong.stderr
    shown = call(stack, "config", "list").stdout
    assert "schedule/x" in shown
    assert call(stack, "schedule", "remove", "x", "-y").returncode == 0
    assert call(stack, "config", "reset", "schedule/x").returncode == 3
    until(
        "the audit",
        lambda: "schedule/x" in call(stack, "audit").stdout,
    )


def scraped(stack: Stack, service: str) -> dict[str, list[Sample]]:
    """What a service serves at its own port, by the names of samples."""
    number = list(stack.settings.counts()).index(service)
    port = stack.settings.metrics_port + 10 * number
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    text = httpx.get(
        f"http://127.0.0.1:{port}/metrics",
        headers=accept,
        trust_env=False,
    ).text
    found: dict[str, list[Sample]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name.removeprefix(PREFIX)].append(sample)
    return found


def total(samples: list[Sample], **labels: str) -> float:
    return sum(
        sample.value
        for sample in samples
        if labels.items() <= sample.labels.items()
    )


def test_metrics_count_what_the_ledgers_do(stack: Stack) -> None:
    before = {name: scraped(stack, name) for name in SERVICES}
    run = answer(stack, "ingest", "--source", "csv", "--full-refresh")
    records = run["records"]
    assert records == ROWS

    def has_grown() -> bool:
        return all(
            total(scraped(stack, name)["_records_total"], source="csv")
            - total(before[name]["_records_total"], source="csv")
            == records
            for name in SERVICES
        )

    until("every service to have counted them", has_grown, 20)
    loader = scraped(stack, "loader")
    assert total(loader["_ready"]) == 1
    refused = [
        total(found["_rejected_records_total"], reason="contradiction")
        for found in (before["loader"], loader)
    ]
    assert refused[1] - refused[0] == 1
    exemplars = {
        sample.exemplar.labels["run_id"]
        for sample in loader["_page_seconds_bucket"]
        if sample.exemplar
    }
    assert run["run_id"] in exemplars

    def gateway() -> dict[str, list[Sample]]:
        return scraped(stack, "gateway")

    until(
        "the gateway to have looked",
        lambda: total(gateway()["_runs_1h"], status="succeeded") > 0,
        30,
    )
    found = gateway()
    assert total(found["_database_up"]) == 1
    assert total(found["_source_streams"], source="csv") == 1
    assert total(found["_budget_calls_limit"]) == 20_000
    requests = found["_http_requests_total"]
    assert total(requests, route="/runs/{run_id}") > 0
    assert not [
        each for each in requests if run["run_id"] in str(each.labels)
    ]


def test_a_failing_stream_degrades_health(
    stack: Stack, upstream: Simulator
) -> None:
    upstream.fail("/feeds/news", Fault(404))
    call(stack, "ingest", "rss/news")
    until(
        "health to say so",
        lambda: any(
            each.startswith("stream_failing: 1 stream of rss")
            for each in stack.api.get("/health").json()["reasons"]
        ),
        40,
    )
    health = stack.api.get("/health")
    assert health.status_code == 200
    assert health.json()["status"] == "degraded"
    ill = call(stack, "doctor")
    assert ill.returncode == 1
    assert "crypto-ingest sources" in ill.stdout
