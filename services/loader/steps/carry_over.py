"""Carries what releases before 0.2.0 stored over into the tables of this one.

Between two migrations: 0008 makes the new tables, 0009 drops the old ones. In batches, each in a
transaction that notes how far it came, so that what was broken off goes on there. Data points get
ids that begin with their time, and so does all that names them: revisions, receipts, previews.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from services.loader.database import db_of
from shared.identity.point_ids import FIRST_OF_NEWS
from shared.runtime import logs

_NIL = "00000000-0000-0000-0000-000000000000"
# The time of those at the far ends, as their ids have it.
_AT = "least(greatest(\"timestamp\", '1970-01-01Z'), '2199-12-31Z') AT TIME ZONE 'UTC'"
_COLUMNS = """
    page_id, "timestamp", created_at, raw_time, raw_offset, value_hash, record_index, revision,
    normalizer_version, price, open, high, low, close, volume, market_cap,
    sentiment, retired_at, symbols, title, url, summary, attributes
"""
_TEXTS = """
    source, dataset, stream, kind, instrument, symbol, "interval", currency, timestamp_is"""
# `key`: as services/loader/pages/series.py makes it.
_ROWS = f"""
    SELECT *, md5(array_to_string(ARRAY[{_TEXTS}], E'\\x1f', E'\\x1e'))::uuid AS key
    FROM (SELECT *, CASE WHEN kind <> 'candle' THEN 'moment' END AS timestamp_is FROM {{table}})
        AS said
"""
_POINTS = f"""
    {_ROWS.format(table="unified_data_0007")}
    WHERE ("timestamp", id) > (%(timestamp)s::timestamptz, %(id)s::uuid)
    ORDER BY "timestamp", id LIMIT %(batch)s
"""
_PREVIEWS = f"""
    {_ROWS.format(table="preview_points_0007")}
    WHERE (run_id, page_id, id, record_index)
          > (%(run_id)s::uuid, %(page_id)s::uuid, %(id)s::uuid, %(record_index)s)
    ORDER BY run_id, page_id, id, record_index LIMIT %(batch)s
"""
_ENSURE_PARTITIONS = f"""
SELECT count(ensure_partition(year, month)) FROM (
    SELECT DISTINCT extract(year FROM {_AT})::int AS year, extract(month FROM {_AT})::int AS month
    FROM ({{rows}}) AS next WHERE kind <> 'news') AS months
"""
_FIRST_OF_MONTH = (
    f"first_point_id(date_trunc('month', min({_AT})) AT TIME ZONE 'UTC')"
)
_END_OF_MONTH = f"""
    CASE WHEN max({_AT}) >= '2199-12-01' THEN '{FIRST_OF_NEWS}'::uuid ELSE first_point_id(
        (date_trunc('month', max({_AT})) + interval '1 month') AT TIME ZONE 'UTC') END"""
_ENSURE_SERIES = f"""
INSERT INTO series AS s (key, {_TEXTS}, first_id, past_id)
SELECT key, {_TEXTS}, CASE WHEN kind <> 'news' THEN {_FIRST_OF_MONTH} END,
       CASE WHEN kind <> 'news' THEN {_END_OF_MONTH} END
FROM ({{rows}}) AS next GROUP BY key, {_TEXTS} ORDER BY key
ON CONFLICT (key) DO UPDATE SET first_id = least(s.first_id, excluded.first_id),
    past_id = greatest(s.past_id, excluded.past_id)
"""
_NUMBER = "(SELECT s.series_id FROM series AS s WHERE s.key = next.key)"
_CARRY_POINTS = f"""
WITH next AS ({_POINTS}), carried AS (
    INSERT INTO points (id, series_id, run_id, updated_at, {_COLUMNS})
    SELECT point_id(kind, "timestamp", id), {_NUMBER}, nullif(run_id, (
               SELECT r.run_id FROM page_receipts AS r WHERE r.page_id = next.page_id)),
           nullif(updated_at, created_at), {_COLUMNS}
    FROM next ORDER BY 1
)
SELECT "timestamp"::text, id::text, (SELECT count(*) FROM next)
FROM next ORDER BY next."timestamp" DESC, next.id DESC LIMIT 1
"""
_CARRY_REVISIONS = """
WITH next AS (
    SELECT *, point_id(data->>'kind', (data->>'timestamp')::timestamptz, id) AS new_id
    FROM unified_revisions_0007 WHERE (id, revision) > (%(id)s::uuid, %(revision)s)
    ORDER BY id, revision LIMIT %(batch)s
), carried AS (
    INSERT INTO unified_revisions (id, revision, data, replaced_at, replaced_by)
    SELECT new_id, revision, jsonb_set(data, '{id}', to_jsonb(new_id)), replaced_at, replaced_by
    FROM next ORDER BY 1, 2
)
SELECT id::text, revision, (SELECT count(*) FROM next)
FROM next ORDER BY next.id DESC, next.revision DESC LIMIT 1
"""
_NEW_ID = 'SELECT point_id(kind, "timestamp", id)'


def _new_ids(receipts: str, column: str, *others: str) -> str:
    """The ids of a column of receipts as they are now.

    `others`: further queries for the new id of `y.id`. What is stored nowhere any more keeps its
    old id.
    """
    stored = f"({_NEW_ID} FROM unified_data_0007 AS u WHERE u.id = y.id)"
    found = ", ".join((stored, *others, "y.id"))
    return f"""coalesce((
        SELECT array_agg(coalesce({found}) ORDER BY y.n)
        FROM unnest({receipts}.{column}) WITH ORDINALITY AS y (id, n)), '{{}}')"""


_CARRY_RECEIPTS = f"""
WITH next AS (
    SELECT page_id FROM page_receipts WHERE page_id > %(page_id)s::uuid
    ORDER BY page_id LIMIT %(batch)s
), carried AS (
    UPDATE page_receipts AS r SET ids = {_new_ids("r", "ids")}
    FROM next WHERE r.page_id = next.page_id
)
SELECT page_id::text, (SELECT count(*) FROM next) FROM next ORDER BY next.page_id DESC LIMIT 1
"""
_OF_PREVIEW = f"""(
    {_NEW_ID} FROM preview_points_0007 AS p WHERE p.run_id = r.run_id AND p.id = y.id LIMIT 1)"""
_CARRY_REPLAY_RECEIPTS = f"""
WITH next AS (
    SELECT run_id, page_id FROM replay_receipts
    WHERE (run_id, page_id) > (%(run_id)s::uuid, %(page_id)s::uuid)
    ORDER BY run_id, page_id LIMIT %(batch)s
), carried AS (
    UPDATE replay_receipts AS r SET ids = {_new_ids("r", "ids", _OF_PREVIEW)},
        retired_ids = {_new_ids("r", "retired_ids", _OF_PREVIEW)}
    FROM next WHERE (r.run_id, r.page_id) = (next.run_id, next.page_id)
)
SELECT run_id::text, page_id::text, (SELECT count(*) FROM next)
FROM next ORDER BY next.run_id DESC, next.page_id DESC LIMIT 1
"""
_OF_PREVIEWED = """
    run_id, page_id, record_index, "timestamp", raw_time, raw_offset, value_hash,
    normalizer_version, is_contended, price, open, high, low, close, volume, market_cap, sentiment,
    symbols, title, url, summary, attributes
