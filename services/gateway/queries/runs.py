"""Runs as users see them, read from the loader's tables."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from services.gateway.database import Database, Where, window_of
from services.gateway.kafka.command_log import PendingRun
from services.gateway.problems import ProblemError
from shared.messages.base import REPLAY
from shared.messages.runs import RunStatus

MAX_RANGES = 1000
COUNTERS = (
    "records",
    "inserted",
    "updated",
    "unchanged",
    "skipped",
    "rejected",
)
LATEST = "latest"
PREVIOUS = "previous"
_HOW_TO_START = "start one with POST /api/v1/ingest"
Json = dict[str, Any]

MAX_ERRORS = 100  # of a run
_SELECT_RUN = f"""
SELECT r.run_id::text, r.kind, r.status, r.message, r.requested_at,
       CASE WHEN octet_length(r.request::text) > 4000
            THEN r.request - '{{streams,dead_letters,cursor}}'::text[] || '{{"left_out": true}}'
            ELSE r.request END::text AS request,
       r.started_at, r.finished_at,
       CASE WHEN r.started_at IS NOT NULL
            THEN extract(epoch FROM greatest(
                coalesce(r.finished_at, clock_timestamp()) - r.started_at, interval '0'))::float8
       END AS duration,
       coalesce(r.totals, '{{}}')::text AS totals, r.preview, r.notes::text AS notes,
       (r.errors || coalesce(
            (SELECT jsonb_agg(t.error) FROM (
                SELECT error FROM run_tasks AS t
                WHERE t.run_id = r.run_id AND t.error IS NOT NULL
                AND jsonb_typeof(t.error) = 'object'
                ORDER BY t.stream LIMIT {MAX_ERRORS}) AS t), '[]'))::text AS errors
FROM runs AS r
"""
_SELECT_ONE = f"{_SELECT_RUN} WHERE r.run_id = $1::uuid"
_SELECT_TASKS = """
WITH p AS (
    SELECT run_id, task_id, page_id, page_no, records, inserted, updated, unchanged, skipped,
           rejected
    FROM page_receipts WHERE run_id = $1::uuid
    UNION ALL
    SELECT run_id, task_id, page_id, NULL, records, inserted, updated, unchanged, skipped, rejected
    FROM replay_receipts WHERE run_id = $1::uuid
)
SELECT t.task_id::text, t.source, t.stream, t.status, t.pages, t.records AS records_published,
       t.started_at, t.finished_at, t.notes::text AS notes,
       coalesce(t.error, 'null')::text AS error,
       CASE WHEN sum(octet_length(t.profile::text)) OVER () > 4000000 THEN 'null'
            ELSE coalesce(t.profile, 'null')::text END AS profile,
       coalesce(sum(p.records), 0)::int AS records,
       coalesce(sum(p.inserted), 0)::int AS inserted, coalesce(sum(p.updated), 0)::int AS updated,
       coalesce(sum(p.unchanged), 0)::int AS unchanged,
       coalesce(sum(p.skipped), 0)::int AS skipped, coalesce(sum(p.rejected), 0)::int AS rejected,
       count(p.page_id)::int AS pages_loaded
FROM run_tasks AS t
LEFT JOIN p ON p.task_id = t.task_id
    AND (t.finished_at IS NULL OR p.page_no IS NULL OR p.page_no < t.pages)
WHERE t.run_id = $1::uuid GROUP BY t.task_id ORDER BY t.stream LIMIT 10000
"""
_SELECT_MISSING = """
SELECT t.task_id::text, gap.first::int, gap.last::int
FROM run_tasks AS t CROSS JOIN LATERAL (
    SELECT coalesce(lag(page_no) OVER (ORDER BY page_no), -1) + 1 AS first, page_no - 1 AS last
    FROM (SELECT page_no FROM page_receipts AS p WHERE p.task_id = t.task_id AND page_no < t.pages
          UNION SELECT t.pages) AS received
) AS gap
WHERE t.run_id = $1::uuid AND t.source <> 'replay' AND t.finished_at IS NOT NULL
AND t.pages > (SELECT count(*) FROM page_receipts AS p WHERE p.task_id = t.task_id)
AND gap.first <= gap.last
ORDER BY t.task_id, gap.first
"""
_SELECT_REJECTIONS = """
SELECT reason, stage, field, source, stream, sum(s.count)::int AS count,
       (array_agg(message ORDER BY created_at, id))[1] AS example,
       (array_agg((origin->>'line')::bigint ORDER BY created_at, id))[1] AS example_line
