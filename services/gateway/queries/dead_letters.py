"""Dead letters as users see them."""

from __future__ import annotations

import json
from typing import Any

from services.gateway.database import Database, Where, window_of
from services.gateway.requests.pagination import PageToken
from services.gateway.schemas.dead_letters import LetterQuery

_HEAD = """
    id::text, page_id::text, run_id::text, source, stream, stage, reason, message, field,
    record_index, origin::text AS origin, count, status, topic, "partition", "offset", created_at,
    note, requeued_run_id::text, closed_at, payload_sha256, first_run_id::text, last_seen_at,
    event_time
"""
# How often a run met each.
_IN_RUN = """
    (SELECT s.count FROM dead_letter_runs AS s WHERE s.letter_id = id AND s.run_id = {run}::uuid)
    AS count_in_run
"""
_MET_IN_RUN = "id IN (SELECT letter_id FROM dead_letter_runs WHERE run_id = {run}::uuid)"
_SELECT_ONE = f"""
SELECT {_HEAD}, NULL::int AS count_in_run, payload FROM dead_letters WHERE id = $1::uuid
"""
_FILTERS = ("status", "source", "stream", "stage", "reason")


def build(asked: LetterQuery) -> tuple[str, list[Any]]:
    """The query and its arguments."""
    wanted = Where()
    for name in _FILTERS:
        value = getattr(asked, name)
        wanted.add(f"{name} =", value and str(value))
    head = f"{_HEAD}, NULL::int AS count_in_run"
    if asked.run_id is not None:
        run = wanted.bind(str(asked.run_id))
        wanted.conditions.append(_MET_IN_RUN.format(run=run))
        head = f"{_HEAD}, {_IN_RUN.format(run=run)}"
    if asked.cursor is not None:
        position = PageToken.decode(asked.cursor)
        wanted.add_behind(
            "created_at, id", (position.timestamp, position.id)
        )
    order = "ORDER BY created_at DESC, id DESC"
    window = window_of(asked.limit)
    query = f"SELECT {head} FROM dead_letters {wanted} {order} {window}"
    return query, wanted.arguments


async def many(
    database: Database, asked: LetterQuery
) -> list[dict[str, Any]]:
    """Newest first, without payloads."""
    query, arguments = build(asked)
    return [_view(row) for row in await database.rows(query, *arguments)]


async def one(
    database: Database, dead_letter_id: str
) -> dict[str, Any] | None:
    """A dead letter with its payload."""
    row = await database.row(_SELECT_ONE, dead_letter_id)
    return {**_view(row), "payload": row["payload"]} if row else None


def _view(row: Any) -> dict[str, Any]:
    return {**dict(row), "origin": json.loads(row["origin"] or "null")}
