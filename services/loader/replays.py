"""Pages of replays: applied by the version rule of all pages, or kept as a preview until somebody publishes or discards it."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import msgspec
import psycopg2.extras
from sqlalchemy import Connection, Engine, func, select, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB

from services.loader import statements, store
from services.loader.letter_rows import insert_dead_letters, letter_rows
from services.loader.staging import (
    INSERTED,
    PAGE_COLUMNS,
    POINT_COLUMNS,
    UNCHANGED,
    UPDATED,
    StagedPage,
    in_rounds,
    page_rows,
    point_rows,
    tally,
)
from services.loader.store import Cursor, by_page, cursor_of
from shared.commands import ReplayMode
from shared.tables import preview_points, replay_receipts, runs
from shared.topics import RAW

_OWN = tuple(column for column in POINT_COLUMNS if column not in ("n", "round", "id", "record_index", "value_hash"))

# Pages that lie in the raw topic and were refused there: they came from a process that was frozen and had a successor.
_SUPERSEDED = """
SELECT s.n - 1 FROM unnest(%(pages)s::uuid[], %(tasks)s::uuid[], %(numbers)s::int[]) WITH ORDINALITY AS s (page_id, task_id, page_no, n)
WHERE NOT EXISTS (SELECT FROM page_receipts AS p WHERE p.page_id = s.page_id) AND (
    EXISTS (SELECT FROM page_receipts AS p WHERE p.task_id = s.task_id AND p.page_no = s.page_no)
    OR EXISTS (SELECT FROM run_tasks AS t WHERE t.task_id = s.task_id AND t.finished_at IS NOT NULL AND s.page_no >= t.pages))
