"""The yardstick: what PostgreSQL alone does with the tables of release 0.1.0.

It is frozen: the table, its indexes, its trigger, COPY + upsert and the selects of that release. A
better schema then shows as a better ratio and does not raise the limit with it. Ids are hashes, as
they were.
"""

from __future__ import annotations

from typing import Any

import psycopg2

from bench import postgres_alone
from tests.support.stack import Stack

DATABASE = "bench_yardstick"
_TABLES = """
CREATE TABLE unified_data (
    id uuid PRIMARY KEY, source text NOT NULL, dataset text NOT NULL, stream text NOT NULL,
    instrument text, symbol text, symbols text[], kind text NOT NULL, "interval" text,
    "timestamp" timestamptz NOT NULL, currency text, price numeric, open numeric, high numeric,
    low numeric, close numeric, volume numeric, market_cap numeric, title text, url text,
    summary text, sentiment double precision, attributes jsonb, value_hash bigint NOT NULL,
    raw_time bigint NOT NULL, raw_offset bigint NOT NULL, record_index int NOT NULL,
    normalizer_version smallint NOT NULL, page_id uuid NOT NULL, run_id uuid NOT NULL,
    revision int DEFAULT 1 NOT NULL, created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamptz DEFAULT clock_timestamp() NOT NULL, retired_at timestamptz
);
CREATE INDEX unified_data_time ON unified_data ("timestamp" DESC, id DESC);
CREATE INDEX unified_data_symbol_time ON unified_data (symbol, "timestamp" DESC, id DESC);
CREATE INDEX unified_data_source_time ON unified_data (source, "timestamp" DESC, id DESC);
CREATE INDEX unified_data_symbols ON unified_data USING gin (symbols) WHERE symbols IS NOT NULL;
CREATE TABLE unified_revisions (
    id uuid, revision int, data jsonb NOT NULL, replaced_by uuid NOT NULL,
    replaced_at timestamptz DEFAULT clock_timestamp() NOT NULL, PRIMARY KEY (id, revision)
);
CREATE FUNCTION keep_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unified_revisions (id, revision, data, replaced_by, replaced_at)
    VALUES (OLD.id, OLD.revision, to_jsonb(OLD), NEW.page_id, NEW.updated_at)
    ON CONFLICT (id, revision) DO NOTHING;
    RETURN NEW;
END $$;
CREATE TRIGGER unified_data_keep_revision BEFORE UPDATE ON unified_data FOR EACH ROW
WHEN (OLD.value_hash IS DISTINCT FROM NEW.value_hash
      OR OLD.retired_at IS DISTINCT FROM NEW.retired_at)
EXECUTE FUNCTION keep_revision();
"""
# The rows that the pipeline wrote, in the form of that release and in the order of writing.
_ROWS = """
SELECT md5(id::text)::uuid, source, dataset, stream, instrument, symbol, symbols, kind, "interval",
    "timestamp", currency, price, open, high, low, close, volume, market_cap, title, url, summary,
    sentiment, attributes, value_hash, raw_time, raw_offset, record_index, normalizer_version,
    page_id, run_id, revision, created_at, updated_at, retired_at
FROM unified_data WHERE source = 'csv' ORDER BY raw_offset, record_index
"""
_PAGE = """
WITH rows AS ({rows} ORDER BY timestamp DESC, id DESC LIMIT {limit} OFFSET 0), shown AS (
    SELECT id, source, dataset, stream, kind, instrument, symbol, symbols, interval, timestamp,
           currency, price, open, high, low, close, volume, market_cap, title, url, summary,
           sentiment, attributes, run_id, page_id, revision, normalizer_version, created_at,
           updated_at FROM rows)
SELECT coalesce(json_agg(shown ORDER BY timestamp DESC, id DESC)::text, '[]') AS body,
       count(*) AS count, min(timestamp) AS last_timestamp,
       (array_agg(id ORDER BY timestamp, id))[1] AS last_id
FROM shown
"""
_ALL = "SELECT * FROM unified_data WHERE retired_at IS NULL"
_EITHER = "SELECT * FROM (({first}) UNION ALL ({others})) AS either"
_FIRST = f"""
{_ALL} AND symbol = '{{symbol}}' ORDER BY timestamp DESC, id DESC LIMIT {{limit}}
"""
_OTHERS = f"""
{_ALL} AND symbols @> ARRAY['{{symbol}}'::text] AND symbol IS DISTINCT FROM '{{symbol}}'
ORDER BY timestamp DESC, id DESC LIMIT {{limit}}
"""


def dsn_of(stack: Stack) -> str:
    """Where the yardstick's tables are."""
    return postgres_alone.dsn_of(stack, DATABASE)


def measure_write(stack: Stack) -> dict[str, Any]:
    """COPY and upsert of the rows that the pipeline wrote."""
    postgres_alone.recreate(stack, DATABASE)
    dsn = dsn_of(stack)
    with psycopg2.connect(dsn) as target, target.cursor() as cursor:
        cursor.execute(_TABLES)
    return postgres_alone.measure(
        dsn, postgres_alone.lines_of(stack, _ROWS)
    )


def page(*, limit: int, symbol: str | None = None, **equal: str) -> str:
    """The select of `GET /data` in that release. `equal`: what columns must be."""
    if symbol is not None:
        rows = _EITHER.format(first=_FIRST, others=_OTHERS).format(
            symbol=symbol, limit=limit
        )
    else:
        conditions = [
            f" AND {name} = '{value}'" for name, value in equal.items()
        ]
        rows = _ALL + "".join(conditions)
    return _PAGE.format(rows=rows, limit=limit)
