"""Series as users see them, and what their sources were asked for."""

from __future__ import annotations

from typing import Any

from services.gateway.database import Database, window_of
from services.gateway.schemas.series import SeriesQuery

MAX_RETIRED = 10_000  # series of one run
# How many candles of an interval there should be from the first to the last.
_SECONDS = """CASE right("interval", 1)
    WHEN 's' THEN 1 WHEN 'm' THEN 60 WHEN 'h' THEN 3600 WHEN 'd' THEN 86400 WHEN 'w' THEN 604800
    END * left("interval", -1)::bigint"""
_MONTHS = (
    "(extract(year FROM {at}) * 12 + extract(month FROM {at}))::bigint"
)
_EXPECTED = f"""CASE
    WHEN "interval" ~ '^[1-9][0-9]{{0,3}}[smhdw]$'
    THEN round(extract(epoch FROM last_at - first_at) / ({_SECONDS}))::bigint + 1
    WHEN "interval" ~ '^[1-9][0-9]{{0,3}}M$'
    THEN ({_MONTHS.format(at="last_at")} - {_MONTHS.format(at="first_at")})
         / left("interval", -1)::bigint + 1
    END"""
_COLUMNS = """
    series_id AS id, source, dataset, stream, kind, instrument, symbol, "interval", currency,
    timestamp_is, points, first_at AS first, last_at AS last, arrived_at, expected,
    (least(trunc(points * 10000.0 / expected), 10000) / 10000)::float8 AS completeness
"""
_SERIES = f"(SELECT *, {_EXPECTED} AS expected FROM series) AS series"
_ORDERS = {"asc": "", "desc": "DESC"}
_SELECT_ONE = f"SELECT {_COLUMNS} FROM {_SERIES} WHERE series_id = $1"
_SELECT_NUMBERS = """
SELECT series_id FROM series WHERE source = $1 AND dataset = $2 ORDER BY series_id LIMIT $3
"""
_SELECT_ASKED = """
SELECT a.first_at AS first, a.last_at AS last, outcome, nullif(reason, '') AS reason,
       nullif(every_s, 0) AS every_seconds, run_id::text
FROM asked AS a JOIN series AS s USING (stream) WHERE s.series_id = $1
ORDER BY a.last_at DESC, outcome, a.reason, every_s LIMIT $2 OFFSET $3
"""


async def many(
    database: Database, wanted: SeriesQuery
) -> list[dict[str, Any]]:
    """In the order that is wanted, one more than fit on the page where there are so many."""
    found = wanted.conditions()
    window = window_of(wanted.limit + 1, wanted.skip)
    order = _ORDERS[wanted.order]
    query = f"""
        SELECT {_COLUMNS} FROM {_SERIES} {found}
        ORDER BY {wanted.sort} {order} NULLS LAST, id {order} {window}"""
    rows = await database.rows(query, *found.arguments)
    return [dict(row) for row in rows]


async def one(database: Database, number: int) -> dict[str, Any] | None:
    """None where there is no such series."""
    row = await database.row(_SELECT_ONE, number)
    return dict(row) if row else None


async def numbers(
    database: Database, source: str, dataset: str
) -> list[int]:
    """Those of a dataset, one more than one run may retire where there are so many."""
    rows = await database.rows(
        _SELECT_NUMBERS, source, dataset, MAX_RETIRED + 1
    )
    return [row["series_id"] for row in rows]


async def asked(
    database: Database, number: int, limit: int, skip: int
) -> list[dict[str, Any]]:
    """What the source of a series' stream was asked for, latest first."""
    rows = await database.rows(_SELECT_ASKED, number, limit, skip)
    return [dict(row) for row in rows]
