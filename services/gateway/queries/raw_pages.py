"""Raw pages as they are kept, and what retention has removed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.gateway.database import Database, Where, window_of
from services.gateway.problems import ProblemError
from services.gateway.requests.pagination import PageToken
from services.gateway.requests.times import to_seconds
from shared.csvfile.meaning.infer import infer_schema
from shared.errors import BadValueError, UnmappableError
from shared.messages.base import Source
from shared.messages.serialization import exact_decoder

_HEAD = """
    page_id::text, topic, "partition", "offset", broker_time, source, dataset, stream, page_no,
    record_count, fetched_at, origin::text AS origin, run_id::text AS run_id,
    task_id::text AS task_id
"""
_FULL = f"""{_HEAD},
    context::text AS context, payload::text AS payload, rejections::text AS rejections,
    cursor_before::text AS cursor_before, cursor_after::text AS cursor_after
"""
_SELECT_ONE = f"SELECT {_FULL} FROM raw_data WHERE page_id = $1::uuid"
_SELECT_HEADS = (
    f"SELECT {_HEAD} FROM raw_data WHERE page_id = ANY($1::uuid[])"
)
_SELECT_RECORDS = """
SELECT w.page_id::text, w.n, (r.payload->w.n)::text AS record
FROM unnest($1::uuid[], $2::int[]) AS w (page_id, n) JOIN raw_data AS r USING (page_id)
WHERE jsonb_typeof(r.payload) = 'array'
"""
_AS_OF_ADVICE = "(REVISIONS_RETENTION): `as_of` can be that or later"
_SELECT_PRUNED = "SELECT before FROM pruned WHERE what = $1"
_JSON = frozenset(
    {
        "origin",
        "context",
        "payload",
        "rejections",
        "cursor_before",
        "cursor_after",
        "request",
    }
)
Json = dict[str, Any]
RecordPlace = tuple[str, int]  # page id, the record's index in the page


@dataclass(frozen=True)
class Wanted:
    """Which raw pages. Times are the broker's."""

    source: str | None
    stream: str | None
    run_id: str | None
    start: datetime | None
    end: datetime | None
    after: PageToken | None
    limit: int


async def one(database: Database, page_id: str) -> Json | None:
    """A page as it is kept, with its records."""
    row = await database.row(_SELECT_ONE, page_id)
    return None if row is None else decoded(row)


def read_as(page: Json) -> Json | None:
    """What the columns of a CSV page are taken for, by the mapping of now; None where refused."""
    if page["source"] != Source.CSV or page["context"] is None:
        return None
    try:
        return infer_schema(page["context"]).described(set())
    except (BadValueError, UnmappableError):
        return None


async def many(database: Database, wanted: Wanted) -> list[Json]:
    """Pages without their records, newest first."""
    where = Where()
    where.add("source =", wanted.source)
    where.add("stream =", wanted.stream)
    where.add("run_id =", wanted.run_id)
    where.add("broker_time >=", wanted.start)
    where.add("broker_time <", wanted.end)
    after = wanted.after
    where.add_behind(
        "broker_time, page_id",
        (after.timestamp, after.id) if after else None,
    )
    order = "ORDER BY broker_time DESC, page_id DESC"
    window = window_of(wanted.limit)
    rows = await database.rows(
        f"SELECT {_HEAD} FROM raw_data {where} {order} {window}",
        *where.arguments,
    )
    return [decoded(row) for row in rows]


async def heads(
    database: Database, page_ids: list[str]
) -> dict[str, Json]:
    """Pages without their records, by id."""
    rows = await database.rows(_SELECT_HEADS, page_ids)
    return {row["page_id"]: decoded(row) for row in rows}


async def records(
    database: Database, places: list[RecordPlace]
) -> dict[RecordPlace, Any]:
    """Single records of pages that are kept."""
    pages = [page for page, _ in places]
    indexes = [index for _, index in places]
    rows = await database.rows(_SELECT_RECORDS, pages, indexes)
    return {
        (row["page_id"], row["n"]): exact_decoder.decode(
            row["record"] or "null"
        )
        for row in rows
    }


async def pruned_before(database: Database, what: str) -> datetime | None:
    """Since when a table is complete; None when nothing of it was ever pruned."""
    row = await database.row(_SELECT_PRUNED, what)
    return None if row is None else row["before"].astimezone(UTC)


def decoded(row: Any) -> Json:
    """A row with its JSON columns decoded."""
    found = dict(row)
    for name in _JSON & found.keys():
        found[name] = exact_decoder.decode(found[name] or "null")
    return found


async def check_is_kept(database: Database, as_of: datetime) -> None:
    """Raises ProblemError 410 where values of that time were pruned."""
    before = await pruned_before(database, "unified_revisions")
    if before is not None and as_of < before:
        pruned = f"revisions before {to_seconds(before)} were pruned"
        raise ProblemError(410, f"{pruned} {_AS_OF_ADVICE}")
