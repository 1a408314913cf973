"""`GET /data` as SQL: filters, keyset cursor, JSON built by PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.gateway.database import Database
from services.gateway.queries.where import Where, where
from services.gateway.requests.pagination import PageToken

_COLUMNS = """
    id, source, dataset, stream, kind, instrument, symbol, symbols, interval, timestamp, currency,
    price, open, high, low, close, volume, market_cap, title, url, summary, sentiment, attributes,
    run_id, page_id, revision, normalizer_version, created_at, updated_at
"""
_ORDER = "ORDER BY timestamp DESC, id DESC"
# What a run inserted or updated, each data point with the values that the run gave it, wherever
# they are kept now.
_CONTRIBUTED = """(
    WITH yielded AS (
        SELECT y.id, y.hash, p.raw_time, p.raw_offset, y.n FROM page_receipts AS p
        CROSS JOIN LATERAL unnest(p.ids, p.value_hashes, string_to_array(p.outcomes, NULL))
            WITH ORDINALITY AS y (id, hash, outcome, n)
        WHERE p.run_id = {run}::uuid AND y.outcome <> 'n'
        UNION ALL
        SELECT y.id, y.hash, p.raw_time, p.raw_offset, y.n FROM replay_receipts AS p
        CROSS JOIN LATERAL unnest(p.ids, p.value_hashes, string_to_array(p.outcomes, NULL))
            WITH ORDINALITY AS y (id, hash, outcome, n)
        WHERE p.run_id = {run}::uuid AND p.is_applied AND y.outcome <> 'n'
    ), contributed AS (
        SELECT DISTINCT ON (id) id, hash FROM yielded
        ORDER BY id, raw_time DESC, raw_offset DESC, n DESC
    )
    SELECT u.* FROM contributed AS c JOIN unified_data AS u ON u.id = c.id AND u.value_hash = c.hash
    UNION ALL
    (SELECT DISTINCT ON (r.id) (jsonb_populate_record(NULL::unified_data, r.data)).*
     FROM contributed AS c
     JOIN unified_revisions AS r ON r.id = c.id AND (r.data->>'value_hash')::bigint = c.hash
     WHERE NOT EXISTS (
         SELECT FROM unified_data AS u WHERE u.id = c.id AND u.value_hash = c.hash)
     ORDER BY r.id, r.revision)
) AS contributed"""
# The values that a data point had at a time and no longer has.
_REPLACED = """(
    SELECT (jsonb_populate_record(NULL::unified_data, data)).* FROM unified_revisions
    WHERE replaced_at > {as_of} AND (data->>'updated_at')::timestamptz <= {as_of}
    AND data->>'retired_at' IS NULL
) AS replaced"""
Source = tuple[
    str, list[str]
]  # a table, and what must be true of its rows


@dataclass(frozen=True)
class Filters:
    """What `GET /data` was asked for."""

    symbol: str | None = None
    source: str | None = None
    kind: str | None = None
    dataset: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    position: PageToken | None = None
    limit: int = 100
    skip: int = 0
    as_of: datetime | None = None
    run_id: str | None = None


async def page(database: Database, filters: Filters) -> Any:
    """(body, count, last_timestamp, last_id) of a page. `body`: JSON text of the list."""
    query, arguments = build(filters)
    (row,) = await database.rows(query, *arguments)
    return row


def build(filters: Filters) -> tuple[str, list[Any]]:
    """The query of a page, which gives one row, and its arguments."""
    wanted = Where()
    wanted.add("source =", filters.source)
    wanted.add("kind =", filters.kind)
    wanted.add("dataset =", filters.dataset)
    wanted.add("timestamp >=", filters.start)
    wanted.add("timestamp <", filters.end)
    position = filters.position
    wanted.add_before(
        "timestamp, id",
        (position.timestamp, position.id) if position else None,
    )
    query = f"""
        WITH rows AS ({_rows(filters, wanted)}), shown AS (SELECT {_COLUMNS} FROM rows)
        SELECT coalesce(json_agg(shown {_ORDER})::text, '[]') AS body, count(*) AS count,
               min(timestamp) AS last_timestamp,
               (array_agg(id ORDER BY timestamp, id))[1] AS last_id
        FROM shown
    """
    return query, wanted.arguments


def _rows(filters: Filters, wanted: Where) -> str:
    limit = wanted.bind(filters.limit)
    window = f"LIMIT {limit} OFFSET {wanted.bind(filters.skip)}"
    sources = _about(filters, wanted, _tables(filters, wanted))
    if len(sources) == 1:
        return f"{_select(*sources[0], wanted)} {_ORDER} {window}"
    most = wanted.bind(filters.limit + filters.skip)
    each = [
        _first_of(_select(*source, wanted), most) for source in sources
    ]
    return f"{_either(each)} {_ORDER} {window}"


def _select(table: str, own: list[str], wanted: Where) -> str:
    conditions = where([*own, *wanted.conditions])
    return f"SELECT * FROM {table} {conditions}"


def _first_of(select: str, most: str) -> str:
    """No more rows of a part than the page can need."""
    return f"({select} {_ORDER} LIMIT {most})"


def _either(parts: list[str]) -> str:
    return f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS either"


def _tables(filters: Filters, wanted: Where) -> list[Source]:
    if filters.run_id is not None:
        return [
            (_CONTRIBUTED.format(run=wanted.bind(filters.run_id)), [])
        ]
    if filters.as_of is not None:
        as_of = wanted.bind(filters.as_of)
        then = [
            f"updated_at <= {as_of}",
            f"(retired_at IS NULL OR retired_at > {as_of})",
        ]
        return [
            ("unified_data", then),
            (_REPLACED.format(as_of=as_of), []),
        ]
    return [("unified_data", ["retired_at IS NULL"])]


def _about(
    filters: Filters, wanted: Where, sources: list[Source]
) -> list[Source]:
    """Only rows about the symbol.

    The symbol of prices and of news' first coin, and the other coins of news, have an index each,
    and each is read in its order.
    """
    if filters.symbol is None:
        return sources
    symbol = wanted.bind(filters.symbol.lower())
    first = [f"symbol = {symbol}"]
    others = [
        f"symbols @> ARRAY[{symbol}::text]",
        f"symbol IS DISTINCT FROM {symbol}",
    ]
    return [
        (table, [*own, *about])
        for table, own in sources
        for about in (first, others)
    ]
