"""COPY and upsert of given rows into empty tables, with nothing else at work on them."""

from __future__ import annotations

import io
import time
from typing import Any

import psycopg2

from tests.support.stack import Stack

BATCH_ROWS = 5_000
_STAGE = "CREATE TEMP TABLE stage (LIKE {table} INCLUDING DEFAULTS)"
_UPSERT = """
INSERT INTO {table} SELECT * FROM stage ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    close = excluded.close, value_hash = excluded.value_hash, raw_offset = excluded.raw_offset
"""


def dsn_of(stack: Stack, database: str) -> str:
    """Another database on the stack's server."""
    return f"{stack.settings.dsn().rpartition('/')[0]}/{database}"


def recreate(stack: Stack, database: str) -> None:
    """An empty database on the stack's server."""
    server = psycopg2.connect(stack.settings.dsn())
    server.autocommit = True
    with server.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {database}")
        cursor.execute(f"CREATE DATABASE {database}")
    server.close()


def lines_of(stack: Stack, select: str) -> list[str]:
    """Rows of the stack's tables, in COPY's text format."""
    source = psycopg2.connect(stack.settings.dsn())
    buffer = io.StringIO()
    with source.cursor() as cursor:
        cursor.copy_expert(f"COPY ({select}) TO STDOUT", buffer)
    source.close()
    return buffer.getvalue().splitlines(keepends=True)


def measure(
    dsn: str, lines: list[str], table: str = "unified_data"
) -> dict[str, Any]:
    """Write the rows in batches. Raises SystemExit where not all of them are there then."""
    target = psycopg2.connect(dsn)
    with target, target.cursor() as cursor:
        cursor.execute(_STAGE.format(table=table))
    started = time.monotonic()
    for start in range(0, len(lines), BATCH_ROWS):
        batch = "".join(lines[start : start + BATCH_ROWS])
        with target, target.cursor() as cursor:
            cursor.execute("TRUNCATE stage")
            cursor.copy_expert(
                "COPY stage FROM STDIN", io.StringIO(batch)
            )
            cursor.execute(_UPSERT.format(table=table))
    seconds = time.monotonic() - started
    with target, target.cursor() as cursor:
        cursor.execute(f"ANALYZE {table}")
        cursor.execute(f"SELECT count(*) FROM {table}")
        (stored,) = cursor.fetchone() or (0,)
    target.close()
    if stored != len(lines):
        raise SystemExit(f"the tables hold {stored} of {len(lines)} rows")
    return {
        "seconds": round(seconds, 2),
        "records_per_s": round(len(lines) / seconds),
    }
