"""What two runs, or a preview and the data, do not agree on, data point by data point."""

from __future__ import annotations

from typing import Any

from services.gateway.database import Database
from services.gateway.schemas.diff import DiffKind
from services.gateway.schemas.replay import PreviewKind
from shared import versions
from shared.messages.serialization import exact_decoder

VALUES = (
    "kind", "instrument", "symbol", "symbols", "interval", "timestamp", "currency", "price", "open", "high", "low", "close", "volume", "market_cap",
    "title", "url", "summary", "sentiment", "attributes",
)  # fmt: skip

# What a run yielded: of each data point the last that the run made of it.
_YIELDED = """
SELECT DISTINCT ON (id) id, hash, source, stream FROM (
    SELECT y.id, y.hash, p.source, p.stream, p.raw_time, p.raw_offset, y.n FROM page_receipts AS p
    CROSS JOIN LATERAL unnest(p.ids, p.value_hashes) WITH ORDINALITY AS y (id, hash, n) WHERE p.run_id = {run}::uuid
    UNION ALL
    SELECT y.id, y.hash, p.source, p.stream, p.raw_time, p.raw_offset, y.n FROM replay_receipts AS p
    CROSS JOIN LATERAL unnest(p.ids, p.value_hashes) WITH ORDINALITY AS y (id, hash, n) WHERE p.run_id = {run}::uuid
) AS yielded ORDER BY id, raw_time DESC, raw_offset DESC, n DESC
"""
_JOINED = f"""
WITH a AS ({_YIELDED.format(run="$1")}), b AS ({_YIELDED.format(run="$2")}), joined AS (
    SELECT coalesce(a.id, b.id) AS id, coalesce(a.source, b.source) AS source, coalesce(a.stream, b.stream) AS stream, a.hash AS hash_a, b.hash AS hash_b,
           CASE WHEN b.id IS NULL THEN 'only_in_a' WHEN a.id IS NULL THEN 'only_in_b' WHEN a.hash <> b.hash THEN 'changed' ELSE 'unchanged' END AS kind
    FROM a FULL JOIN b USING (id)
)
"""
_COUNTS = f"{_JOINED} SELECT source, kind, count(*) FROM joined GROUP BY source, kind"


def _values(hash_: str) -> str:
    """The values of a data point that have this hash, wherever they are kept."""
    return f"""(
        SELECT to_jsonb(u) FROM unified_data AS u WHERE u.id = chosen.id AND u.value_hash = {hash_}
        UNION ALL SELECT r.data FROM unified_revisions AS r WHERE r.id = chosen.id AND (r.data->>'value_hash')::bigint = {hash_}
        UNION ALL SELECT to_jsonb(p) FROM preview_points AS p WHERE p.run_id IN ($1::uuid, $2::uuid) AND p.id = chosen.id AND p.value_hash = {hash_}
        LIMIT 1)::text"""


_CHOSEN = f"""
{_JOINED}, chosen AS (
    SELECT * FROM joined WHERE ($3::text IS NULL AND kind <> 'unchanged' OR kind = $3) AND ($4::text IS NULL OR source = $4)
    AND ($5::text IS NULL OR stream = $5) AND ($6::uuid IS NULL OR id > $6) ORDER BY id LIMIT $7 OFFSET $8
)
SELECT id::text, kind, source, stream, {_values("chosen.hash_a")} AS old, {_values("chosen.hash_b")} AS new FROM chosen ORDER BY id
"""


async def run_counts(database: Database, a: str, b: str) -> dict[str, Any]:
    """How many data points are where, in all and by source."""
    by_source: dict[str, dict[str, int]] = {}
    for row in await database.rows(_COUNTS, a, b):
        by_source.setdefault(row["source"], dict.fromkeys(DiffKind, 0))[row["kind"]] = row["count"]
    return {"counts": {kind: sum(each[kind] for each in by_source.values()) for kind in DiffKind}, "by_source": by_source}


async def run_differences(
    database: Database,
    a: str,
    b: str,
    *,
    kind: DiffKind | None,
    source: str | None,
    stream: str | None,
    after: str | None,
    limit: int,
    skip: int,
) -> list[dict[str, Any]]:
    """Data points in the order of their ids. `kind` None: all but the unchanged."""
    rows = await database.rows(_CHOSEN, a, b, kind and str(kind), source, stream, after, limit, skip)
    return [
        {**{name: row[name] for name in ("id", "kind", "source", "stream")}, "fields": _changes(row["old"], row["new"], row["kind"])}
        for row in rows
    ]


