"""`make bench-growth`: cost of a record as the tables grow, as a table, JSON and a picture.

Goes on where it was interrupted: tables and progress lie in bench/results, or GROWTH_DIR. Pages are
written as the loader does; Kafka has no part in it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl

from bench.growth.control import Control
from bench.growth.measure import READS, Figures, Meter, Spent, Window
from bench.growth.workload import (
    FIRST,
    PAIRS,
    SYMBOLS,
    YEARS,
    Workload,
)
from services.gateway.queries.data import Filters
from services.gateway.requests.filters import SeriesFilter
from services.loader.database import build_engine
from tests.support.stack import running

mpl.use("Agg")
import matplotlib.pyplot as plt

RESULTS = Path(__file__).parent.parent / "results"
MARKS = (50_000, 1_000_000, 10_000_000, 50_000_000)
EVERY = 10  # pairs, between which other records come
BYTES_A_ROW = 900  # of tables and indexes, with room
SPARE_BYTES = 4 << 30
REVISED = 2  # batches of the pair before, with other values


@dataclass
class Progress:
    """What was done, kept beside the tables."""

    path: Path
    pairs: int = 0
    records: int = 0
    marks: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> Progress:
        known = json.loads(path.read_text()) if path.exists() else {}
        return cls(path, **known)

    def keep(self) -> None:
        known = {
            name: value
            for name, value in vars(self).items()
            if name != "path"
        }
        self.path.write_text(json.dumps(known, indent=1))


class Growth:
    """One run of the benchmark."""

    def __init__(
        self,
        rows: int,
        meter: Meter,
        control: Control,
        progress: Progress,
    ) -> None:
        self._rows = rows
        self._meter = meter
        self._control = control
        self._progress = progress
        self._work = Workload(rows, progress.records)
        self._window = Window()
        self._others: dict[str, Spent] = {}

    def run(self) -> None:
        for pair in range(self._progress.pairs, PAIRS):
            self._write_pair(pair)
            if pair % EVERY == 0:
                self._write_others(pair)
            self._progress.pairs = pair + 1
            self._progress.keep()
        self._count("replay", *self._work.replayed(0))
        if self._progress.marks[-1]["records"] < self._progress.records:
            self._mark(PAIRS)
        else:
            self._progress.marks[-1]["others"] = self._shown_others()
        self._progress.marks[-1]["retention"] = self._meter.drop_year(
            FIRST.year
        )
        self._progress.keep()

    def _write_pair(self, pair: int) -> None:
        for pages in self._work.candles(pair):
            spent = self._meter.write(pages)
            self._window.add(spent)
            before = self._progress.records
            self._progress.records += spent.records
            if any(
                before < mark <= self._progress.records for mark in MARKS
            ):
                self._mark(pair + 1)

    def _write_others(self, pair: int) -> None:
        self._count("ticker", self._work.tickers(pair))
        self._count("news", self._work.news(pair))
        revised = list(self._work.candles(pair, version="2"))
        self._count("revision", *revised[:REVISED])

    def _count(self, kind: str, *batches: list[Any]) -> None:
        for pages in batches:
            spent = self._meter.write(pages)
            self._others[kind] = self._others.get(kind, Spent()) + spent

    def _mark(self, pairs: int) -> None:
        found = {
            "records": self._progress.records,
            "candle": self._window.total().by_record(),
            "empty": self._control.measure(self._rows),
            "others": self._shown_others(),
            "reads": self._meter.reads(_reads(pairs)),
        }
        self._progress.marks.append(found)
        self._progress.keep()
        sys.stdout.write(f"{_line(found)}\n")

    def _shown_others(self) -> dict[str, Figures]:
        return {
            kind: spent.by_record()
            for kind, spent in self._others.items()
        }


def _reads(pairs: int) -> dict[str, list[Filters]]:
    """Four reads, each of many places."""
    chance = random.Random(pairs)
    symbols = chance.choices(SYMBOLS[:pairs], k=READS)
    days = [
        FIRST + timedelta(days=chance.randrange(YEARS * 365))
        for _ in range(READS)
    ]
    return {
        "newest": [Filters()] * READS,
        "symbol": [
            Filters(SeriesFilter(symbol=symbol)) for symbol in symbols
        ],
        "symbol, a time": [
            Filters(SeriesFilter(symbol=symbol), end=day, limit=1000)
            for symbol, day in zip(symbols, days, strict=True)
        ],
        "source": [Filters(SeriesFilter(source="csv"), limit=1)] * READS,
    }


def _line(mark: dict[str, Any]) -> str:
    candle = mark["candle"]
    reads = "  ".join(
        f"{name} {read['p99_ms']} ms (plan {read['planning_ms']})"
        for name, read in mark["reads"].items()
    )
    return (
        f"{mark['records']:>11,}  {candle['server_us']:5.1f} µs of PostgreSQL"
        f" ({mark['empty']['server_us']:4.1f} in empty tables)"
        f"  {candle['loader_us']:5.1f} µs of the loader  {candle['wal_bytes']:5} bytes of WAL"
        f"  {candle['bytes']:5} bytes kept   p99: {reads}"
    )


def _draw(marks: list[dict[str, Any]], path: Path) -> None:
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(15, 4.5), layout="constrained"
    )
    records = [mark["records"] for mark in marks]
    for axis, names, title in (
        (
            left,
            ("server_us", "loader_us"),
            "processor time of a candle, µs",
        ),
        (middle, ("wal_bytes", "bytes"), "bytes of a candle"),
    ):
        for name in names:
            axis.plot(
                records,
                [mark["candle"][name] for mark in marks],
                "o-",
                label=name,
            )
        axis.set_title(title)
    for name in marks[0]["reads"]:
        right.plot(
            records,
            [mark["reads"][name]["p99_ms"] for mark in marks],
            "o-",
            label=name,
        )
    right.set_title("p99 of reads in PostgreSQL, ms")
    for axis in (left, middle, right):
        axis.set_xscale("log")
        axis.set_ylim(bottom=0)
        axis.set_xlabel("records")
        axis.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _check_disk(folder: Path, rows: int) -> None:
    """Raises SystemExit where the tables may not fit."""
    needed = rows * BYTES_A_ROW + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(
            f"{rows:,} rows may need {needed >> 30} GB below {folder}, {free >> 30} GB are free: "
            "ask for fewer with ROWS="
        )


def main() -> int:
    rows = int(os.environ.get("ROWS") or 500_000)
    folder = Path(os.environ.get("GROWTH_DIR") or RESULTS)
    state = folder / f"growth-{rows}"
    state.mkdir(parents=True, exist_ok=True)
    progress = Progress.of(state / "progress.json")
    _check_disk(state, rows - progress.records)
    csv_dir = state / "csv"
    csv_dir.mkdir(exist_ok=True)
    with running(
        state / "stack",
        csv_dir,
        COIN_IDS="[]",
        POSTGRES_SHARED_BUFFERS="",
    ) as stack:
        address = stack.settings.dsn().partition("://")[2]
        engine = build_engine(f"postgresql+psycopg2://{address}")
        meter = Meter(stack, engine, stack.settings.dsn())
        control = Control(stack)
        try:
            Growth(rows, meter, control, progress).run()
        finally:
            control.close()
            meter.close()
            engine.dispose()
    last = progress.marks[-1]
    _draw(progress.marks, state / "growth.png")
    for kind, figures in last["others"].items():
        sys.stdout.write(f"  {kind}: {json.dumps(figures)}\n")
    sys.stdout.write(f"  retention: {json.dumps(last['retention'])}\n")
    ratio = round(
        last["candle"]["server_us"] / last["empty"]["server_us"], 2
    )
    sys.stdout.write(
        f"{json.dumps({'records': last['records'], 'ratio': ratio})}\n"
    )
    shutil.rmtree(state / "stack")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
