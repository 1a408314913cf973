"""The extractor's one use of PostgreSQL, read-only: what the topics do not hold.

Raw pages of long ago, and which runs have not ended.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec

from shared.errors import TaskError, TransientError
from shared.messages.commands import Selection
from shared.messages.headers import BrokerPosition
from shared.messages.pages import RawPage, Rejection
from shared.messages.serialization import encode
from shared.messages.topics import layout
from shared.values.times import from_ms

PAGES_AT_A_TIME = 8
_JSON = ("records", "context", "origin", "cursor_before", "cursor_after")
_COLUMNS = """
    page_id::text, run_id::text, task_id::text, source, dataset, stream, page_no,
    payload::text AS records, record_count, context::text AS context, origin::text AS origin,
    fetched_at, cursor_before::text AS cursor_before, cursor_after::text AS cursor_after,
    rejections::text AS rejections, "offset", broker_time
"""
# A page that PostgreSQL could not hold as JSON is kept as a text.
_IS_PAGE = "jsonb_typeof(payload) = 'array'"
_PAGE = f"SELECT {_COLUMNS} FROM raw_data WHERE page_id = $1::uuid AND {_IS_PAGE}"
_APPLIED = """
SELECT page_id::text FROM replay_receipts WHERE run_id = $1::uuid AND task_id = $2::uuid
"""
_SELECT_OPEN_RUNS = """
SELECT run_id::text FROM runs
WHERE run_id = ANY($1::uuid[]) AND finished_at IS NULL AND status <> 'incomplete' LIMIT 1
"""
_IS_FINISHED = """
SELECT finished_at IS NOT NULL FROM run_tasks WHERE task_id = $1::uuid
"""
_IS_KNOWN = "SELECT EXISTS (SELECT FROM runs WHERE run_id = $1::uuid)"
_COUNTS = "SELECT count FROM partition_counts"
_PRUNED = "SELECT before FROM pruned WHERE what = 'raw_data'"
_IN_SPANS = """
EXISTS (SELECT FROM unnest({}::bigint[], {}::bigint[]) AS span (first, last)
        WHERE "offset" >= first AND "offset" < last)
"""
_AFTER = '(broker_time, "offset", page_id) > ({}, {}, {}::uuid)'
_END_OF_TIME = 2**62
UNAVAILABLE = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)


@dataclass(frozen=True)
class ArchivedPage:
    """A raw page as its message's bytes, and where it first lay in its partition.

    `is_archived`: read from the table, which has each page once.
    """

    value: bytes
    position: BrokerPosition
    is_archived: bool = False


class Archive:
    """The tables, through the role that may only read. A connection for each question: rare."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def page(self, page_id: str) -> RawPage | None:
        """The page as it was published, or None when it is not there. Raises TransientError."""
        async with self._connection() as connection:
            row = await connection.fetchrow(_PAGE, page_id)
        return None if row is None else as_published(row)

    async def open_run(
        self, run_ids: list[str], asked_id: str | None
    ) -> str | None:
        """One of these runs that has not ended. Raises TransientError.

        `asked_id`: a run that was asked for; while the tables do not know it, it has not begun.
        """
        async with self._connection() as connection:
            found = await connection.fetchval(_SELECT_OPEN_RUNS, run_ids)
            if found is not None or asked_id is None:
                return None if found is None else str(found)
            is_known = await connection.fetchval(_IS_KNOWN, asked_id)
        return None if is_known else asked_id

    async def is_known(self, run_id: str) -> bool:
        """Whether the tables know a run. Raises TransientError."""
        async with self._connection() as connection:
            return bool(await connection.fetchval(_IS_KNOWN, run_id))

    async def is_finished(self, task_id: str) -> bool:
        """Whether a task has ended, as the tables know it. Raises TransientError."""
        async with self._connection() as connection:
            return bool(await connection.fetchval(_IS_FINISHED, task_id))

    async def applied(self, run_id: str, task_id: str) -> set[str]:
        """The pages that a replay task has applied already. Raises TransientError."""
        async with self._connection() as connection:
            rows = await connection.fetch(_APPLIED, run_id, task_id)
        return {row["page_id"] for row in rows}

    async def partition_counts(self) -> set[int]:
        """How many partitions the topics have had. Raises TransientError."""
        async with self._connection() as connection:
            rows = await connection.fetch(_COUNTS)
        return {row["count"] for row in rows} | {layout.partitions}

    async def pruned_before(self) -> datetime | None:
        """Raw pages older than this were removed (RAW_RETENTION). Raises TransientError."""
        async with self._connection() as connection:
            found: datetime | None = await connection.fetchval(_PRUNED)
        return found

    async def count(
        self,
        partition: int,
        selection: Selection,
        without: Collection[str],
    ) -> int:
        """The selected pages of a partition but for these. Raises TransientError."""
        conditions = _conditions(partition, selection, None, without)
        query, arguments = conditions.count()
        async with self._connection() as connection:
            return int(await connection.fetchval(query, *arguments))

    async def pages(
        self,
        partition: int,
        selection: Selection,
        *,
        before: BrokerPosition | None,
        without: Collection[str] = (),
    ) -> AsyncIterator[ArchivedPage]:
        """The selected pages of a partition, in the order of their first publishing.

        `before`: up to before this position. `without`: ids of pages that are left out. Raises
        TransientError.
        """
        conditions = _conditions(partition, selection, before, without)
        last: Any = None
        async with self._connection() as connection:
            while True:
                query, arguments = conditions.page_after(last)
                rows = await connection.fetch(query, *arguments)
                for row in rows:
                    yield _archived(row)
                if len(rows) < PAGES_AT_A_TIME:
                    return
                last = rows[-1]

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            connection = await asyncpg.connect(
                self._dsn, timeout=5, command_timeout=60
            )
            try:
                yield connection
            finally:
                await connection.close(timeout=5)
        except asyncpg.DataError as error:
            message = f"what is asked for cannot be looked up: {error}"
            raise TaskError("contract", message) from error
        except UNAVAILABLE as error:
            raise TransientError(
                f"PostgreSQL cannot be read: {error!r}"
            ) from error


