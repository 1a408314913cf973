"""The state of the sources: the newest ended task of each stream, and the call budgets."""

from __future__ import annotations

import json
from typing import Any

from services.gateway.database import Database
from services.gateway.files_there import FilesThere
from services.gateway.schemas.sources import (
    MAX_FAILING,
    Budget,
    Failing,
    SourceState,
)
from shared.kafka.checkpoint_log import BUDGET, CONFIGURED, CheckpointLog
from shared.messages.base import Source
from shared.messages.runs import TaskStatus
from shared.messages.serialization import to_python

_SELECT_NEWEST_TASKS = """
SELECT DISTINCT ON (t.stream) t.stream, t.source, t.status, t.error::text AS error, t.finished_at,
       t.run_id::text AS run_id
FROM run_tasks AS t JOIN runs AS r USING (run_id)
WHERE t.finished_at IS NOT NULL AND r.kind = 'ingest' ORDER BY t.stream, t.finished_at DESC
"""
_SELECT_LAST_OF_STREAMS = """
SELECT DISTINCT ON (t.stream) t.stream, t.status, t.error::text AS error, t.finished_at,
       t.run_id::text AS run_id
FROM run_tasks AS t JOIN runs AS r USING (run_id)
WHERE t.stream = ANY($1::text[]) AND t.finished_at IS NOT NULL AND r.kind = 'ingest'
ORDER BY t.stream, t.finished_at DESC
"""
# What mapping.yaml said when a file was read from its start: other tasks tell no profile.
_SELECT_READ_BY = """
SELECT DISTINCT ON (stream) stream, (profile->'mapping')::text AS given
FROM run_tasks
WHERE stream = ANY($1::text[]) AND status = 'finished' AND jsonb_typeof(profile) = 'object'
ORDER BY stream, finished_at DESC
"""
Task = dict[str, Any]


async def states(
    database: Database, checkpoints: CheckpointLog, there: FilesThere
) -> list[SourceState]:
    """Every source. Raises DATABASE_UNAVAILABLE; budgets are those that Kafka told last."""
    tasks = [
        dict(row) for row in await database.rows(_SELECT_NEWEST_TASKS)
    ]
    configured = _configured(checkpoints, await there.streams())
    return [
        _state(
            source,
            _of_source(tasks, source),
            configured.get(source),
            checkpoints,
        )
        for source in Source
    ]


async def last_tasks(
    database: Database, streams: list[str]
) -> dict[str, Task]:
    """The last task of each stream that has one. Raises DATABASE_UNAVAILABLE."""
    rows = await database.rows(_SELECT_LAST_OF_STREAMS, streams)
    return {row["stream"]: dict(row) for row in rows}


async def read_by(
    database: Database, streams: list[str]
) -> dict[str, dict[str, Any]]:
    """What mapping.yaml said about each file when it was read from its start last."""
    rows = await database.rows(_SELECT_READ_BY, streams)
    return {
        row["stream"]: json.loads(row["given"] or "{}") for row in rows
    }


def every_s(checkpoints: CheckpointLog, source: str) -> float | None:
    """How often the schedule reads a source; None: by no schedule, or nobody has told."""
    found = _cursor_of(f"{source}/{CONFIGURED}", checkpoints).get(
        "every_s"
    )
    return None if found is None else float(found)


def _configured(
    checkpoints: CheckpointLog, of_csv: set[str] | None
) -> dict[Source, set[str]]:
    """The streams of each source that are configured, as far as that is known."""
    found: dict[Source, set[str]] = {}
    if of_csv is not None:
        found[Source.CSV] = of_csv
    for source in Source:
        cursor = _cursor_of(f"{source}/{CONFIGURED}", checkpoints)
        if cursor:
            found[source] = set(cursor["streams"])
    return found


def _of_source(tasks: list[Task], source: Source) -> list[Task]:
    """Live streams; those of history are asked for by their days, and done then."""
    return [
        task
        for task in tasks
        if task["source"] == source and not _is_history(task["stream"])
    ]


def _is_history(stream: str) -> bool:
    source, _, name = stream.partition("/")
    return source == Source.COINPAPRIKA and "/" in name


def _state(
    source: Source,
    tasks: list[Task],
    configured: set[str] | None,
    checkpoints: CheckpointLog,
) -> SourceState:
    """`configured` None: nobody has told yet, so that what was read counts."""
    names = {task["stream"] for task in tasks}
    wanted = names if configured is None else configured
    failing = _failing_of(_of_streams(tasks, wanted), checkpoints)
    gone = sorted(names - wanted)
    return SourceState(
        name=source,
        streams=len(wanted),
        last_success_at=_last_success(tasks, failing),
        failing_streams=len(failing),
        failing=failing[:MAX_FAILING],
        gone_streams=len(gone),
        gone=gone[:MAX_FAILING],
        budget=budget_of(source, checkpoints),
    )


def _of_streams(tasks: list[Task], streams: set[str]) -> list[Task]:
    return [task for task in tasks if task["stream"] in streams]


def _last_success(tasks: list[Task], failing: list[Failing]) -> Any:
    """Of streams that do not fail: a task that only waited before the next try is no success."""
    waiting = {each.stream for each in failing}
    good = filter(_has_finished, tasks)
    times = [
        task["finished_at"]
        for task in good
        if task["stream"] not in waiting
    ]
    return max(times, default=None)


def _has_finished(task: Task) -> bool:
    return bool(task["status"] == TaskStatus.FINISHED)


def budget_of(
    source: Source, checkpoints: CheckpointLog
) -> Budget | None:
    """The calls of the month, and what the schedule will make of them."""
    spent = checkpoints.get(f"{source}/{BUDGET}")
    kept = to_python(spent.cursor) if spent else None
    if kept is None:
        return None
    told = checkpoints.get(f"{source}/{CONFIGURED}")
    cursor = to_python(told.cursor) if told else None
    needed = cursor.get("calls_a_month") if cursor else None
    return Budget(**kept, forecast_per_month=needed)


def _finished_at(task: Task) -> Any:
    return task["finished_at"]


def _failing_of(
    tasks: list[Task], checkpoints: CheckpointLog
) -> list[Failing]:
    """The newest first. One that waits before it is asked again is failing still."""
    found = []
    for task in sorted(tasks, key=_finished_at, reverse=True):
        cursor = _cursor_of(task["stream"], checkpoints)
        error = cursor.get("error") or {}
        if task["status"] == TaskStatus.FAILED:
            error = json.loads(task["error"] or "null") or error
        if error or task["status"] == TaskStatus.FAILED:
            found.append(_failing(task, error, cursor))
    return found


def _cursor_of(stream: str, checkpoints: CheckpointLog) -> dict[str, Any]:
    checkpoint = checkpoints.get(stream)
    cursor = to_python(checkpoint.cursor) if checkpoint else None
    return cursor if isinstance(cursor, dict) else {}


def _failing(
    task: Task, error: dict[str, Any], cursor: dict[str, Any]
) -> Failing:
    return Failing(
        stream=task["stream"],
        failed_at=task["finished_at"],
        code=error.get("code", "unknown"),
        message=error.get("message", ""),
        run_id=task["run_id"],
        not_before=cursor.get("not_before"),
    )
