"""Bars of real exports are those that their rows make, by a reading that shares no code."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import Stack

REAL = Path(__file__).parents[3] / "shared/realdata"
HOURS = (
    ("csv/binance_vision_btcusdt_1h_2024-12_ms.csv", "2024-12"),
    ("csv/binance_vision_btcusdt_1h_2025-01_us.csv", "2025-01"),
)
MINUTES = "load/binance_vision_FILUSDT_1m_2023_5months.csv"
DAY = timedelta(days=1)
pytestmark = pytest.mark.skipif(
    not REAL.exists(), reason="no real files here"
)


def rows(path: Path) -> Iterator[tuple[datetime, list[Decimal]]]:
    """Open time, then open, high, low, close, volume, as Binance writes them."""
    with path.open(newline="") as file:
        for cells in csv.reader(file):
            if cells[0].isdigit():
                seconds = Decimal(cells[0])
                while seconds > 10**11:  # milliseconds, microseconds
                    seconds /= 1000
                yield (
                    datetime.fromtimestamp(int(seconds), UTC),
                    [Decimal(each) for each in cells[1:6]],
                )


def days(
    found: list[tuple[datetime, list[Decimal]]],
) -> dict[str, list[float]]:
    by_day: dict[str, list[list[Decimal]]] = {}
    for moment, values in sorted(found):
        by_day.setdefault(f"{moment:%Y-%m-%d}", []).append(values)
    return {
        day: [
            float(of_day[0][0]),
            float(max(each[1] for each in of_day)),
            float(min(each[2] for each in of_day)),
            float(of_day[-1][3]),
            float(sum(each[4] for each in of_day)),
        ]
        for day, of_day in by_day.items()
    }


def bars(stack: Stack, **params: Any) -> dict[str, Any]:
    answer = stack.api.get(
        "/ohlcv", params={"interval": "1d", "limit": 5000, **params}
    )
    assert answer.status_code == 200, answer.text
    (series,) = answer.json()["series"]
    found: dict[str, Any] = series
    return found


def values(series: dict[str, Any]) -> dict[str, list[float]]:
    names = ("open", "high", "low", "close", "volume")
    return {
        bar["open_time"][:10]: [bar[name] for name in names]
        for bar in series["bars"]
    }


def test_days_of_two_monthly_files_in_different_units(
    own: Stack,
) -> None:
    expected = []
    for name, month in HOURS:
        target = own.csv_dir / "binance" / f"BTCUSDT-1h-{month}.csv"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(REAL / name, target)
        expected += list(rows(REAL / name))
    run = own.ingest(
        streams=[
            f"csv/binance/BTCUSDT-1h-{month}.csv" for _, month in HOURS
        ]
    )
    assert run["status"] == "succeeded", run
    found = bars(own, dataset="binance")
    assert len(found["ids"]) == 2
    assert values(found) == days(expected)
    assert all(bar["complete"] for bar in found["bars"])
    (covered,) = own.api.get(
        "/coverage", params={"dataset": "binance"}
    ).json()
    assert covered["completeness"] == 1
    assert covered["holes"] == []
    # A day's close is known when it is over, and is the next day's open or near it.
    price = own.api.get(
        "/price",
        params={
            "symbol": "btc",
            "dataset": "binance",
            "at": "2025-01-01T00:00:00Z",
        },
    ).json()
    assert price["price"] == values(found)["2024-12-31"][3]
    assert price["seconds_before"] == 0


def test_days_of_five_months_of_minutes(own: Stack) -> None:
    target = own.csv_dir / "fil" / "FILUSDT.csv"
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(REAL / MINUTES, target)
    run = own.ingest(streams=["csv/fil/FILUSDT.csv"])
    assert run["status"] == "succeeded", run
    minutes = list(rows(REAL / MINUTES))
    expected = days(minutes)
    found = bars(own, dataset="fil")
    assert values(found) == expected
    (covered,) = own.api.get(
        "/coverage", params={"dataset": "fil"}
    ).json()
    assert covered["points"] == len({moment for moment, _ in minutes})
    missing = sum(each["missing"] for each in covered["holes"])
    assert covered["expected"] == covered["points"] + missing
