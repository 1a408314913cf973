"""The extractor's one use of PostgreSQL, read-only: raw pages that the topic no longer holds, and which of them a replay has applied."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec

from shared.errors import TransientError
from shared.messages.commands import Selection
from shared.messages.headers import Place
from shared.messages.pages import RawPage, Rejection
from shared.messages.serialization import encode

PAGES_AT_A_TIME = 8
_COLUMNS = """page_id::text, run_id::text, task_id::text, source, dataset, stream, page_no, payload::text AS records, record_count,
       context::text AS context, origin::text AS origin, fetched_at, cursor_before::text AS cursor_before, cursor_after::text AS cursor_after,
       rejections::text AS rejections, "offset", broker_time"""
_IS_PAGE = "jsonb_typeof(payload) = 'array'"  # a page that PostgreSQL could not hold is kept as a text
_PAGE = f"SELECT {_COLUMNS} FROM raw_data WHERE page_id = $1::uuid AND {_IS_PAGE}"
_APPLIED = "SELECT page_id::text FROM replay_receipts WHERE run_id = $1::uuid AND task_id = $2::uuid"
_PRUNED = "SELECT before FROM pruned WHERE what = 'raw_data'"
_JSON = ("records", "context", "origin", "cursor_before", "cursor_after")


@dataclass(frozen=True)
class Kept:
    """A raw page as its message's bytes, and where it first lay in its partition."""

    value: bytes
    place: Place


class Archive:
    """`raw_data`, through the role that may only read. A connection for each question: they are rare."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def page(self, page_id: str) -> RawPage | None:
        """The page as it was published, or None when it is not there. Raises TransientError while PostgreSQL is away."""
        async with self._connection() as connection:
            row = await connection.fetchrow(_PAGE, page_id)
        return None if row is None else as_published(row)

    async def applied(self, run_id: str, task_id: str) -> set[str]:
        """The pages that a replay task has applied already. Raises TransientError."""
        async with self._connection() as connection:
            return {row["page_id"] for row in await connection.fetch(_APPLIED, run_id, task_id)}

    async def pruned_before(self) -> datetime | None:
        """Raw pages older than this were removed (RAW_RETENTION). Raises TransientError."""
        async with self._connection() as connection:
            found: datetime | None = await connection.fetchval(_PRUNED)
            return found

    async def pages(self, partition: int, selection: Selection, *, before: Place | None) -> AsyncIterator[Kept]:
        """The selected pages of a partition in the order of their first publishing, up to before a place. Raises TransientError."""
        conditions, arguments = _conditions(partition, selection, before)
        last: tuple[Any, ...] | None = None
        async with self._connection() as connection:
            while True:
                more = (
                    []
                    if last is None
                    else [f'(broker_time, "offset", page_id) > (${len(arguments) + 1}, ${len(arguments) + 2}, ${len(arguments) + 3}::uuid)']
                )
                query = (
                    f"SELECT {_COLUMNS} FROM raw_data WHERE {' AND '.join([*conditions, *more])} "
                    f'ORDER BY broker_time, "offset", page_id LIMIT {PAGES_AT_A_TIME}'
                )
                rows = await connection.fetch(query, *arguments, *(last or ()))
                for row in rows:
                    yield Kept(encode(as_published(row)), Place(row["offset"], round(row["broker_time"].timestamp() * 1000)))
                if len(rows) < PAGES_AT_A_TIME:
                    return
                last = (rows[-1]["broker_time"], rows[-1]["offset"], rows[-1]["page_id"])

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            connection = await asyncpg.connect(self._dsn, timeout=5, command_timeout=60)
            try:
                yield connection
            finally:
                await connection.close(timeout=5)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise TransientError(f"PostgreSQL cannot be read: {error!r}") from error


def as_published(row: Any) -> RawPage:
    """A row of `raw_data` as the page that it was."""
    fields = {**row, **{name: msgspec.Raw((row[name] or "null").encode()) for name in _JSON}}
    rejections = msgspec.convert(json.loads(row["rejections"] or "[]"), list[Rejection])
    known = {name: fields[name] for name in RawPage.__struct_fields__ if name in fields}
    return RawPage(**{**known, "fetched_at": row["fetched_at"].astimezone(UTC).isoformat(), "rejections": rejections})


def _conditions(partition: int, selection: Selection, before: Place | None) -> tuple[list[str], list[Any]]:
    arguments: list[Any] = [partition]
    conditions = ['"partition" = $1', _IS_PAGE]

    def add(condition: str, *values: Any) -> None:
        numbers = [f"${len(arguments) + number}" for number in range(1, len(values) + 1)]
        arguments.extend(values)
        conditions.append(condition.format(*numbers))

    if before is not None:
        add('(broker_time, "offset") < ({}, {})', datetime.fromtimestamp(before.time_ms / 1000, UTC), before.offset)
    for column, value in (("run_id", selection.run_id), ("source", selection.source), ("stream", selection.stream)):
        if value is not None:
            add(f"{column} = {{}}{'::uuid' if column == 'run_id' else ''}", value)
    if selection.start is not None:
        add("broker_time >= {}", datetime.fromisoformat(selection.start))
    if selection.end is not None:
        add("broker_time < {}", datetime.fromisoformat(selection.end))
    if selection.offsets is not None:
        spans = [each for each in selection.offsets if each.partition == partition]
        add(
            'EXISTS (SELECT FROM unnest({}::bigint[], {}::bigint[]) AS span (first, last) WHERE "offset" >= first AND "offset" < last)',
            [span.start for span in spans],
            [2**62 if span.end is None else span.end for span in spans],
        )
    return conditions, arguments
