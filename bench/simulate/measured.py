"""What this machine takes: throughput and processor seconds, with so many instances of each."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench import data
from bench.simulate.model import SERVERS, SERVICES, Costs
from bench.usage import Usage
from tests.support.stack import Stack, prepare, running

STREAMS = 12
ROWS = 18_000  # of each stream


@dataclass(frozen=True)
class Measured:
    """One run. `first_s`: from the POST to the first row."""

    records_per_s: float
    first_s: float
    cpu_s: dict[str, float]  # a record, by process

    def costs(self, commit_s: float) -> Costs:
        return Costs(self.cpu_s, self.first_s, commit_s)


def measure(
    instances: int, streams: int = STREAMS, times: int = 3
) -> list[Measured]:
    """So many runs over new files each, by a stack with so many of each service."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare(root)
        with running(
            root / "state",
            root / "csv",
            KAFKA_HEAP="512m",
            POSTGRES_SHARED_BUFFERS="",
            EXTRACTORS=str(instances),
            NORMALIZERS=str(instances),
            LOADERS=str(instances),
        ) as stack:
            return [
                _run(stack, root / "csv", n, streams)
                for n in range(times)
            ]


def _run(
    stack: Stack, csv_dir: Path, turn: int, streams: int
) -> Measured:
    names = [f"turn{turn}-{n}" for n in range(streams)]
    for name in names:
        data.write(
            csv_dir / name / "btc-usd.csv", ROWS * STREAMS // streams
        )
    usage = Usage(stack)
    rows = STREAMS * ROWS
    with usage.measured():
        began = time.monotonic()
        run_id = stack.start_run(
            streams=[f"csv/{name}/btc-usd.csv" for name in names]
        )
        stack.wait_for_records(run_id, 1)
        first = time.monotonic() - began
        run = stack.wait_for(run_id, 600)
        seconds = time.monotonic() - began
    if (run["status"], run["inserted"]) != ("succeeded", rows):
        raise SystemExit(f"the run did not end as it must: {run}")
    used = {
        name: usage.cpu_s[name] / rows for name in (*SERVICES, *SERVERS)
    }
    return Measured(rows / seconds, first, used)


def commit_seconds(stack_folder: Path) -> float:
    """How long the disk takes to have a block, the median of some."""
    found = []
    path = stack_folder / "block"
    with path.open("wb") as file:
        for _ in range(30):
            began = time.monotonic()
            file.write(b"x" * 8_192)
            file.flush()
            os.fsync(file.fileno())
            found.append(time.monotonic() - began)
    path.unlink()
    return statistics.median(found)
