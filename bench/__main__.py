"""`make bench`: figures on the screen, JSON in bench/results, and a last line of JSON for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench import api, pipeline
from tests.support.oracle import write_candles
from tests.support.stack import running

ROWS = 216_000


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        csv_dir = Path(folder) / "csv"
        rows, symbol = _prepare(csv_dir)
        with running(Path(folder) / "state", csv_dir, KAFKA_HEAP="512m", KAFKA_SESSION_TIMEOUT_MS="10000") as stack:
            _say(f"pipeline: {rows} rows from POST to the run's end …")
            whole, usage = pipeline.measure_pipeline(stack, rows)
            limit = pipeline.measure_limit(stack, rows)
            ratio = round(whole["records_per_s"] / limit["records_per_s"], 2)
            _say(f"  {whole['records_per_s']:>8} records/s   COPY + upsert alone {limit['records_per_s']} records/s   ratio {ratio}")
            for name, seconds in usage.cpu_s.items():
                _say(f"  {name:<11} {seconds / rows * 1e6:6.1f} µs of CPU a record   {usage.peak_mb.get(name, 0):6.0f} MB at most")
            _say(f"API: {api.CONNECTIONS} connections …")
            stack.execute("ANALYZE unified_data")
            reads = api.measure(stack, symbol)
            for read in reads:
                _say(
                    f"  {read['read']:<32} {read['requests_per_s']:>6}/s   p99 {read['p99_ms']:>6} ms   pgbench {read['limit_requests_per_s']:>6}/s   ratio {read['ratio']}"
                )
    first = reads[0]
    last = {
        "pipeline": {"records_per_s": whole["records_per_s"], "limit_records_per_s": limit["records_per_s"], "ratio": ratio},
        "api": {name: first[name] for name in ("requests_per_s", "limit_requests_per_s", "ratio")},
    }
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    details = {**last, "whole": whole, "cpu_s": usage.cpu_s, "peak_mb": usage.peak_mb, "reads": reads}
    (results / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json").write_text(json.dumps(details, indent=1))
    _say(json.dumps(last))
    return 0


def _prepare(csv_dir: Path) -> tuple[int, str]:
    """The file of BENCH_CSV, or a made one; returns its rows and a symbol to ask for."""
    csv_dir.mkdir(parents=True)
    given = os.environ.get("BENCH_CSV")
    if not given:
        write_candles(csv_dir / "btc-usd.csv", ROWS)
        return ROWS, "btc"
    path = Path(shutil.copy(given, csv_dir))
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip()) - 1, "fil" if "FIL" in path.name else "btc"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
