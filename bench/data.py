"""Rows to ingest: a given file or made ones, written without holding them."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

ROWS = 216_000
_FIRST_MS = 1_672_531_200_000


def prepare(csv_dir: Path) -> tuple[Path, int, str]:
    """The file of BENCH_CSV, or a made one; returns it, its rows, and a symbol to ask for."""
    csv_dir.mkdir(parents=True)
    given = os.environ.get("BENCH_CSV")
    if not given:
        path = csv_dir / "btc-usd.csv"
        write(path, ROWS)
        return path, ROWS, "btc"
    path = Path(shutil.copy(given, csv_dir))
    with path.open("rb") as file:
        rows = sum(1 for line in file if line.strip()) - 1
    symbol = "fil" if "FIL" in path.name else "btc"
    return path, rows, symbol


def write(path: Path, rows: int, *, note: str = "") -> None:
    """One-minute candles; with a `note` in a column of its own, wide ones."""
    rng = random.Random(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        file.write(
            "time,open,high,low,close,volume"
            + (",note" if note else "")
            + "\n"
        )
        for n in range(rows):
            low = rng.randrange(10_000, 90_000)
            high = low + rng.randrange(1, 500)
            open_ = rng.randint(low, high)
            close = rng.randint(low, high)
            cents = (open_, high, low, close)
            prices = ",".join(
                f"{each // 100}.{each % 100:02}" for each in cents
            )
            volume = rng.randrange(10**9) / 1e4
            end = f",{note}" if note else ""
            file.write(
                f"{_FIRST_MS + n * 60_000},{prices},{volume:.4f}{end}\n"
            )


def copies(path: Path, count: int) -> None:
    """The file again, in folders of their own: as many datasets."""
    for n in range(count):
        folder = path.parent / f"copy{n}"
        folder.mkdir()
        shutil.copy(path, folder)
