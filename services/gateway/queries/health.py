"""What the health endpoints read."""

from __future__ import annotations

from typing import Any

from services.gateway.database import DATABASE_UNAVAILABLE, Database

_SELECT_LAST_RUN = """
SELECT run_id::text, status, requested_at, finished_at FROM runs
WHERE requested_at IS NOT NULL ORDER BY requested_at DESC, run_id DESC LIMIT 1
"""
_SELECT_GAPS = """
SELECT topic, partition, first_missing, first_available, "group", reason, noticed_at, closed_at
FROM data_gaps ORDER BY closed_at IS NULL DESC, noticed_at DESC, id LIMIT 10
"""


async def recent(
    database: Database,
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """(newest run, last data gaps); nothing while the database is unavailable."""
    try:
        run = await database.row(_SELECT_LAST_RUN)
        gaps = await database.rows(_SELECT_GAPS)
    except DATABASE_UNAVAILABLE:
        return None, []
    return (dict(run) if run else None), [dict(gap) for gap in gaps]
