"""Pages of replays: applied by the version rule of all pages, or kept as a preview until somebody publishes or discards it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import msgspec
import psycopg2.extras
from sqlalchemy import Engine

from services.loader.database import Cursor
from services.loader.pages import sql
from services.loader.pages import write as store
from services.loader.pages.copy_rows import (
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
from services.loader.pages.dead_letter_rows import insert_dead_letters, letter_rows
from services.loader.pages.write import by_page
from shared import versions
from shared.messages.commands import ReplayMode
from shared.messages.topics import RAW

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
_RETIRED = """
UPDATE replay_receipts AS r SET retired_ids = o.ids::uuid[] FROM (VALUES %s) AS o (run_id, page_id, ids)
WHERE r.run_id = o.run_id::uuid AND r.page_id = o.page_id::uuid
"""


# How each point of a preview compares with what is stored: i(nserted), u(pdated), c(ontended, see `sql.CONTEND`), else n.
_PREVIEW = f"""
WITH compared AS (
    SELECT s.*, p.run_id, p.page_id, p.source, p.dataset, p.stream, p.raw_time, p.raw_offset, p.normalizer_version,
           CASE WHEN u.id IS NULL THEN 'i'
                WHEN {versions.is_revived("u", "p")} THEN 'i'
                WHEN {versions.version("u")} < {versions.version("p", "s")}
                THEN CASE WHEN u.value_hash <> s.value_hash THEN 'u' ELSE 'n' END
                WHEN u.normalizer_version < p.normalizer_version THEN 'c' ELSE 'n' END AS outcome
    FROM stage_points AS s JOIN stage_pages AS p ON p.n = s.n AND p.is_new LEFT JOIN unified_data AS u ON u.id = s.id
), kept AS (
    INSERT INTO preview_points (run_id, page_id, id, record_index, source, dataset, stream, value_hash, raw_time, raw_offset, normalizer_version,
                                is_contended, {sql.quoted(sql.OF_POINT)})
    SELECT run_id, page_id, id, record_index, source, dataset, stream, value_hash, raw_time, raw_offset, normalizer_version,
           outcome = 'c', {sql.quoted(sql.OF_POINT)}
    FROM compared WHERE outcome <> 'n' ORDER BY id ON CONFLICT DO NOTHING
)
SELECT n, outcome, array_agg(replace(id::text, '-', '')) FROM compared WHERE outcome IN ('i', 'u') GROUP BY n, outcome
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
    store.copy_rows(cursor, "stage_pages", PAGE_COLUMNS, page_rows(pages, RAW.name))
    store.copy_rows(cursor, "stage_points", POINT_COLUMNS, point_rows(pages, rounds))
    cursor.execute(_RECEIPTS, {"is_applied": is_applied})
    new = {page_id for (page_id,) in cursor.fetchall()}
    if not new:
        return 0
    if superseded:
        cursor.execute("DELETE FROM stage_pages WHERE n = ANY(%s)", (sorted(superseded),))
    cursor.execute(sql.OLD, {"numbers": [number for number, page in enumerate(pages) if page.raw.page_id in new]})
    run_id = pages[0].run_id
    if is_applied:
        cursor.execute(sql.INSERT_RAW)
        outcomes, retired = store.upsert(cursor, pages, rounds, new), store.retire(cursor, run_id)
    else:
        outcomes, retired = _previewed(cursor, pages, new), _would_retire(cursor)
    if outcomes:
        psycopg2.extras.execute_values(cursor, sql.OUTCOMES_OF_RUN, [(run_id, *row) for row in outcomes])
    if retired:
        psycopg2.extras.execute_values(cursor, _RETIRED, [(run_id, page_id, ids) for page_id, ids in retired.items()])
    letters = [letter for page in pages if page.raw.page_id in new for letter in _letters(page)]
    insert_dead_letters(cursor, letters, is_preview=not is_applied)
    return len(new)


def _superseded(cursor: Cursor, pages: list[StagedPage]) -> set[int]:
    raws = [page.raw for page in pages]
    named = {"pages": [raw.page_id for raw in raws], "tasks": [raw.task_id for raw in raws], "numbers": [raw.page_no for raw in raws]}
    cursor.execute(_SUPERSEDED, named)
    return {number for (number,) in cursor.fetchall()}


def _letters(page: StagedPage) -> list[tuple[Any, ...]]:
    """What the mapping of today rejects; what the first run has rejected already keeps its letter."""
    return letter_rows(dataclasses.replace(page, raw=msgspec.structs.replace(page.raw, run_id=page.run_id)), page.rejections())


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
    cursor.execute(f"SELECT page_id::text, id::text FROM ({sql.GONE}) AS gone")
    return by_page(cursor)
