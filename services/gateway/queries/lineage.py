"""Where a data point comes from: every version of it, with the raw record, the page, the fetch and the run behind it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.gateway.database import Database
from services.gateway.queries.diff import VALUES
from shared.messages.pages import place
from shared.messages.serialization import exact_decoder

MAX_VERSIONS = 100
_VERSIONS = """
SELECT * FROM (
    SELECT u.revision, u.page_id, u.run_id, NULL::timestamptz AS replaced_at, NULL::uuid AS replaced_by, to_jsonb(u)::text AS data
    FROM unified_data AS u WHERE u.id = $1::uuid
    UNION ALL
    SELECT r.revision, (r.data->>'page_id')::uuid, (r.data->>'run_id')::uuid, r.replaced_at, r.replaced_by, r.data::text
    FROM unified_revisions AS r WHERE r.id = $1::uuid
) AS versions ORDER BY revision DESC LIMIT $2
"""
_HEAD = """page_id::text, topic, "partition", "offset", broker_time, source, dataset, stream, page_no, record_count, fetched_at, origin::text AS origin,
           run_id::text AS run_id, task_id::text AS task_id"""
_FULL = f"""{_HEAD}, context::text AS context, payload::text AS payload, rejections::text AS rejections, cursor_before::text AS cursor_before,
           cursor_after::text AS cursor_after"""
_PAGES = f"SELECT {_HEAD} FROM raw_data WHERE page_id = ANY($1::uuid[])"
# The record that each version was made of: (page, index) pairs.
_RECORDS = """
SELECT w.page_id::text, w.n, (r.payload->w.n)::text AS record
FROM unnest($1::uuid[], $2::int[]) AS w (page_id, n) JOIN raw_data AS r USING (page_id) WHERE jsonb_typeof(r.payload) = 'array'
"""
_RUNS = "SELECT run_id::text, kind, status, requested_at, request::text AS request FROM runs WHERE run_id = ANY($1::uuid[])"
_PRUNED = "SELECT before FROM pruned WHERE what = $1"
_JSON = ("origin", "context", "payload", "rejections", "cursor_before", "cursor_after", "request")


async def lineage(database: Database, data_id: str) -> dict[str, Any] | None:
    """All of it as plain data, newest version first; None when there never was such a data point."""
    rows = await database.rows(_VERSIONS, data_id, MAX_VERSIONS)
    if not rows:
        return None
    values = [exact_decoder.decode(row["data"]) for row in rows]
    of = [(str(row["page_id"]), int(data["record_index"])) for row, data in zip(rows, values, strict=True)]
    pages = {row["page_id"]: _plain(row) for row in await database.rows(_PAGES, [page for page, _ in of])}
    found = await database.rows(_RECORDS, [page for page, _ in of], [index for _, index in of])
    records = {(row["page_id"], row["n"]): exact_decoder.decode(row["record"] or "null") for row in found}
    wanted = [str(row["run_id"]) for row in rows] + [page["run_id"] for page in pages.values()]
    runs = {row["run_id"]: _plain(row) for row in await database.rows(_RUNS, wanted)}
    versions = [
        _version(row, data, page=pages.get(at[0]), record=records.get(at), runs=runs)
        for row, data, at in zip(rows, values, of, strict=True)
    ]
    current = values[0] if rows[0]["replaced_at"] is None else None
    return {
        "id": data_id,
        "source": values[0]["source"],
        "dataset": values[0]["dataset"],
        "stream": values[0]["stream"],
        "retired_at": None if current is None else current.get("retired_at"),
        "versions": versions,
        "notes": await _notes(database, versions),
    }


def _version(
    row: Any, data: dict[str, Any], *, page: dict[str, Any] | None, record: Any, runs: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    origin, index = (page["origin"] or {}) if page else {}, int(data["record_index"])
    at, fetch = place(origin, index), {name: value for name, value in origin.items() if name not in ("lines", "rows")}
    return {
        "revision": row["revision"],
        "since": datetime.fromisoformat(data["updated_at"]),
        "until": row["replaced_at"],
        "replaced_by": str(row["replaced_by"]) if row["replaced_by"] else None,
        "values": {name: data.get(name) for name in VALUES},
        "sentiment": (data.get("attributes") or {}).get("sentiment"),
        "normalizer_version": data["normalizer_version"],
        "run": runs.get(str(row["run_id"]), {"run_id": str(row["run_id"])}),
        "record": {"index": index, "line": at.get("line"), "row": at.get("row"), "raw": record},
        "page": None if page is None else {**page, "origin": fetch, "run": runs.get(page["run_id"], {"run_id": page["run_id"]})},
        "page_id": str(row["page_id"]),
    }


async def _notes(database: Database, versions: list[dict[str, Any]]) -> list[str]:
    notes = []
    if any(each["page"] is None for each in versions):
        before = await pruned_before(database, "raw_data")
        why = f"raw pages before {before:%Y-%m-%dT%H:%M:%SZ} were pruned (RAW_RETENTION)" if before else "it is not in raw_data"
        notes.append(f"a raw page is not kept any more: {why}")
    if versions[-1]["revision"] > 1:
        before = await pruned_before(database, "unified_revisions")
        why = (
            f"revisions replaced before {before:%Y-%m-%dT%H:%M:%SZ} were pruned (REVISIONS_RETENTION)"
            if before
            else f"the newest {MAX_VERSIONS} are listed"
        )
        notes.append(f"revisions below {versions[-1]['revision']} are not shown: {why}")
    return notes


async def pruned_before(database: Database, what: str) -> datetime | None:
    """Since when a table is complete; None when nothing of it was ever pruned."""
    row = await database.row(_PRUNED, what)
    return None if row is None else row["before"].astimezone(UTC)


# -- raw pages ---------------------------------------------------------------------------------------------------------


async def raw_page(database: Database, page_id: str) -> dict[str, Any] | None:
    """A page as it is kept, with its records."""
    row = await database.row(f"SELECT {_FULL} FROM raw_data WHERE page_id = $1::uuid", page_id)
    return None if row is None else _plain(row)


async def raw_pages(
    database: Database, *, source: str | None, stream: str | None, run_id: str | None, start: datetime | None, end: datetime | None,
    after: tuple[datetime, str] | None, limit: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Pages without their records, newest first."""
    arguments: list[Any] = []
    conditions = ["true"]
    for condition, value in (
        ("source = {}", source), ("stream = {}", stream), ("run_id = {}::uuid", run_id), ("broker_time >= {}", start), ("broker_time < {}", end),
    ):  # fmt: skip
        if value is not None:
            arguments.append(value)
            conditions.append(condition.format(f"${len(arguments)}"))
    if after is not None:
        arguments.extend(after)
        conditions.append(f"(broker_time, page_id) < (${len(arguments) - 1}, ${len(arguments)}::uuid)")
    arguments.append(limit)
    rows = await database.rows(
        f"SELECT {_HEAD} FROM raw_data WHERE {' AND '.join(conditions)} ORDER BY broker_time DESC, page_id DESC LIMIT ${len(arguments)}",
        *arguments,
    )
    return [_plain(row) for row in rows]


def _plain(row: Any) -> dict[str, Any]:
    return {name: exact_decoder.decode(value or "null") if name in _JSON else value for name, value in row.items()}