def _archived(row: Any) -> ArchivedPage:
    time_ms = round(row["broker_time"].timestamp() * 1000)
    return ArchivedPage(
        encode(as_published(row)),
        BrokerPosition(row["offset"], time_ms),
        is_archived=True,
    )


def as_published(row: Any) -> RawPage:
    """A row of `raw_data` as the page that it was."""
    fields = {
        name: row[name]
        for name in RawPage.__struct_fields__
        if name in row
    }
    for name in _JSON:
        fields[name] = msgspec.Raw((row[name] or "null").encode())
    fields["fetched_at"] = row["fetched_at"].astimezone(UTC).isoformat()
    rejections = json.loads(row["rejections"] or "[]")
    fields["rejections"] = msgspec.convert(rejections, list[Rejection])
    return RawPage(**fields)


class _Conditions:
    """Conditions on rows of `raw_data`, with their arguments."""

    def __init__(self) -> None:
        self._conditions = [_IS_PAGE]
        self._arguments: list[Any] = []

    def add(self, condition: str, *values: Any) -> None:
        """`{}` in the condition stands for a value."""
        first = len(self._arguments) + 1
        numbers = [f"${first + index}" for index in range(len(values))]
        self._arguments.extend(values)
        self._conditions.append(condition.format(*numbers))

    def add_given(self, condition: str, value: Any) -> None:
        """Add a condition unless its value is None."""
        if value is not None:
            self.add(condition, value)

    def count(self) -> tuple[str, list[Any]]:
        """The query for the number of pages, and its arguments."""
        conditions = " AND ".join(self._conditions)
        query = f"SELECT count(*) FROM raw_data WHERE {conditions}"
        return query, self._arguments

    def page_after(self, last: Any) -> tuple[str, list[Any]]:
        """The query for the next pages, and its arguments. `last`: the row before them."""
        conditions = self._conditions
        arguments = self._arguments
        if last is not None:
            first = len(arguments) + 1
            numbers = [f"${first}", f"${first + 1}", f"${first + 2}"]
            conditions = [*conditions, _AFTER.format(*numbers)]
            arguments = [
                *arguments,
                last["broker_time"],
                last["offset"],
                last["page_id"],
            ]
        query = (
            f"SELECT {_COLUMNS} FROM raw_data WHERE {' AND '.join(conditions)} "
            f'ORDER BY broker_time, "offset", page_id LIMIT {PAGES_AT_A_TIME}'
        )
        return query, arguments


def _conditions(
    partition: int,
    selection: Selection,
    before: BrokerPosition | None,
    without: Collection[str],
) -> _Conditions:
    conditions = _Conditions()
    conditions.add('"partition" = {}', partition)
    if without:
        conditions.add("page_id <> ALL({}::uuid[])", list(without))
    if before is not None:
        moment = from_ms(before.time_ms)
        place = '(broker_time, "offset") < ({}, {})'
        conditions.add(place, moment, before.offset)
    conditions.add_given("run_id = {}::uuid", selection.run_id)
    conditions.add_given("source = {}", selection.source)
    conditions.add_given("stream = {}", selection.stream)
    conditions.add_given("broker_time >= {}", _moment(selection.start))
    conditions.add_given("broker_time < {}", _moment(selection.end))
    if selection.offsets is not None:
        _add_spans(conditions, partition, selection)
    return conditions


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _add_spans(
    conditions: _Conditions, partition: int, selection: Selection
) -> None:
    spans = selection.spans(partition)
    starts = [span.start for span in spans]
    ends = [
        _END_OF_TIME if span.end is None else span.end for span in spans
    ]
    conditions.add(_IN_SPANS, starts, ends)
