"""How two runs differ, data point by data point."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.gateway.database import Database
from services.gateway.schemas.diff import DiffKind
from shared.identity.point_ids import is_of_news, moment_of
from shared.messages.serialization import exact_decoder

VALUES = (
    "kind",
    "instrument",
    "symbol",
    "symbols",
    "interval",
    "timestamp",
    "currency",
    "price",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "market_cap",
    "base_volume",
    "quote_volume",
    "title",
    "url",
    "summary",
    "sentiment",
    "attributes",
)
# What a run yielded: of each data point the last that the run made of it.
_YIELDED = """
SELECT DISTINCT ON (id) id, hash, source, stream FROM (
    SELECT y.id, y.hash, p.source, p.stream, p.raw_time, p.raw_offset, y.n FROM page_receipts AS p
    CROSS JOIN LATERAL unnest(p.ids, p.value_hashes) WITH ORDINALITY AS y (id, hash, n)
    WHERE p.run_id = {run}::uuid
    UNION ALL
    SELECT y.id, y.hash, p.source, p.stream, p.raw_time, p.raw_offset, y.n FROM replay_receipts AS p
    CROSS JOIN LATERAL unnest(p.ids, p.value_hashes) WITH ORDINALITY AS y (id, hash, n)
    WHERE p.run_id = {run}::uuid
) AS yielded ORDER BY id, raw_time DESC, raw_offset DESC, n DESC
"""
_JOINED = f"""
WITH a AS ({_YIELDED.format(run="$1")}), b AS ({_YIELDED.format(run="$2")}), joined AS (
    SELECT coalesce(a.id, b.id) AS id, coalesce(a.source, b.source) AS source,
           coalesce(a.stream, b.stream) AS stream, a.hash AS hash_a, b.hash AS hash_b,
           CASE WHEN b.id IS NULL THEN 'only_in_a' WHEN a.id IS NULL THEN 'only_in_b'
                WHEN a.hash <> b.hash THEN 'changed' ELSE 'unchanged' END AS kind
    FROM a FULL JOIN b USING (id)
)
"""
_SELECT_COUNTS = f"{_JOINED} SELECT source, kind, count(*) FROM joined GROUP BY source, kind"
# The values of a data point that have a hash, wherever they are kept.
_VALUES_OF = """(
    SELECT to_jsonb(u) FROM unified_data AS u WHERE u.id = chosen.id AND u.value_hash = {hash}
    UNION ALL
    SELECT r.data FROM unified_revisions AS r
    WHERE r.id = chosen.id AND (r.data->>'value_hash')::bigint = {hash}
    UNION ALL
    SELECT to_jsonb(p) FROM previewed_data AS p
    WHERE p.run_id IN ($1::uuid, $2::uuid) AND p.id = chosen.id AND p.value_hash = {hash}
    LIMIT 1)::text"""
_SELECT_DIFFERENCES = f"""
{_JOINED}, chosen AS (
    SELECT * FROM joined
    WHERE ($3::text IS NULL AND kind <> 'unchanged' OR kind = $3)
    AND ($4::text IS NULL OR source = $4) AND ($5::text IS NULL OR stream = $5)
    AND ($6::uuid IS NULL OR id > $6) ORDER BY id LIMIT $7 OFFSET $8
)
SELECT id::text, kind, source, stream, {_VALUES_OF.format(hash="chosen.hash_a")} AS old,
       {_VALUES_OF.format(hash="chosen.hash_b")} AS new
FROM chosen ORDER BY id
"""
_SELECT_DIGEST = f"""
SELECT count(*) AS records, encode(sha256(convert_to(
    coalesce(string_agg(id || ':' || hash, ',' ORDER BY id), ''), 'UTF8')), 'hex') AS sha256
FROM ({_YIELDED.format(run="$1")}) AS y
"""
HEAD = ("id", "kind", "source", "stream")
Json = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """Which differences. `kind` None: all but the unchanged. `after`: the id before the first."""

    kind: DiffKind | None
    source: str | None
    stream: str | None
    after: str | None
    limit: int
    skip: int


async def counts(database: Database, a: str, b: str) -> Json:
    """How many data points are where, in all and by source."""
    rows = await database.rows(_SELECT_COUNTS, a, b)
    return counted(rows, DiffKind)


def counted(rows: list[Any], kinds: type[StrEnum]) -> Json:
    """Rows (source, kind, count) as `counts` and `by_source`."""
    by_source: dict[str, dict[str, int]] = {}
    total: dict[str, int] = dict.fromkeys(kinds, 0)
    for row in rows:
        nothing: dict[str, int] = dict.fromkeys(kinds, 0)
        of_source = by_source.setdefault(row["source"], nothing)
        of_source[row["kind"]] = row["count"]
        total[row["kind"]] += row["count"]
    return {"counts": total, "by_source": by_source}


async def differences(
    database: Database, a: str, b: str, wanted: Wanted
) -> list[Json]:
    """Data points in the order of their ids."""
    rows = await database.rows(
        _SELECT_DIFFERENCES,
        a,
        b,
        wanted.kind and str(wanted.kind),
        wanted.source,
        wanted.stream,
        wanted.after,
        wanted.limit,
        wanted.skip,
    )
    return [difference(row) for row in rows]


def difference(row: Any) -> Json:
    """A row (id, kind, source, stream, old, new) with the fields that differ.

    None do where the values of a changed data point are no longer kept.
    """
    kind = row["kind"]
    is_kept = None not in (row["old"], row["new"])
    is_hidden = kind == DiffKind.CHANGED and not is_kept
    fields = []
    if kind != DiffKind.UNCHANGED and not is_hidden:
        fields = _changes(_values(row["old"]), _values(row["new"]))
    head = {name: row[name] for name in HEAD}
    return {**head, "timestamp": _time_of(row["id"]), "fields": fields}


def _time_of(point: str) -> datetime | None:
    """As its id says; that of news has none, since its date may be edited."""
    return None if is_of_news(point) else moment_of(point)


def _values(text: str | None) -> Json:
    values: Json = exact_decoder.decode(text or "{}")
    if "timestamp" in values:
        values["timestamp"] = with_z(values["timestamp"])
    return values


def with_z(time: str) -> str:
    """A time as the API writes it, of one as JSONB does."""
    return time.replace("+00:00", "Z")


def _changes(old: Json, new: Json) -> list[Json]:
    changes = []
    for name in VALUES:
        before = old.get(name)
        after = new.get(name)
        if before != after:
            changes.append({"field": name, "old": before, "new": after})
    return changes


async def digest(database: Database, run_id: str) -> Json:
    """The body of `Digest`."""
    (row,) = await database.rows(_SELECT_DIGEST, run_id)
    return {"run_id": run_id, **row}
