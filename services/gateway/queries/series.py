"""Series as users see them, and what their sources were asked for."""

from __future__ import annotations

from typing import Any

from services.gateway.database import Database, Where, window_of
from services.gateway.schemas.series import SeriesQuery

MAX_RETIRED = 10_000  # series of one run
_COLUMNS = """
    series_id AS id, source, dataset, stream, kind, instrument, symbol, "interval", currency,
    timestamp_is, points, first_at AS first, last_at AS last, arrived_at
"""
_SELECT_ONE = f"SELECT {_COLUMNS} FROM series WHERE series_id = $1"
_SELECT_NUMBERS = """
SELECT series_id FROM series WHERE source = $1 AND dataset = $2 ORDER BY series_id LIMIT $3
"""
_SELECT_ASKED = """
SELECT a.first_at AS first, a.last_at AS last, outcome, nullif(reason, '') AS reason,
       nullif(every_s, 0) AS every_seconds, run_id::text
FROM asked AS a JOIN series AS s USING (stream) WHERE s.series_id = $1
ORDER BY a.last_at DESC, outcome, a.reason, every_s LIMIT $2 OFFSET $3
"""
_FILTERS = (
    "source",
    "dataset",
    "stream",
    "kind",
    "instrument",
    "interval",
    "currency",
)


async def many(
    database: Database, wanted: SeriesQuery
) -> list[dict[str, Any]]:
    """By their numbers."""
    found = Where()
    for name in _FILTERS:
        value = getattr(wanted, name)
        found.add(f'"{name}" =', value and str(value))
    found.add("symbol =", wanted.symbol and wanted.symbol.lower())
    window = window_of(wanted.limit, wanted.skip)
    query = f"SELECT {_COLUMNS} FROM series {found} ORDER BY series_id {window}"
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
