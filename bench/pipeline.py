"""Records per second from POST to the run's end; and COPY and upsert alone into today's tables."""

from __future__ import annotations

import os
import time
from typing import Any

import psycopg2

from bench import postgres_alone
from bench.usage import Usage
from services.loader.migrate import migrate
from services.loader.settings import LoaderSettings
from tests.support.stack import Stack

_DATABASE = "bench_today"
_ROWS = """
SELECT points.* FROM points JOIN series USING (series_id) WHERE source = 'csv'
ORDER BY raw_offset, record_index
"""
_MONTHS = """
SELECT DISTINCT extract(year FROM "timestamp")::int, extract(month FROM "timestamp")::int
FROM unified_data WHERE source = 'csv'
"""


def measure_pipeline(
    stack: Stack, rows: int, streams: list[str] | None = None
) -> tuple[dict[str, Any], Usage]:
    """Ingest `rows` new rows: those of `streams`, or all that lie in the stack's CSV_DIR."""
    usage = Usage(stack)
    with usage.measured():
        began = time.time()
        started = time.monotonic()
        run_id = stack.start_run(
            sources=["csv"], **({"streams": streams} if streams else {})
        )
        run = stack.wait_for(run_id, 1800)
        seconds = time.monotonic() - started
    if run["status"] != "succeeded" or run["inserted"] != rows:
        raise SystemExit(
            f"the run did not end as it must: {run['status']}, {run['inserted']} of {rows} inserted"
        )
    busy = sum(usage.cpu_s.values()) / (seconds * (os.cpu_count() or 1))
    return {
        "run_id": run_id,
        "began": began,
        "records": rows,
        "seconds": round(seconds, 2),
        "records_per_s": round(rows / seconds),
        "idle_share": round(max(0.0, 1 - busy), 2),
    }, usage


def measure_today(stack: Stack) -> dict[str, Any]:
    """COPY and upsert of the rows that the pipeline wrote into empty tables of their own shape."""
    postgres_alone.recreate(stack, _DATABASE)
    dsn = postgres_alone.dsn_of(stack, _DATABASE)
    migrate(
        LoaderSettings(
            _env_file=None,
            database_url=dsn,
            kafka_bootstrap_servers=stack.settings.kafka_bootstrap_servers,
            mode="native",
        )
    )
    months = stack.query(_MONTHS)
    with psycopg2.connect(dsn) as target, target.cursor() as cursor:
        for month in months:
            cursor.execute("SELECT ensure_partition(%s, %s)", month)
    target.close()
    return postgres_alone.measure(
        dsn, postgres_alone.lines_of(stack, _ROWS), "points"
    )
