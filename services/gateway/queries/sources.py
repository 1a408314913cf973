"""How the sources do: the newest ended task of each stream, and the call budgets."""

from __future__ import annotations

import json
from typing import Any

from services.gateway.database import Database
from services.gateway.schemas.sources import MAX_FAILING, Budget, Failing, SourceState
from shared.kafka.checkpoint_log import BUDGET, CheckpointLog
from shared.messages.base import Source
from shared.messages.serialization import plain

_LATEST = """
SELECT DISTINCT ON (t.stream) t.stream, t.source, t.status, t.error::text AS error, t.finished_at, t.run_id::text AS run_id
FROM run_tasks AS t JOIN runs AS r USING (run_id)
WHERE t.finished_at IS NOT NULL AND r.kind = 'ingest' ORDER BY t.stream, t.finished_at DESC
"""


async def states(database: Database, checkpoints: CheckpointLog) -> list[SourceState]:
    """Raises what the database raises when it is away; budgets are those that Kafka told last."""
    latest = [dict(row) for row in await database.rows(_LATEST)]
    return [_state(str(source), [row for row in latest if row["source"] == source], checkpoints) for source in Source]


def _state(name: str, latest: list[dict[str, Any]], checkpoints: CheckpointLog) -> SourceState:
    failed = sorted((row for row in latest if row["status"] == "failed"), key=lambda row: row["finished_at"], reverse=True)
    found = checkpoints.get(f"{name}/{BUDGET}")
    return SourceState(
        name=name,
        streams=len(latest),
        last_success_at=max((row["finished_at"] for row in latest if row["status"] == "finished"), default=None),
        failing_streams=len(failed),
        failing=[_failing(row, checkpoints) for row in failed[:MAX_FAILING]],
        budget=Budget(**plain(found.cursor)) if found else None,
    )


def _failing(row: dict[str, Any], checkpoints: CheckpointLog) -> Failing:
    error = json.loads(row["error"] or "null") or {}
    stands = checkpoints.get(row["stream"])
    cursor = plain(stands.cursor) if stands else None
    return Failing(
        stream=row["stream"],
        failed_at=row["finished_at"],
        code=error.get("code", "unknown"),
        message=error.get("message", ""),
        run_id=row["run_id"],
        not_before=cursor.get("not_before") if isinstance(cursor, dict) else None,
    )
