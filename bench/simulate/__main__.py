"""`make simulate`: measures 1, 2 and 4 of each service here, beside what the model says of them.

Then what the model says of machines that are not here.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

from bench.simulate.measured import (
    ROWS,
    STREAMS,
    Measured,
    commit_seconds,
    measure,
)
from bench.simulate.model import (
    RECORDS_OF_PAGE,
    Costs,
    Layout,
    Model,
    Result,
)
from shared.messages.topics import DEFAULT_PARTITIONS

COUNTS = (1, 2, 4)
MANY = 8  # of each, for one busy file
SEEDS = 5
OUTAGE_S = 600  # after which what waits is worked off
ARRIVING = 10_000  # records a second, meanwhile and before


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        commit_s = commit_seconds(Path(folder))
    found = {count: measure(count) for count in COUNTS}
    alone = {count: measure(count, streams=1) for count in (1, MANY)}
    costs = _typical(found[1]).costs(commit_s)
    _say(
        "processor time a record, µs: "
        + ", ".join(
            f"{name} {seconds * 1e6:.1f}"
            for name, seconds in costs.cpu_s.items()
        )
        + f"; together {costs.total() * 1e6:.1f}"
    )
    _say(
        f"first row after {costs.start_s:.2f} s, a block on the disk after {commit_s * 1000:.1f} ms"
    )
    _say("of each  measured records/s (least to most)  model  error")
    for count, runs in found.items():
        _say(_compared(count, runs, costs, STREAMS))
    _say(f"one file of {ROWS * STREAMS:,} rows")
    for count, runs in alone.items():
        _say(_compared(count, runs, costs, 1))
    _say("")
    _say("machines that are not here, 12 streams of 1 million records:")
    for count in (1, 2, 4, 6, 12):
        for partitions in (6, DEFAULT_PARTITIONS):
            _say(_foretold(count, partitions, costs))
    return 0


def _typical(runs: list[Measured]) -> Measured:
    """The run of the median."""
    ordered = sorted(runs, key=lambda run: run.records_per_s)
    return ordered[len(ordered) // 2]


def _compared(
    count: int, runs: list[Measured], costs: Costs, streams: int
) -> str:
    speeds = sorted(run.records_per_s for run in runs)
    layout = Layout.of_one(count, DEFAULT_PARTITIONS, os.cpu_count() or 1)
    rows = ROWS * STREAMS // streams
    pages = [-(-rows // RECORDS_OF_PAGE)] * streams
    model = statistics.median(
        Model(costs, layout, pages, seed).run().records_per_s
        for seed in range(SEEDS)
    )
    typical = statistics.median(speeds)
    return (
        f"{count:>7}  {typical:>10,.0f} ({speeds[0]:,.0f} to {speeds[-1]:,.0f})"
        f"  {model:>10,.0f}  {model / typical - 1:+.0%}"
    )


def _foretold(count: int, partitions: int, costs: Costs) -> str:
    layout = Layout.of_many(count, partitions, 2, 16)
    pages = [1_000] * STREAMS
    result: Result = Model(costs, layout, pages).run()
    busiest = max(result.busy, key=lambda name: result.busy[name])
    spare = result.records_per_s - ARRIVING
    return (
        f"{count:>3} of each, {partitions:>2} partitions: {result.records_per_s:>9,.0f} records/s,"
        f" busiest {busiest} ({result.busy[busiest]:.0%}), at most {result.peak_lag} pages wait;"
        f" {OUTAGE_S // 60} min of {ARRIVING:,} records/s are made up for in"
        f" {OUTAGE_S * ARRIVING / spare:,.0f} s"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