"""
_CARRY_PREVIEWS = f"""
WITH next AS ({_PREVIEWS}), carried AS (
    INSERT INTO preview_points (id, series_id, {_OF_PREVIEWED})
    SELECT point_id(kind, "timestamp", id), {_NUMBER}, {_OF_PREVIEWED} FROM next
)
SELECT run_id::text, page_id::text, id::text, record_index, (SELECT count(*) FROM next)
FROM next ORDER BY next.run_id DESC, next.page_id DESC, next.id DESC, next.record_index DESC LIMIT 1
"""
_BEGIN_STEP = """
INSERT INTO carry_over (step, position) VALUES (%s, %s)
ON CONFLICT (step) DO UPDATE SET step = excluded.step RETURNING position, is_done
"""
_STORE_POSITION = "UPDATE carry_over SET position = %s WHERE step = %s"
_END_STEP = "UPDATE carry_over SET is_done = true WHERE step = %s"
_ANALYZE = "ANALYZE points, series, unified_revisions"
log = logs.get(__name__)


@dataclass(frozen=True)
class _Step:
    """A table that is carried over.

    `carry`: takes a batch behind a position and answers the new one, then how many rows it took.
    `prepare`: what its batch needs first.
    """

    table: str
    start: dict[str, Any]
    carry: str
    batch: int
    prepare: tuple[str, ...] = ()


_PAGE = {"run_id": _NIL, "page_id": _NIL}
_STEPS = (
    _Step(
        "unified_data",
        {"timestamp": "-infinity", "id": _NIL},
        _CARRY_POINTS,
        20_000,
        (
            _ENSURE_PARTITIONS.format(rows=_POINTS),
            _ENSURE_SERIES.format(rows=_POINTS),
        ),
    ),
    _Step(
        "unified_revisions",
        {"id": _NIL, "revision": 0},
        _CARRY_REVISIONS,
        5_000,
    ),
    _Step("page_receipts", {"page_id": _NIL}, _CARRY_RECEIPTS, 100),
    _Step("replay_receipts", _PAGE, _CARRY_REPLAY_RECEIPTS, 100),
    _Step(
        "preview_points",
        {**_PAGE, "id": _NIL, "record_index": -1},
        _CARRY_PREVIEWS,
        5_000,
        (_ENSURE_SERIES.format(rows=_PREVIEWS),),
    ),
)


def carry_over(engine: Engine) -> None:
    """Carry everything over. Blocks.

    Raises OperationalError; called again, it goes on.
    """
    for step in _STEPS:
        _carry(engine, step)
    with engine.begin() as transaction:
        db_of(transaction).execute(_ANALYZE)


def _carry(engine: Engine, step: _Step) -> None:
    position = dict(step.start)
    rows = 0
    is_done = False
    while not is_done:
        with engine.begin() as transaction:
            db = db_of(transaction)
            db.execute(_BEGIN_STEP, (step.table, json.dumps(position)))
            position, is_done = db.fetchone() or (position, False)
            if is_done:
                break
            values = {**position, "batch": step.batch}
            for statement in step.prepare:
                db.execute(statement, values)
            db.execute(step.carry, values)
            found = db.fetchone()
            if found is None:
                db.execute(_END_STEP, (step.table,))
                is_done = True
            else:
                *reached, count = found
                rows += count
                position = dict(zip(step.start, reached, strict=True))
                db.execute(
                    _STORE_POSITION, (json.dumps(position), step.table)
                )
        if rows:
            log.info("carried_over", table=step.table, rows=rows)
