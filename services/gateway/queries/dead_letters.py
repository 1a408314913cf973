"""Dead letters as users see them."""

from __future__ import annotations

import json
import uuid
from typing import Any

from services.gateway.database import Database
from services.gateway.pagination import Position
from services.gateway.schemas.dead_letters import LetterQuery

_HEAD = (
    'id::text, page_id::text, run_id::text, source, stream, stage, reason, message, field, record_index, origin::text AS origin, count, status, topic, "partition", '
    '"offset", created_at, note, requeued_run_id::text, closed_at, payload_sha256'
)
_FILTERS = {"status": "status", "source": "source", "stream": "stream", "stage": "stage", "reason": "reason", "run_id": "run_id"}


def build(asked: LetterQuery) -> tuple[str, list[Any]]:
    """The query and its arguments."""
    given = {column: getattr(asked, name) for name, column in _FILTERS.items() if getattr(asked, name) is not None}
    arguments: list[Any] = [value if isinstance(value, uuid.UUID) else str(value) for value in given.values()]
    where = [f"{column} = ${number}" for number, column in enumerate(given, 1)]
    if asked.cursor is not None:
        position = Position.decode(asked.cursor)
        arguments += [position.timestamp, position.id]
        where.append(f"(created_at, id) < (${len(arguments) - 1}, ${len(arguments)})")
    arguments.append(asked.limit)
    condition = f"WHERE {' AND '.join(where)}" if where else ""
    return f"SELECT {_HEAD} FROM dead_letters {condition} ORDER BY created_at DESC, id DESC LIMIT ${len(arguments)}", arguments


async def many(database: Database, asked: LetterQuery) -> list[dict[str, Any]]:
    """Newest first, without payloads."""
    query, arguments = build(asked)
    return [_view(row) for row in await database.rows(query, *arguments)]


async def one(database: Database, letter_id: str) -> dict[str, Any] | None:
    row = await database.row(f"SELECT {_HEAD}, payload FROM dead_letters WHERE id = $1::uuid", letter_id)
    return {**_view(row), "payload": row["payload"]} if row else None


def _view(row: Any) -> dict[str, Any]:
    return {**dict(row), "origin": json.loads(row["origin"]) if row["origin"] else None}