def _changes(old: str | None, new: str | None, kind: str) -> list[dict[str, Any]]:
    if kind == DiffKind.UNCHANGED or (kind in (DiffKind.CHANGED, PreviewKind.CHANGED) and (old is None or new is None)):
        return []
    before, after = (exact_decoder.decode(values or "{}") for values in (old, new))
    return [{"field": name, "old": before.get(name), "new": after.get(name)} for name in VALUES if before.get(name) != after.get(name)]


async def digest(database: Database, run_id: str) -> dict[str, Any]:
    """See `Digest`."""
    text = "coalesce(string_agg(id || ':' || hash, ',' ORDER BY id), '')"
    query = (
        f"SELECT count(*) AS records, encode(sha256(convert_to({text}, 'UTF8')), 'hex') AS sha256 FROM ({_YIELDED.format(run='$1')}) AS y"
    )
    (row,) = await database.rows(query, run_id)
    return {"run_id": run_id, **row}


# -- a preview against the data ----------------------------------------------------------------------------------------

_COMPARED = f"""
WITH newest AS (
    SELECT DISTINCT ON (id) * FROM preview_points WHERE run_id = $1::uuid
    ORDER BY id, {versions.order_newest_first()}
), retired AS (
    SELECT u.id, r.source, r.stream, to_jsonb(u) AS old
    FROM replay_receipts AS r CROSS JOIN LATERAL unnest(r.retired_ids) AS gone (id) JOIN unified_data AS u ON u.id = gone.id AND u.page_id = r.page_id
    WHERE r.run_id = $1::uuid AND u.retired_at IS NULL AND u.normalizer_version < r.normalizer_version
), compared AS (
    SELECT p.id, p.source, p.stream, to_jsonb(u) AS old, to_jsonb(p) AS new,
           CASE WHEN u.id IS NULL OR {versions.is_revived("u", "p")} THEN 'added'
                WHEN u.value_hash = p.value_hash THEN 'same'
                WHEN is_older OR EXISTS (SELECT FROM retired AS r WHERE r.id = p.id) THEN 'changed'
                WHEN p.is_contended THEN 'same' ELSE 'newer_stays' END AS kind
    FROM newest AS p LEFT JOIN unified_data AS u ON u.id = p.id
    CROSS JOIN LATERAL (SELECT {versions.is_older("u", "p")} AS is_older) AS version
    UNION ALL
    SELECT id, source, stream, old, NULL, 'retired' FROM retired AS r WHERE NOT EXISTS (SELECT FROM newest AS n WHERE n.id = r.id)
)
"""
_DIFFERENT = ", ".join(f"count(*) FILTER (WHERE old->'{name}' IS DISTINCT FROM new->'{name}') AS differs_{name}" for name in VALUES)
_PREVIEW_COUNTS = f"""
{_COMPARED} SELECT source, kind, count(*) AS count, {_DIFFERENT}
FROM compared WHERE kind <> 'same' GROUP BY source, kind
"""
_PREVIEW_CHANGES = f"""
{_COMPARED} SELECT id::text, kind, source, stream, old::text AS old, new::text AS new FROM compared
WHERE kind <> 'same' AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR source = $3) ORDER BY id LIMIT $4 OFFSET $5
"""


async def preview_counts(database: Database, run_id: str) -> dict[str, Any]:
    """What publishing would do, in numbers."""
    by_source: dict[str, dict[str, int]] = {}
    by_field: dict[str, int] = {}
    for row in await database.rows(_PREVIEW_COUNTS, run_id):
        by_source.setdefault(row["source"], dict.fromkeys(PreviewKind, 0))[row["kind"]] = row["count"]
        if row["kind"] == PreviewKind.CHANGED:
            by_field = {name: by_field.get(name, 0) + row[f"differs_{name}"] for name in VALUES}
    counts = {kind: sum(each[kind] for each in by_source.values()) for kind in PreviewKind}
    return {"counts": counts, "by_source": by_source, "by_field": {name: count for name, count in by_field.items() if count}}


async def preview_changes(
    database: Database, run_id: str, *, kind: PreviewKind | None, source: str | None, limit: int, skip: int
) -> list[dict[str, Any]]:
    rows = await database.rows(_PREVIEW_CHANGES, run_id, kind and str(kind), source, limit, skip)
    return [
        {**{name: row[name] for name in ("id", "kind", "source", "stream")}, "fields": _changes(row["old"], row["new"], row["kind"])}
        for row in rows
    ]