FROM dead_letter_runs AS s JOIN dead_letters AS d ON d.id = s.letter_id
WHERE s.run_id = $1::uuid
GROUP BY reason, stage, field, source, stream ORDER BY sum(s.count) DESC, stream LIMIT 200
"""
# What was skipped and why; the names are those of the first page that has any.
_SELECT_SKIPS = """
SELECT p.task_id::text, r.key AS reason, sum(r.value::int)::int AS count,
       coalesce((array_agg(p.skip_examples -> r.key ORDER BY p.raw_time, p.page_id)
                 FILTER (WHERE p.skip_examples ? r.key))[1], '[]')::text AS examples
FROM (
    SELECT task_id, page_id, raw_time, skip_reasons, skip_examples FROM page_receipts
    WHERE run_id = $1::uuid AND skipped > 0
    UNION ALL
    SELECT task_id, page_id, raw_time, skip_reasons, skip_examples FROM replay_receipts
    WHERE run_id = $1::uuid AND skipped > 0
) AS p CROSS JOIN LATERAL jsonb_each_text(p.skip_reasons) AS r
GROUP BY p.task_id, r.key ORDER BY p.task_id, count DESC
"""
_SELECT_NEWEST = """
SELECT run_id::text FROM runs WHERE requested_at IS NOT NULL
ORDER BY requested_at DESC, run_id DESC LIMIT 1 OFFSET $1
"""
_PLAIN = (
    "run_id",
    "kind",
    "status",
    "message",
    "preview",
    "requested_at",
    "started_at",
    "finished_at",
)
_PLAIN_OF_TASK = (
    "task_id",
    "source",
    "stream",
    "status",
    "pages",
    "pages_loaded",
    "records_published",
    "started_at",
    "finished_at",
)


async def history(
    database: Database, *, limit: int, skip: int, status: str | None
) -> list[Json]:
    """Runs, newest first."""
    wanted = Where()
    wanted.add("r.status =", status)
    window = window_of(limit, skip)
    order = "ORDER BY r.requested_at DESC NULLS FIRST, r.run_id DESC"
    rows = await database.rows(
        f"{_SELECT_RUN} {wanted} {order} {window}", *wanted.arguments
    )
    return [_view(row) for row in rows]


async def one(database: Database, run_id: str) -> Json | None:
    """A run; None when the loader has stored none of this id."""
    row = await database.row(_SELECT_ONE, run_id)
    return _view(row) if row else None


async def with_tasks(database: Database, run_id: str) -> Json | None:
    """A run with its tasks, its ledger, and its rejected records summed up by reason."""
    run = await one(database, run_id)
    if run is None:
        return None
    tasks = await _tasks(database, run_id)
    rejections = await database.rows(_SELECT_REJECTIONS, run_id)
    is_balanced = RunStatus(run["status"]).is_balanced
    return {
        **run,
        "ledger": ledger(tasks, is_balanced=is_balanced),
        "tasks": tasks,
        "rejections": [dict(row) for row in rejections],
        "skips": _of_run(tasks),
    }


async def _tasks(database: Database, run_id: str) -> list[Json]:
    found = await database.rows(_SELECT_MISSING, run_id)
    missing: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in found:
        missing[row["task_id"]].append((row["first"], row["last"]))
    skips = _by_task(await database.rows(_SELECT_SKIPS, run_id))
    rows = await database.rows(_SELECT_TASKS, run_id)
    return [_task(row, missing[row["task_id"]], skips) for row in rows]


async def resolve(database: Database, name: str) -> str:
    """A run's id from an id, `latest` or `previous`. Raises ProblemError 404 without runs."""
    if name not in (LATEST, PREVIOUS):
        return name
    row = await database.row(_SELECT_NEWEST, int(name == PREVIOUS))
    if row is None:
        message = f"there is no {name} run yet: {_HOW_TO_START}"
        raise ProblemError(404, message)
    return str(row["run_id"])


