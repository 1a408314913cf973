"""Every recipe runs, in its order."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from embedded.settings import ROOT
from tests.simulator.server import Simulator, entry, rss
from tests.support.oracle import write_candles
from tests.support.product import KEY
from tests.support.stack import Stack

START = datetime(2024, 2, 28, tzinfo=UTC)
ADDRESSES = re.findall(
    r"^```\n(\S+)\n```",
    (ROOT / "docs/recipes.md").read_text(),
    re.MULTILINE,
)
BLOCKS = re.findall(
    r"^```python\n(.*?)^```",
    (ROOT / "docs/recipes.md").read_text(),
    re.MULTILINE | re.DOTALL,
)


def test_each_recipe_does_what_it_says(
    own: Stack,
    own_upstream: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("first", "second"):
        for coin in ("btc", "eth"):
            path = own.csv_dir / f"recipes-{name}" / f"{coin}-usd.csv"
            write_candles(path, 3_000, start=START)
    at = {"date": format_datetime(START + timedelta(days=1))}
    own_upstream.feeds["news"] = rss(
        [
            {**entry(901, "Bitcoin plunges after exchange hack"), **at},
            {**entry(902, "Ethereum rallies to record"), **at},
        ]
    )
    assert own.ingest()["status"] in ("succeeded", "partial")
    monkeypatch.setenv("API", str(own.api.base_url).rstrip("/"))
    monkeypatch.setenv("API_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    assert len(BLOCKS) == 14
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/recipes.md", "exec"), names)
        said = capsys.readouterr().out
        if "print(" in block and "/changes" not in block:
            assert said, block
    assert (tmp_path / "everything.parquet").stat().st_size > 10_000
    _as_spreadsheets_ask(own)
    _is_kept_current(own, names)


def _as_spreadsheets_ask(own: Stack) -> None:
    """What stands under Excel and Grafana, with the times that Grafana puts in."""
    excel, grafana = ADDRESSES
    more = grafana.replace(
        "${__from:date:iso}", f"{START:%Y-%m-%dT%H:%M:%SZ}"
    )
    more = more.replace(
        "${__to:date:iso}",
        f"{START + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
    )
    path = excel.removeprefix("http://localhost:8000/api/v1")
    for address, rows in ((path, 12_000), (path + more, 60 * 2)):
        answer = own.api.get(address)
        assert answer.status_code == 200, answer.text
        found = list(csv.DictReader(io.StringIO(answer.text)))
        assert list(found[0]) == ["timestamp", "close"]
        assert found[0]["timestamp"].endswith("Z")
        assert float(found[0]["close"]) > 0
        assert len(found) <= rows


def _is_kept_current(own: Stack, names: dict[str, Any]) -> None:
    """The copy is equal to the API after updates, inserts and a retirement."""
    (block,) = (each for each in BLOCKS if "def written" in each)
    again = compile(block, "docs/recipes.md", "exec")
    changed = own.csv_dir / "recipes-first" / "btc-usd.csv"
    lines = changed.read_text().splitlines()
    time, *prices = lines[-1].split(",")
    changed.write_text(
        "\n".join([*lines[:-1], ",".join([time, *prices[:-1], "77"]), ""])
    )
    for coin in ("ada", "sol"):
        path = own.csv_dir / "recipes-third" / f"{coin}-usd.csv"
        write_candles(path, 100, start=START)
    assert own.ingest(sources=["csv"])["status"] == "succeeded"
    exec(again, names)
    gone = own.api.delete(
        "/series",
        params={"source": "csv", "dataset": "recipes-second"},
    )
    own.wait_for(gone.raise_for_status().json()["run_id"])
    exec(again, names)
    wanted = ["id", "dataset", "symbol", "timestamp", "close", "volume"]
    answer = own.api.get("/data", params={"format": "parquet"})
    whole = names["copy"] / "whole"
    whole.write_bytes(answer.content)
    newest = names["newest"].select(*wanted)
    table = names["duckdb"].read_parquet(str(whole)).select(*wanted)
    assert len(newest) == len(table) > 6_000
    assert newest.except_(table).fetchall() == []
