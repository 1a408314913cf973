"""The state of the sources: the newest ended task of each stream, and the call budgets."""

from __future__ import annotations

import json
from typing import Any

from services.gateway.database import Database
from services.gateway.schemas.sources import (
    MAX_FAILING,
    Budget,
    Failing,
    SourceState,
)
from shared.kafka.checkpoint_log import BUDGET, CheckpointLog
from shared.messages.base import Source
from shared.messages.runs import TaskStatus
from shared.messages.serialization import to_python

_SELECT_NEWEST_TASKS = """
SELECT DISTINCT ON (t.stream) t.stream, t.source, t.status, t.error::text AS error, t.finished_at,
       t.run_id::text AS run_id
FROM run_tasks AS t JOIN runs AS r USING (run_id)
WHERE t.finished_at IS NOT NULL AND r.kind = 'ingest' ORDER BY t.stream, t.finished_at DESC
"""
Task = dict[str, Any]


async def states(
    database: Database, checkpoints: CheckpointLog
) -> list[SourceState]:
    """Every source. Raises DATABASE_UNAVAILABLE; budgets are those that Kafka told last."""
    tasks = [dict(row) for row in await database.rows(_SELECT_NEWEST_TASKS)]
    return [
        _state(source, _of_source(tasks, source), checkpoints)
        for source in Source
    ]


def _of_source(tasks: list[Task], source: Source) -> list[Task]:
    return [task for task in tasks if task["source"] == source]


def _state(
    source: Source, tasks: list[Task], checkpoints: CheckpointLog
) -> SourceState:
    failed = [task for task in tasks if task["status"] == TaskStatus.FAILED]
    failed.sort(key=_finished_at, reverse=True)
    finished = [
        task for task in tasks if task["status"] == TaskStatus.FINISHED
    ]
    budget = checkpoints.get(f"{source}/{BUDGET}")
    return SourceState(
        name=source,
        streams=len(tasks),
        last_success_at=max(map(_finished_at, finished), default=None),
        failing_streams=len(failed),
        failing=[
            _failing(task, checkpoints) for task in failed[:MAX_FAILING]
        ],
        budget=Budget(**to_python(budget.cursor)) if budget else None,
    )


def _finished_at(task: Task) -> Any:
    return task["finished_at"]


def _failing(task: Task, checkpoints: CheckpointLog) -> Failing:
    error = json.loads(task["error"] or "null") or {}
    checkpoint = checkpoints.get(task["stream"])
    cursor = to_python(checkpoint.cursor) if checkpoint else None
    return Failing(
        stream=task["stream"],
        failed_at=task["finished_at"],
        code=error.get("code", "unknown"),
        message=error.get("message", ""),
        run_id=task["run_id"],
        not_before=cursor.get("not_before")
        if isinstance(cursor, dict)
        else None,
    )
