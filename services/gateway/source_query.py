"""How the sources do: the newest ended task of each stream, and the call budgets."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from services.gateway.database import Database
from shared.checkpoint_log import BUDGET, CheckpointLog
from shared.events import Source
from shared.serialization import plain

MAX_FAILING = 100
_LATEST = """
SELECT DISTINCT ON (t.stream) t.stream, t.source, t.status, t.error::text AS error, t.finished_at, t.run_id::text AS run_id
FROM run_tasks AS t JOIN runs AS r USING (run_id)
WHERE t.finished_at IS NOT NULL AND r.kind = 'ingest' ORDER BY t.stream, t.finished_at DESC
"""


class Failing(BaseModel):
    """A stream whose last task failed."""

    stream: str
    failed_at: datetime
    code: str
    message: str
    run_id: str
    not_before: str | None = Field(description="Not asked again before this time")


class Budget(BaseModel):
    """Calls of a month (UTC), counted across restarts. `per_month` null: not limited."""

    month: str
    used: int
    per_month: int | None
    per_second: float


class SourceState(BaseModel):
    """A source by the last task of each of its streams."""

    name: str
    streams: int = Field(description="That were ever read")
    last_success_at: datetime | None
    failing_streams: int
    failing: list[Failing] = Field(description=f"The newest {MAX_FAILING}")
    budget: Budget | None


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
