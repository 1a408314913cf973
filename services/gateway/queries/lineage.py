"""Where a data point comes from.

Every version of it, with the raw record, the page, the fetch and the run behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.gateway.database import Database
from services.gateway.queries import raw_pages
from services.gateway.queries.diff import VALUES, with_z
from services.gateway.queries.raw_pages import (
    Json,
    RecordPlace,
    decoded,
    pruned_before,
)
from services.gateway.requests.times import to_seconds
from shared.messages.pages import record_location
from shared.messages.serialization import exact_decoder
from shared.versions import OF_LATER_READING

MAX_VERSIONS = 100
_BY_RAW_RETENTION = "were pruned (RAW_RETENTION)"
_BY_RETENTION = "were pruned (REVISIONS_RETENTION)"
_SELECT_VERSIONS = """
SELECT * FROM (
    SELECT u.revision, u.page_id::text, u.run_id::text, NULL::timestamptz AS replaced_at,
           NULL AS replaced_by, to_jsonb(u)::text AS data
    FROM unified_data AS u WHERE u.id = $1::uuid
    UNION ALL
    SELECT r.revision, r.data->>'page_id', r.data->>'run_id', r.replaced_at, r.replaced_by::text,
           r.data::text
    FROM unified_revisions AS r WHERE r.id = $1::uuid
) AS versions ORDER BY revision DESC LIMIT $2
"""
_SELECT_RUNS = """
SELECT run_id::text, kind, status, requested_at, request::text AS request
FROM runs WHERE run_id = ANY($1::uuid[])
"""
_OF_RECORDS = frozenset(
    {"lines", "rows"}
)  # of an origin: one entry for each record of the page


@dataclass(frozen=True)
class _Sources:
    """What versions of a data point were made of, as far as it is kept."""

    pages: dict[str, Json]
    records: dict[RecordPlace, Any]
    runs: dict[str, Json]

    def run(self, run_id: str) -> Json:
        return self.runs.get(run_id, {"run_id": run_id})


async def lineage(database: Database, data_id: str) -> Json | None:
    """All of it as plain data, newest version first; None when there never was such a point."""
    rows = await database.rows(_SELECT_VERSIONS, data_id, MAX_VERSIONS)
    if not rows:
        return None
    values = [exact_decoder.decode(row["data"]) for row in rows]
    places = _places(rows, values)
    sources = await _sources(database, rows, places)
    versions = [
        _version(row, data, place, sources)
        for row, data, place in zip(rows, values, places, strict=True)
    ]
    newest = values[0]
    is_current = rows[0]["replaced_at"] is None
    return {
        "id": data_id,
        "source": newest["source"],
        "dataset": newest["dataset"],
        "stream": newest["stream"],
        "retired_at": newest.get("retired_at") if is_current else None,
        "versions": versions,
        "notes": await _notes(database, versions),
    }


async def _sources(
    database: Database, rows: list[Any], places: list[RecordPlace]
) -> _Sources:
    pages = await raw_pages.heads(database, [page for page, _ in places])
    known = [place for place in places if place[1] != OF_LATER_READING]
    records = await raw_pages.records(database, known)
    wanted = [row["run_id"] for row in rows] + [
        page["run_id"] for page in pages.values()
    ]
    runs = {
        row["run_id"]: decoded(row)
        for row in await database.rows(_SELECT_RUNS, wanted)
    }
    return _Sources(pages, records, runs)


def _places(rows: list[Any], values: list[Json]) -> list[RecordPlace]:
    """Where each version's record is. A retired one is of the record of the version before it."""
    found: list[RecordPlace] = []
    for row, data in zip(reversed(rows), reversed(values), strict=True):
        page_id, index = row["page_id"], int(data["record_index"])
        if (
            index == OF_LATER_READING
            and found
            and found[-1][0] == page_id
        ):
            index = found[-1][1]
        found.append((page_id, index))
    return found[::-1]


def _version(
    row: Any, data: Json, place: RecordPlace, sources: _Sources
) -> Json:
    page_id, index = place
    page = sources.pages.get(page_id)
    origin = (page["origin"] or {}) if page else {}
    attributes = data.get("attributes") or {}
    return {
        "revision": row["revision"],
        "since": datetime.fromisoformat(data["updated_at"]),
        "until": row["replaced_at"],
        "replaced_by": row["replaced_by"],
        "values": {
            **{name: data.get(name) for name in VALUES},
            "timestamp": with_z(data["timestamp"]),
        },
        "sentiment": attributes.get("sentiment"),
        "normalizer_version": data["normalizer_version"],
        "run": sources.run(row["run_id"]),
        "record": _record(origin, (page_id, index), sources),
        "page": _page(page, origin, sources),
        "page_id": page_id,
    }


def _record(origin: Json, place: RecordPlace, sources: _Sources) -> Json:
    if place[1] == OF_LATER_READING:
        return {"index": None, "line": None, "row": None, "raw": None}
    location = record_location(origin, place[1])
    return {
        "index": place[1],
        "line": location.get("line"),
        "row": location.get("row"),
        "raw": sources.records.get(place),
    }


def _page(
    page: Json | None, origin: Json, sources: _Sources
) -> Json | None:
    """A page with the run that fetched it, and what its records have in common of its origin."""
    if page is None:
        return None
    fetch = {
        name: value
        for name, value in origin.items()
        if name not in _OF_RECORDS
    }
    return {**page, "origin": fetch, "run": sources.run(page["run_id"])}


async def _notes(database: Database, versions: list[Json]) -> list[str]:
    """What is missing, and why."""
    notes = []
    if any(version["page"] is None for version in versions):
        notes.append(await _note_on_pages(database))
    oldest = versions[-1]["revision"]
    if oldest > 1:
        notes.append(await _note_on_revisions(database, oldest))
    return notes


async def _note_on_pages(database: Database) -> str:
    before = await pruned_before(database, "raw_data")
    why = "it is not in raw_data"
    if before is not None:
        why = f"raw pages before {to_seconds(before)} {_BY_RAW_RETENTION}"
    return f"a raw page is no longer kept: {why}"


async def _note_on_revisions(database: Database, oldest: int) -> str:
    before = await pruned_before(database, "unified_revisions")
    why = f"the newest {MAX_VERSIONS} are listed"
    if before is not None:
        why = (
            f"those replaced before {to_seconds(before)} {_BY_RETENTION}"
        )
    return f"revisions below {oldest} are not shown: {why}"
