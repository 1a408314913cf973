"""Every recipe runs, in its order."""

from __future__ import annotations

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
    assert len(BLOCKS) == 13
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/recipes.md", "exec"), names)
        said = capsys.readouterr().out
        if "print(" in block and "/changes" not in block:
            assert said, block
    assert (tmp_path / "everything.parquet").stat().st_size > 10_000
