"""What publishing a preview would change in the data as they are now."""

from __future__ import annotations

from typing import Any

from services.gateway.database import Database
from services.gateway.queries.diff import (
    VALUES,
    Json,
    counted,
    difference,
)
from services.gateway.schemas.replay import PreviewKind
from shared import versions
from shared.messages.runs import RunKind

_COMPARED = f"""
WITH newest AS (
    SELECT DISTINCT ON (id) * FROM previewed_data WHERE run_id = $1::uuid
    ORDER BY id, {versions.order_newest_first()}
), retired AS (
    SELECT u.id, r.source, r.stream, to_jsonb(u) AS old
    FROM replay_receipts AS r CROSS JOIN LATERAL unnest(r.retired_ids) AS gone (id)
    CROSS JOIN LATERAL ({versions.stored("gone.id")}) AS u
    WHERE u.page_id = r.page_id AND r.run_id = $1::uuid AND u.retired_at IS NULL
    AND u.normalizer_version < r.normalizer_version
), compared AS (
    SELECT p.id, p.source, p.stream, to_jsonb(u) AS old, to_jsonb(p) AS new,
           CASE WHEN u.id IS NULL OR {versions.is_revived("u", "p")} THEN 'added'
                WHEN u.value_hash = p.value_hash THEN 'same'
                WHEN is_older OR EXISTS (SELECT FROM retired AS r WHERE r.id = p.id) THEN 'changed'
                WHEN p.is_contended THEN 'same' ELSE 'newer_stays' END AS kind
    FROM newest AS p LEFT JOIN LATERAL ({versions.stored("p.id")}) AS u ON true
    CROSS JOIN LATERAL (SELECT {versions.is_older("u", "p")} AS is_older) AS version
    UNION ALL
    SELECT id, source, stream, old, NULL, 'retired' FROM retired AS r
    WHERE NOT EXISTS (SELECT FROM newest AS n WHERE n.id = r.id)
)
"""
_DIFFERS = "count(*) FILTER (WHERE old->'{0}' IS DISTINCT FROM new->'{0}') AS differs_{0}"
_SELECT_COUNTS = f"""
{_COMPARED} SELECT source, kind, count(*) AS count, {", ".join(map(_DIFFERS.format, VALUES))}
FROM compared WHERE kind <> 'same' GROUP BY source, kind
"""
_SELECT_CHANGES = f"""
{_COMPARED}
SELECT id::text, kind, source, stream, old::text AS old, new::text AS new FROM compared
WHERE kind <> 'same' AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR source = $3)
ORDER BY id LIMIT $4 OFFSET $5
"""


# Of a run that retires series: all their data points, as they are now.
_SERIES = """
SELECT jsonb_array_elements(request -> 'series')::int AS series_id
FROM runs WHERE run_id = $1::uuid
"""
_COUNT_RETIRED = f"""
SELECT source, 'retired' AS kind, sum(points)::bigint AS count
FROM series JOIN ({_SERIES}) AS meant USING (series_id) GROUP BY source
"""
_SELECT_RETIRED = f"""
SELECT u.id::text, 'retired' AS kind, source, stream, to_jsonb(u)::text AS old, NULL AS new
FROM (
    SELECT p.id FROM points AS p JOIN series AS s USING (series_id)
    WHERE s.series_id IN ({_SERIES}) AND p.retired_at IS NULL
    AND ($2::text IS NULL OR $2 = 'retired') AND ($3::text IS NULL OR s.source = $3)
    ORDER BY p.id LIMIT $4 OFFSET $5
) AS gone CROSS JOIN LATERAL ({versions.stored("gone.id")}) AS u ORDER BY u.id
"""


class Preview:
    """What publishing the preview of a run would change, by its two statements."""

    def __init__(self, counts: str, changes: str) -> None:
        self._counts = counts
        self._changes = changes

    async def counts(self, database: Database, run_id: str) -> Json:
        """In numbers."""
        rows = await database.rows(self._counts, run_id)
        changed = [
            row for row in rows if row["kind"] == PreviewKind.CHANGED
        ]
        return {
            **counted(rows, PreviewKind),
            "by_field": _by_field(changed),
        }

    async def changes(
        self,
        database: Database,
        run_id: str,
        *,
        kind: PreviewKind | None,
        source: str | None,
        limit: int,
        skip: int,
    ) -> list[dict[str, Any]]:
        """Of each data point, in the order of their ids."""
        wanted = kind and str(kind)
        rows = await database.rows(
            self._changes, run_id, wanted, source, limit, skip
        )
        return [difference(row) for row in rows]


OF_KIND = {
    RunKind.REPLAY: Preview(_SELECT_COUNTS, _SELECT_CHANGES),
    RunKind.RETIRE: Preview(_COUNT_RETIRED, _SELECT_RETIRED),
}


def _by_field(rows: list[Any]) -> dict[str, int]:
    """In how many changed data points each field differs."""
    found = {}
    for name in VALUES:
        found[name] = sum(row[f"differs_{name}"] for row in rows)
    return {name: count for name, count in found.items() if count}
