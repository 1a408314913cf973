"""A real file of 216,000 rows: all of it, nothing twice, and what is added to it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from embedded.settings import ROOT
from tests.support.oracle import read_binance
from tests.support.stack import running

REAL = (
    ROOT.parent
    / "shared"
    / "realdata"
    / "load"
    / "binance_vision_FILUSDT_1m_2023_5months.csv"
)


@pytest.mark.realdata
@pytest.mark.skipif(
    not REAL.exists(), reason="../shared/realdata is not there"
)
def test_a_real_file_of_216_000_rows(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    path = Path(shutil.copy(REAL, tmp_path / "csv"))
    stream, expected = f"csv/{REAL.name}", read_binance(path)
    with running(tmp_path / "state", tmp_path / "csv") as stack:
        first = stack.ingest(timeout_s=240)
        assert (first["status"], first["inserted"]) == (
            "succeeded",
            216_000,
        )
        assert stack.candles(stream) == expected
        assert stack.query(
            "SELECT DISTINCT instrument, symbol, currency, interval FROM unified_data"
        ) == [("fil-usdt", "fil", "USDT", "1m")]

        again = stack.ingest()
        assert (again["status"], again["items_processed"]) == (
            "succeeded",
            0,
        )
        assert "nothing new" in again["message"]

        refreshed = stack.ingest(timeout_s=240, full_refresh=True)
        assert (
            refreshed["status"],
            refreshed["unchanged"],
            refreshed["items_processed"],
        ) == (
            "succeeded",
            216_000,
            216_000,
        )
        assert stack.query("SELECT count(*) FROM unified_revisions") == [
            (0,)
        ]

        with path.open("a") as file:
            file.write(
                "1693526400000,3.5,3.6,3.4,3.55,1000,1693526459999,3500,10,500,1750,0\n"
            )
        appended = stack.ingest()
        assert (appended["records"], appended["inserted"]) == (1, 1)