"""

_RECEIPTS = """
WITH taken AS (
    INSERT INTO replay_receipts (run_id, page_id, task_id, source, stream, records, skipped, rejected, skip_reasons, normalizer_version,
                                 raw_partition, raw_offset, raw_time, symbol, ids, value_hashes, is_applied)
    SELECT run_id, page_id, task_id, source, stream, record_count, skipped, rejected, coalesce(skip_reasons, '{}'), normalizer_version,
           "partition", raw_offset, raw_time, symbol, ids, value_hashes, %(is_applied)s
    FROM stage_pages ORDER BY page_id ON CONFLICT DO NOTHING RETURNING page_id
)
UPDATE stage_pages AS s SET is_new = true FROM taken WHERE s.page_id = taken.page_id RETURNING s.page_id::text
"""

# All that older mappings made of the pages.
_OLD = """
UPDATE stage_pages AS s SET old_ids = old.ids FROM (
    SELECT n, array_agg(DISTINCT id) AS ids FROM (
        SELECT p.n, unnest(r.ids) AS id FROM stage_pages AS p JOIN page_receipts AS r ON r.page_id = p.page_id
        WHERE p.is_new AND r.normalizer_version < p.normalizer_version
        UNION ALL
        SELECT p.n, unnest(r.ids) FROM stage_pages AS p JOIN replay_receipts AS r ON r.page_id = p.page_id
        WHERE p.is_new AND r.is_applied AND r.normalizer_version < p.normalizer_version
    ) AS yielded GROUP BY n
) AS old WHERE old.n = s.n
"""
_OUTCOMES = """
UPDATE replay_receipts AS r SET outcomes = o.outcomes, inserted = o.inserted, updated = o.updated, unchanged = o.unchanged
FROM (VALUES %s) AS o (run_id, page_id, outcomes, inserted, updated, unchanged) WHERE r.run_id = o.run_id::uuid AND r.page_id = o.page_id::uuid
"""
_RETIRED = """
UPDATE replay_receipts AS r SET retired_ids = o.ids::uuid[] FROM (VALUES %s) AS o (run_id, page_id, ids)
WHERE r.run_id = o.run_id::uuid AND r.page_id = o.page_id::uuid
"""

# How each point of a preview compares with what is stored: i(nserted), u(pdated), else n.
_PREVIEW = f"""
WITH compared AS (
    SELECT s.*, p.run_id, p.page_id, p.source, p.dataset, p.stream, p.raw_time, p.raw_offset, p.normalizer_version,
           CASE WHEN u.id IS NULL THEN 'i'
                WHEN (u.raw_time, u.raw_offset, u.normalizer_version, u.record_index)
                     < (p.raw_time, p.raw_offset, p.normalizer_version, s.record_index)
                THEN CASE WHEN u.retired_at IS NOT NULL THEN 'i' WHEN u.value_hash <> s.value_hash THEN 'u' ELSE 'n' END
                ELSE 'n' END AS outcome
    FROM stage_points AS s JOIN stage_pages AS p ON p.n = s.n AND p.is_new LEFT JOIN unified_data AS u ON u.id = s.id
), kept AS (
    INSERT INTO preview_points (run_id, page_id, id, record_index, source, dataset, stream, value_hash, raw_time, raw_offset, normalizer_version,
                                {", ".join(f'"{column}"' for column in _OWN)})
    SELECT run_id, page_id, id, record_index, source, dataset, stream, value_hash, raw_time, raw_offset, normalizer_version,
           {", ".join(f'"{column}"' for column in _OWN)}
    FROM compared WHERE outcome <> 'n' ORDER BY id ON CONFLICT DO NOTHING
)
SELECT n, outcome, array_agg(replace(id::text, '-', '')) FROM compared WHERE outcome <> 'n' GROUP BY n, outcome
"""

# The newest version of each point that the preview keeps, written as a page would be.
_PUBLISH = f"""
WITH newest AS (
    SELECT DISTINCT ON (id) * FROM preview_points WHERE run_id = %(run)s
    ORDER BY id, raw_time DESC, raw_offset DESC, normalizer_version DESC, record_index DESC
), written AS (
    INSERT INTO unified_data AS u (id, page_id, record_index, run_id, source, dataset, stream, value_hash, raw_time, raw_offset, normalizer_version,
                                   created_at, updated_at, {", ".join(f'"{column}"' for column in _OWN)})
    SELECT id, page_id, record_index, run_id, source, dataset, stream, value_hash, raw_time, raw_offset, normalizer_version,
           %(now)s, %(now)s, {", ".join(f'"{column}"' for column in _OWN)}
    FROM newest ORDER BY id
    ON CONFLICT (id) DO UPDATE SET page_id = excluded.page_id, record_index = excluded.record_index, run_id = excluded.run_id,
        source = excluded.source, dataset = excluded.dataset, stream = excluded.stream, value_hash = excluded.value_hash,
        raw_time = excluded.raw_time, raw_offset = excluded.raw_offset, normalizer_version = excluded.normalizer_version,
        {", ".join(f'"{column}" = excluded."{column}"' for column in _OWN)},
        revision = u.revision + (u.value_hash <> excluded.value_hash OR u.retired_at IS NOT NULL)::int, retired_at = NULL,
        updated_at = CASE WHEN u.value_hash <> excluded.value_hash OR u.retired_at IS NOT NULL THEN excluded.updated_at ELSE u.updated_at END
    WHERE (u.raw_time, u.raw_offset, u.normalizer_version, u.record_index)
        < (excluded.raw_time, excluded.raw_offset, excluded.normalizer_version, excluded.record_index)
    RETURNING xmax = 0 AS is_new
)
SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new), (SELECT count(*) FROM newest) - count(*) FROM written
"""
_PUBLISH_RETIRED = """
UPDATE unified_data AS u SET retired_at = %(now)s, updated_at = %(now)s, revision = u.revision + 1, run_id = r.run_id,
                             normalizer_version = r.normalizer_version
