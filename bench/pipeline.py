"""Records per second from POST to the run's end.

Against COPY and upsert alone into the same tables.
"""

from __future__ import annotations

import io
import time
from typing import Any

import psycopg2

from bench.usage import Usage
from services.loader.migrate import migrate
from services.loader.settings import LoaderSettings
from tests.support.stack import Stack

BATCH_ROWS = 5_000
_STAGE = "CREATE TEMP TABLE stage (LIKE unified_data INCLUDING DEFAULTS)"
_UPSERT = """
INSERT INTO unified_data SELECT * FROM stage ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    close = excluded.close, value_hash = excluded.value_hash, raw_offset = excluded.raw_offset
"""


def measure_pipeline(
    stack: Stack, rows: int, streams: list[str] | None = None
) -> tuple[dict[str, Any], Usage]:
    """Ingest `rows` new rows: those of `streams`, or all that lie in the stack's CSV_DIR."""
    usage = Usage(stack)
    with usage.measured():
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
    return {
        "run_id": run_id,
        "records": rows,
        "seconds": round(seconds, 2),
        "records_per_s": round(rows / seconds),
    }, usage


def measure_limit(stack: Stack, rows: int) -> dict[str, Any]:
    """The rows that the pipeline wrote.

    By COPY and upsert alone into empty tables of the same shape on the same server.
    """
    source = psycopg2.connect(stack.settings.dsn())
    dsn = stack.settings.dsn().rpartition("/")[0] + "/bench_limit"
    source.autocommit = True
    with source.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS bench_limit")
        cursor.execute("CREATE DATABASE bench_limit")
        buffer = io.StringIO()
        cursor.copy_expert(
            "COPY (SELECT * FROM unified_data WHERE source = 'csv' ORDER BY raw_offset,"
            " record_index) TO STDOUT",
            buffer,
        )
    source.close()
    migrate(
        LoaderSettings(
            _env_file=None,
            database_url=dsn,
            kafka_bootstrap_servers=stack.settings.kafka_bootstrap_servers,
            mode="native",
        )
    )
    lines = buffer.getvalue().splitlines(keepends=True)
    target = psycopg2.connect(dsn)
    with target, target.cursor() as cursor:
        cursor.execute(_STAGE)
    started = time.monotonic()
    for start in range(0, len(lines), BATCH_ROWS):
        with target, target.cursor() as cursor:
            cursor.execute("TRUNCATE stage")
            cursor.copy_expert(
                "COPY stage FROM STDIN",
                io.StringIO("".join(lines[start : start + BATCH_ROWS])),
            )
            cursor.execute(_UPSERT)
    seconds = time.monotonic() - started
    with target, target.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM unified_data")
        (stored,) = cursor.fetchone() or (0,)
    target.close()
    if stored != rows:
        raise SystemExit(
            f"the limit's tables hold {stored} of {rows} rows"
        )
    return {
        "seconds": round(seconds, 2),
        "records_per_s": round(rows / seconds),
    }
