"""Runs as users see them, read from the loader's tables."""

from __future__ import annotations

import json
from typing import Any

from services.gateway.command_bus import Queued
from services.gateway.database import Database
from services.gateway.problems import ProblemError
from shared.messages.base import REPLAY
from shared.messages.runs import RunStatus, describe
from shared.ranges import ranges

MAX_RANGES = 1000
COUNTERS = ("records", "inserted", "updated", "unchanged", "skipped", "rejected")

_RUN = """
SELECT r.run_id::text, r.kind, r.status, r.message, r.request::text AS request, r.requested_at, r.started_at, r.finished_at,
       CASE WHEN r.started_at IS NOT NULL
            THEN extract(epoch FROM greatest(coalesce(r.finished_at, clock_timestamp()) - r.started_at, interval '0'))::float8 END AS duration,
       coalesce(r.totals, '{}')::text AS totals, r.preview, r.notes::text AS notes,
       (r.errors || coalesce((SELECT jsonb_agg(t.error ORDER BY t.stream) FROM run_tasks AS t WHERE t.run_id = r.run_id AND t.error IS NOT NULL
                              AND jsonb_typeof(t.error) = 'object'), '[]'))::text AS errors
FROM runs AS r
"""
_TASKS = """
WITH p AS (
    SELECT run_id, task_id, page_id, page_no, records, inserted, updated, unchanged, skipped, rejected FROM page_receipts WHERE run_id = $1::uuid
    UNION ALL SELECT run_id, task_id, page_id, NULL, records, inserted, updated, unchanged, skipped, rejected FROM replay_receipts WHERE run_id = $1::uuid
)
SELECT t.task_id::text, t.source, t.stream, t.status, t.pages, t.records AS records_published, t.started_at, t.finished_at, t.notes::text AS notes, coalesce(t.error, 'null')::text AS error, coalesce(t.profile, 'null')::text AS profile,
       coalesce(sum(p.records), 0)::int AS records, coalesce(sum(p.inserted), 0)::int AS inserted, coalesce(sum(p.updated), 0)::int AS updated,
       coalesce(sum(p.unchanged), 0)::int AS unchanged, coalesce(sum(p.skipped), 0)::int AS skipped, coalesce(sum(p.rejected), 0)::int AS rejected,
       count(p.page_id)::int AS pages_loaded
FROM run_tasks AS t LEFT JOIN p ON p.task_id = t.task_id AND (t.finished_at IS NULL OR p.page_no IS NULL OR p.page_no < t.pages)
WHERE t.run_id = $1::uuid GROUP BY t.task_id ORDER BY t.stream
"""
_MISSING = """
SELECT t.task_id::text, array_agg(n ORDER BY n) AS numbers FROM run_tasks AS t CROSS JOIN LATERAL (
    SELECT generate_series(0, t.pages - 1) EXCEPT SELECT page_no FROM page_receipts AS p WHERE p.task_id = t.task_id
) AS missing (n) WHERE t.run_id = $1::uuid AND t.source <> 'replay' AND t.finished_at IS NOT NULL
AND t.pages > (SELECT count(*) FROM page_receipts AS p WHERE p.task_id = t.task_id) GROUP BY t.task_id
"""
_REJECTIONS = """
SELECT reason, stage, field, source, stream, sum(count)::int AS count, (array_agg(message ORDER BY created_at, id))[1] AS example,
       (array_agg((origin->>'line')::bigint ORDER BY created_at, id))[1] AS example_line
FROM dead_letters WHERE run_id = $1::uuid
OR page_id IN (SELECT page_id FROM replay_receipts WHERE run_id = $1::uuid AND rejected > 0)  -- of which the first run's letters may tell already
GROUP BY reason, stage, field, source, stream ORDER BY sum(count) DESC, stream LIMIT 200
"""


def _counts(totals: dict[str, Any]) -> dict[str, int]:
    counts = {counter: int(totals.get(counter, 0)) for counter in COUNTERS}
    return {"items_processed": counts["inserted"] + counts["updated"] + counts["unchanged"], **counts}


