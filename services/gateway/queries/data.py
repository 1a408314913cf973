"""`GET /data` as SQL: filters, keyset cursor, JSON built by PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.gateway.pagination import Position

_COLUMNS = (
    "id, source, dataset, stream, kind, instrument, symbol, symbols, interval, timestamp, currency, price, open, high, low, close, volume, market_cap, "
    "title, url, summary, sentiment, attributes, run_id, page_id, revision, normalizer_version, created_at, updated_at"
)


@dataclass(frozen=True)
class Filters:
    """What `GET /data` was asked for."""

    symbol: str | None = None
    source: str | None = None
    kind: str | None = None
    dataset: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    position: Position | None = None
    limit: int = 100
    skip: int = 0
    as_of: datetime | None = None
    run_id: str | None = None


# What a run inserted or updated, each data point with the values that the run gave it, wherever they are kept now.
_CONTRIBUTED = """(
    WITH yielded AS (
        SELECT y.id, y.hash, p.raw_time, p.raw_offset, y.n FROM page_receipts AS p
        CROSS JOIN LATERAL unnest(p.ids, p.value_hashes, string_to_array(p.outcomes, NULL)) WITH ORDINALITY AS y (id, hash, outcome, n)
        WHERE p.run_id = {run}::uuid AND y.outcome <> 'n'
        UNION ALL
        SELECT y.id, y.hash, p.raw_time, p.raw_offset, y.n FROM replay_receipts AS p
        CROSS JOIN LATERAL unnest(p.ids, p.value_hashes, string_to_array(p.outcomes, NULL)) WITH ORDINALITY AS y (id, hash, outcome, n)
        WHERE p.run_id = {run}::uuid AND p.is_applied AND y.outcome <> 'n'
    ), contributed AS (SELECT DISTINCT ON (id) id, hash FROM yielded ORDER BY id, raw_time DESC, raw_offset DESC, n DESC)
    SELECT u.* FROM contributed AS c JOIN unified_data AS u ON u.id = c.id AND u.value_hash = c.hash
    UNION ALL
    (SELECT DISTINCT ON (r.id) (jsonb_populate_record(NULL::unified_data, r.data)).* FROM contributed AS c
     JOIN unified_revisions AS r ON r.id = c.id AND (r.data->>'value_hash')::bigint = c.hash
     WHERE NOT EXISTS (SELECT FROM unified_data AS u WHERE u.id = c.id AND u.value_hash = c.hash) ORDER BY r.id, r.revision)
) AS contributed"""


# The values that a data point had at a time and has no more.
_REPLACED = """(
    SELECT (jsonb_populate_record(NULL::unified_data, data)).* FROM unified_revisions
    WHERE replaced_at > {as_of} AND (data->>'updated_at')::timestamptz <= {as_of} AND data->>'retired_at' IS NULL
) AS replaced"""


def build(filters: Filters) -> tuple[str, list[Any]]:
    """One row: `body` (JSON text of the list), `count`, `last_timestamp`, `last_id`."""
    arguments: list[Any] = []

    def bind(value: Any) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    conditions = [
        f"{column} {operator} {bind(value)}"
        for column, operator, value in (
            ("source", "=", filters.source), ("kind", "=", filters.kind), ("dataset", "=", filters.dataset),
            ("timestamp", ">=", filters.start), ("timestamp", "<", filters.end),
        )
        if value is not None
    ]  # fmt: skip
    if filters.position is not None:
        conditions.append(f"(timestamp, id) < ({bind(filters.position.timestamp)}, {bind(filters.position.id)})")
    order = "ORDER BY timestamp DESC, id DESC"
    window = f"LIMIT {bind(filters.limit)} OFFSET {bind(filters.skip)}"
    tables = _tables(filters, bind)
    # The symbol of prices and of news' first coin, and the other coins of news: two indexes, each in order.
    symbols = [[]] if filters.symbol is None else _about(bind(filters.symbol.lower()))
    if len(tables) * len(symbols) == 1:
        rows = f"SELECT * FROM {tables[0][0]}{_where([*tables[0][1], *conditions])} {order} {window}"
    else:
        most = bind(filters.limit + filters.skip)
        each = [
            f"(SELECT * FROM {table}{_where([*own, *conditions, *about])} {order} LIMIT {most})"
            for table, own in tables
            for about in symbols
        ]
        rows = f"SELECT * FROM ({' UNION ALL '.join(each)}) AS either {order} {window}"
    query = f"""
        WITH rows AS ({rows}), shown AS (SELECT {_COLUMNS} FROM rows)
        SELECT coalesce(json_agg(shown {order})::text, '[]') AS body, count(*) AS count, min(timestamp) AS last_timestamp,
               (array_agg(id ORDER BY timestamp, id))[1] AS last_id
        FROM shown
    """
    return query, arguments


def _tables(filters: Filters, bind: Callable[[Any], str]) -> list[tuple[str, list[str]]]:
    """Where the rows are, and what must be true of them there."""
    if filters.run_id is not None:
        return [(_CONTRIBUTED.format(run=bind(filters.run_id)), [])]
    if filters.as_of is not None:
        as_of = bind(filters.as_of)
        then = [f"updated_at <= {as_of}", f"(retired_at IS NULL OR retired_at > {as_of})"]
        return [("unified_data", then), (_REPLACED.format(as_of=as_of), [])]
    return [("unified_data", ["retired_at IS NULL"])]


def _about(symbol: str) -> list[list[str]]:
    return [[f"symbol = {symbol}"], [f"symbols @> ARRAY[{symbol}::text]", f"symbol IS DISTINCT FROM {symbol}"]]


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
