"""Checkpoints as users see them: what was published, from Kafka, and what was loaded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from services.gateway.database import Database
from shared.kafka.checkpoint_log import CheckpointLog
from shared.messages.checkpoints import Checkpoint
from shared.messages.serialization import to_python

MAX_LISTED_CURSOR = 10_000  # bytes
_SELECT_LOADED = """
SELECT stream, raw_partition AS "partition", raw_offset AS "offset", loaded_at
FROM stream_state WHERE stream = ANY($1::text[])
"""


async def states(
    database: Database,
    checkpoints: CheckpointLog,
    found: list[Checkpoint],
) -> list[dict[str, Any]]:
    """Where these streams stand."""
    streams = [checkpoint.stream for checkpoint in found]
    loaded = {
        row["stream"]: row
        for row in await database.rows(_SELECT_LOADED, streams)
    }
    now = datetime.now(UTC)
    return [
        _state(
            each,
            loaded.get(each.stream),
            checkpoints.moved_at(each.stream),
            now,
            is_alone=len(found) == 1,
        )
        for each in found
    ]


def _state(
    checkpoint: Checkpoint,
    loaded: Any,
    moved_at: datetime | None,
    now: datetime,
    *,
    is_alone: bool,
) -> dict[str, Any]:
    state: dict[str, Any] = {
        "stream": checkpoint.stream,
        "source": checkpoint.stream.partition("/")[0],
        "cursor": _shown(checkpoint.cursor, is_alone=is_alone),
        "published": _place(
            checkpoint.raw_partition, checkpoint.raw_offset
        ),
        "loaded": None,
        "loaded_at": None,
        "moved_at": moved_at,
        "age_seconds": None,
        "run_id": None,
    }
    if loaded is not None:
        state["loaded"] = _place(loaded["partition"], loaded["offset"])
        state["loaded_at"] = loaded["loaded_at"]
    if moved_at is not None:
        state["age_seconds"] = round((now - moved_at).total_seconds(), 1)
    if checkpoint.current is not None:
        state["run_id"] = checkpoint.current.run_id
    return state


def _shown(cursor: msgspec.Raw, *, is_alone: bool) -> Any:
    """A long one only where its stream alone is asked for."""
    size = len(bytes(cursor))
    if is_alone or size <= MAX_LISTED_CURSOR:
        return to_python(cursor)
    return {"left_out": f"{size} bytes: ask for this stream alone"}


def _place(partition: int, offset: int) -> dict[str, int]:
    return {"partition": partition, "offset": offset}