def queued_view(pending: PendingRun) -> Json:
    """A run that the loader has not stored yet."""
    return {
        "run_id": pending.run_id,
        "kind": pending.kind,
        "status": RunStatus.QUEUED,
        "message": None,
        "preview": None,
        "requested_at": pending.requested_at,
        "started_at": None,
        "finished_at": None,
        "duration_seconds": None,
        **_counts({}),
        "errors": [],
        "sources": {},
        "notes": [],
        "request": json.loads(pending.request),
    }


def queued_detail(pending: PendingRun) -> Json:
    """As `queued_view`, with what `with_tasks` adds."""
    return {
        **queued_view(pending),
        "ledger": ledger([], is_balanced=False),
        "tasks": [],
        "rejections": [],
        "skips": [],
    }


def ledger(tasks: list[Json], *, is_balanced: bool) -> Json:
    """What was published and what was received.

    `pages_published` is known of tasks that have ended.
    """
    return {
        "balanced": is_balanced,
        "pages_published": sum(task["pages"] or 0 for task in tasks),
        "pages_received": sum(task["pages_loaded"] for task in tasks),
        "pages_missing": sum(_missing(task) for task in tasks),
    }


def _missing(task: Json) -> int:
    if task["source"] == REPLAY:  # its pages have no numbers
        return max(0, int(task["pages"] or 0) - int(task["pages_loaded"]))
    return sum(
        int(last) - int(first) + 1
        for first, last in task["missing_pages"]
    )


def _counts(totals: Json) -> dict[str, int]:
    counts = {
        counter: int(totals.get(counter, 0)) for counter in COUNTERS
    }
    processed = (
        counts["inserted"] + counts["updated"] + counts["unchanged"]
    )
    return {"items_processed": processed, **counts}


def _view(row: Any) -> Json:
    totals = json.loads(row["totals"])
    sources = totals.get("sources") or {}
    duration = row["duration"]
    return {
        **{name: row[name] for name in _PLAIN},
        "duration_seconds": None
        if duration is None
        else round(duration, 3),
        **_counts(totals),
        "errors": json.loads(row["errors"]),
        "sources": {
            name: _counts(sources[name]) for name in sorted(sources)
        },
        "notes": json.loads(row["notes"]),
        "request": json.loads(row["request"]),
    }


def _of_run(tasks: list[Json]) -> list[Json]:
    """The skips of all tasks, each with its stream."""
    return [
        {"stream": task["stream"], **skip}
        for task in tasks
        for skip in task["skips"]
    ]


def _all_skipped(row: Any, skips: list[Json]) -> list[str]:
    if not row["skipped"] or row["skipped"] < row["records"]:
        return []
    reasons = ", ".join(skip["reason"] for skip in skips)
    return [f"all {row['records']} records were skipped: {reasons}"]


def _by_task(rows: list[Any]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for row in rows:
        skip = {
            "reason": row["reason"],
            "count": row["count"],
            "examples": json.loads(row["examples"]),
        }
        found.setdefault(row["task_id"], []).append(skip)
    return found


def _task(
    row: Any,
    missing: list[tuple[int, int]],
    skips: dict[str, list[Json]],
) -> Json:
    skipped = skips.get(row["task_id"], [])
    return {
        **{name: row[name] for name in _PLAIN_OF_TASK},
        **_counts(dict(row)),
        "missing_pages": missing[:MAX_RANGES],
        "skips": skipped,
        "notes": [*json.loads(row["notes"]), *_all_skipped(row, skipped)],
        "error": json.loads(row["error"]),
        "profile": json.loads(row["profile"]),
    }