FROM (SELECT run_id, page_id, normalizer_version, unnest(retired_ids) AS id FROM replay_receipts WHERE run_id = %(run)s) AS r
WHERE u.id = r.id AND u.page_id = r.page_id AND u.retired_at IS NULL AND u.normalizer_version < r.normalizer_version
"""


def write(engine: Engine, pages: Sequence[StagedPage]) -> None:
    """Write pages of replays, those of each replay in a transaction. Raises what `write_pages` raises."""
    for _, some in groupby(sorted(pages, key=lambda page: page.run_id), key=lambda page: page.run_id):
        store.write_pages(engine, list(some), write=_write)


def _write(cursor: Cursor, pages: list[StagedPage], _turn: Callable[[], None] | None = None) -> int:
    superseded = _superseded(cursor, pages)
    pages = [page.superseded() if number in superseded else page for number, page in enumerate(pages)]
    rounds = in_rounds(pages)
    replay = pages[0].unified.replay
    is_applied = replay is not None and replay.mode == ReplayMode.APPLY
    _copy(cursor, "stage_pages", PAGE_COLUMNS, "".join(page_rows(pages, RAW.name)))
    _copy(cursor, "stage_points", POINT_COLUMNS, "".join(point_rows(pages, rounds)))
    cursor.execute(_RECEIPTS, {"is_applied": is_applied})
    new = {page_id for (page_id,) in cursor.fetchall()}
    if not new:
        return 0
    if superseded:
        cursor.execute("DELETE FROM stage_pages WHERE n = ANY(%s)", (sorted(superseded),))
    cursor.execute(_OLD)
    if is_applied:
        cursor.execute(statements.INSERT_RAW)
        outcomes, retired = store.upsert(cursor, pages, rounds, new), store.retire(cursor)
    else:
        outcomes, retired = _previewed(cursor, pages, new), _would_retire(cursor)
    run_id = pages[0].run_id
    if outcomes:
        psycopg2.extras.execute_values(cursor, _OUTCOMES, [(run_id, *row) for row in outcomes])
    if retired:
        psycopg2.extras.execute_values(cursor, _RETIRED, [(run_id, page_id, ids) for page_id, ids in retired.items()])
    if is_applied:
        insert_dead_letters(cursor, [letter for page in pages if page.raw.page_id in new for letter in _letters(page)])
    return len(new)


def _superseded(cursor: Cursor, pages: list[StagedPage]) -> set[int]:
    raws = [page.raw for page in pages]
    named = {"pages": [raw.page_id for raw in raws], "tasks": [raw.task_id for raw in raws], "numbers": [raw.page_no for raw in raws]}
    cursor.execute(_SUPERSEDED, named)
    return {number for (number,) in cursor.fetchall()}


def _letters(page: StagedPage) -> list[tuple[Any, ...]]:
    """What the mapping of today rejects; what the first run has rejected already keeps its letter."""
    return letter_rows(dataclasses.replace(page, raw=msgspec.structs.replace(page.raw, run_id=page.run_id)), page.rejections())


def _copy(cursor: Cursor, table: str, columns: Sequence[str], rows: str) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN", io.BytesIO(rows.encode()), size=1 << 20)


def _previewed(cursor: Cursor, pages: list[StagedPage], new: set[str]) -> list[tuple[Any, ...]]:
    """Keep what differs; returns the outcomes as `store.upsert` does."""
    outcomes = {number: bytearray(UNCHANGED * len(page.ids)) for number, page in enumerate(pages) if page.raw.page_id in new and page.ids}
    cursor.execute(_PREVIEW)
    for number, outcome, ids in cursor.fetchall():
        places = {id_: position for position, id_ in enumerate(pages[number].ids)}
        for id_ in ids:
            outcomes[number][places[id_]] = ord(INSERTED if outcome == "i" else UPDATED)
    return [(pages[number].raw.page_id, *tally(pages[number].records, bytes(each))) for number, each in outcomes.items()]


def _would_retire(cursor: Cursor) -> dict[str, list[str]]:
    cursor.execute(f"SELECT page_id::text, id::text FROM ({statements.GONE}) AS gone")
    return by_page(cursor)


# -- publishing and discarding a preview -------------------------------------------------------------------------------


def publish(transaction: Connection, run_id: str) -> None:
    """Write what a preview keeps, once. What came meanwhile and is newer stays."""
    if not _close(transaction, run_id, "published"):
        return
    now = transaction.execute(select(func.clock_timestamp())).scalar_one()
    cursor = cursor_of(transaction)
    cursor.execute(_PUBLISH, {"run": run_id, "now": now})
    added, changed, stayed = cursor.fetchone() or (0, 0, 0)
    cursor.execute(_PUBLISH_RETIRED, {"run": run_id, "now": now})
    retired = cursor.rowcount
    transaction.execute(update(replay_receipts).where(replay_receipts.c.run_id == run_id).values(is_applied=True))
    _note(transaction, run_id, f"published: {added} added, {changed} changed, {retired} retired; {stayed} newer values stayed")


def discard(transaction: Connection, run_id: str) -> None:
    """Drop what a preview keeps."""
    if _close(transaction, run_id, "discarded"):
        transaction.execute(preview_points.delete().where(preview_points.c.run_id == run_id))
        _note(transaction, run_id, "the preview was discarded")


def _close(transaction: Connection, run_id: str, how: str) -> bool:
    """Mark an ended, open preview; False when it is none or was closed before."""
    is_open = (runs.c.run_id == run_id) & (runs.c.preview == "open") & runs.c.finished_at.is_not(None)
    return bool(transaction.execute(update(runs).where(is_open).values(preview=how)).rowcount)


def _note(transaction: Connection, run_id: str, note: str) -> None:
    transaction.execute(update(runs).where(runs.c.run_id == run_id).values(notes=runs.c.notes + type_coerce([note], JSONB)))