def _view(row: Any) -> dict[str, Any]:
    totals, request = json.loads(row["totals"]), json.loads(row["request"])
    return {
        "run_id": row["run_id"], "kind": row["kind"], "status": row["status"], "message": row["message"], "preview": row["preview"],
        "requested_at": row["requested_at"], "started_at": row["started_at"], "finished_at": row["finished_at"],
        "duration_seconds": None if row["duration"] is None else round(row["duration"], 3),
        **_counts(totals), "errors": json.loads(row["errors"]),
        "sources": {name: _counts(counts) for name, counts in sorted((totals.get("sources") or {}).items())},
        "notes": json.loads(row["notes"]), "request": request,
    }  # fmt: skip


def queued_view(queued: Queued) -> dict[str, Any]:
    """A run that the loader has not stored yet."""
    wanted = describe(queued.command)
    return {
        "run_id": queued.command.run_id, "kind": wanted.kind, "status": RunStatus.QUEUED, "message": None, "preview": None,
        "requested_at": queued.requested_at, "started_at": None, "finished_at": None, "duration_seconds": None, **_counts({}),
        "errors": [], "sources": {}, "notes": [], "request": wanted.request,
    }  # fmt: skip


async def history(database: Database, *, limit: int, skip: int, status: str | None) -> list[dict[str, Any]]:
    """Runs, newest first."""
    where = "WHERE r.status = $3" if status else ""
    arguments = [limit, skip, *([status] if status else [])]
    rows = await database.rows(f"{_RUN} {where} ORDER BY r.requested_at DESC NULLS FIRST, r.run_id DESC LIMIT $1 OFFSET $2", *arguments)
    return [_view(row) for row in rows]


async def one(database: Database, run_id: str) -> dict[str, Any] | None:
    row = await database.row(f"{_RUN} WHERE r.run_id = $1::uuid", run_id)
    return _view(row) if row else None


async def with_tasks(database: Database, run_id: str) -> dict[str, Any] | None:
    """A run with its tasks, its ledger, and its rejected records summed up by reason."""
    row = await database.row(f"{_RUN} WHERE r.run_id = $1::uuid", run_id)
    if row is None:
        return None
    missing = {entry["task_id"]: ranges(entry["numbers"]) for entry in await database.rows(_MISSING, run_id)}
    tasks = [_task(task, missing.get(task["task_id"], [])) for task in await database.rows(_TASKS, run_id)]
    rejections = [dict(entry) for entry in await database.rows(_REJECTIONS, run_id)]
    return {
        **_view(row),
        "ledger": ledger(tasks, is_balanced=RunStatus(row["status"]).is_balanced),
        "tasks": tasks,
        "rejections": rejections,
    }


def ledger(tasks: list[dict[str, Any]], *, is_balanced: bool) -> dict[str, Any]:
    """What was published and what was received. `pages_published` is known of tasks that have ended."""
    return {
        "balanced": is_balanced,
        "pages_published": sum(task["pages"] or 0 for task in tasks),
        "pages_received": sum(task["pages_loaded"] for task in tasks),
        "pages_missing": sum(_missing(task) for task in tasks),
    }


def _missing(task: dict[str, Any]) -> int:
    if task["source"] == REPLAY:  # whose pages have no numbers
        return max(0, int(task["pages"] or 0) - int(task["pages_loaded"]))
    return sum(int(last) - int(first) + 1 for first, last in task["missing_pages"])


def _task(row: Any, missing: list[tuple[int, int]]) -> dict[str, Any]:
    plain = ("task_id", "source", "stream", "status", "pages", "pages_loaded", "started_at", "finished_at")
    return {
        **{name: row[name] for name in plain},
        **_counts(dict(row)),
        "records_published": row["records_published"],
        "missing_pages": missing[:MAX_RANGES],
        "notes": json.loads(row["notes"]),
        "error": json.loads(row["error"]),
        "profile": json.loads(row["profile"]),
    }


async def resolve(database: Database, name: str) -> str:
    """A run's id from an id, `latest` or `previous`. Raises ProblemError 404 when there is no such run, 422 for what is no id."""
    if name in ("latest", "previous"):
        row = await database.row(
            "SELECT run_id::text FROM runs WHERE requested_at IS NOT NULL ORDER BY requested_at DESC, run_id DESC LIMIT 1 OFFSET $1",
            int(name == "previous"),
        )
        if row is None:
            raise ProblemError(404, f"there is no {name} run yet: start one with POST /api/v1/ingest")
        return str(row["run_id"])
    return name
