"""`python -m bench.memory`: peak memory of each service while a file of 1 GB is ingested."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from bench import data
from bench.pipeline import measure_pipeline
from bench.usage import MEMORY_LIMIT_MB, SERVICES
from tests.support.stack import running

NOTE = "what an exporter wrote beside the numbers " * 24


def main() -> int:
    rows = int(
        float(os.environ.get("BENCH_GB", "1")) * 1e9 / (len(NOTE) + 50)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "csv" / "btc-usd.csv"
        data.write(path, rows, note=NOTE)
        sys.stdout.write(
            f"{path.stat().st_size / 1e9:.2f} GB, {rows} rows …\n"
        )
        # The extractor does not wait for the others, so that it has the whole file in the topic
        # as soon as it can.
        with running(
            Path(folder) / "state",
            path.parent,
            KAFKA_HEAP="512m",
            MAX_WAITING_PAGES="1000000",
        ) as stack:
            whole, usage = measure_pipeline(stack, rows)
    for name in SERVICES:
        over = (
            ""
            if usage.peak_mb[name] <= MEMORY_LIMIT_MB
            else f"   more than {MEMORY_LIMIT_MB}"
        )
        sys.stdout.write(
            f"  {name:<11} {usage.peak_mb[name]:6.0f} MB at most{over}\n"
        )
    sys.stdout.write(
        f"  {whole['seconds']} s, {whole['records_per_s']} records/s\n"
    )
    return int(
        any(usage.peak_mb[name] > MEMORY_LIMIT_MB for name in SERVICES)
    )


if __name__ == "__main__":
    raise SystemExit(main())
