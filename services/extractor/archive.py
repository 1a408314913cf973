"""The extractor's one use of PostgreSQL, read-only: a raw page that the topic no longer holds."""

from __future__ import annotations

import json

import asyncpg
import msgspec

from shared.errors import TransientError
from shared.events import RawPage, Rejection

_PAGE = """
SELECT run_id::text, task_id::text, source, dataset, stream, page_no, payload::text AS records, record_count, context::text AS context,
       origin::text AS origin, fetched_at, cursor_before::text AS cursor_before, cursor_after::text AS cursor_after, rejections::text AS rejections
FROM raw_data WHERE page_id = $1::uuid AND jsonb_typeof(payload) = 'array'
"""
_JSON = ("records", "context", "origin", "cursor_before", "cursor_after")


class Archive:
    """`raw_data`, through the role that may only read. A connection for each question: they are rare."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def page(self, page_id: str) -> RawPage | None:
        """The page as it was published, or None when it is not there. Raises TransientError while PostgreSQL is away."""
        try:
            connection = await asyncpg.connect(self._dsn, timeout=5, command_timeout=30)
            try:
                row = await connection.fetchrow(_PAGE, page_id)
            finally:
                await connection.close()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise TransientError(f"raw_data cannot be read: {error!r}") from error
        if row is None:
            return None
        fields = {**row, **{name: msgspec.Raw((row[name] or "null").encode()) for name in _JSON}}
        rejections = msgspec.convert(json.loads(row["rejections"] or "[]"), list[Rejection])
        return RawPage(**{**fields, "page_id": page_id, "fetched_at": row["fetched_at"].isoformat(), "rejections": rejections})
