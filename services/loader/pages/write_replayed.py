"""Writing pages of replays: applied by the version rule of all pages, or kept as a preview."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec
import psycopg2.extras

from services.loader.database import Db
from services.loader.pages import sql, write
from services.loader.pages.copy_rows import INSERTED, UPDATED
from services.loader.pages.dead_letter_rows import (
    Letter,
    Occasion,
    dead_letter_rows,
    insert_dead_letters,
)
from services.loader.pages.staged_page import StagedPage
from services.loader.pages.stamps import place_pages
from services.loader.pages.write import PageWriter, Retired, StagedBatch
from shared import versions
from shared.messages.commands import ReplayMode
from shared.versions import stored

# Pages that lie in the raw topic and were refused there: they came from a stale worker. LIMIT: see
# stamps._SELECT_KNOWN.
_SELECT_SUPERSEDED = """
SELECT s.n - 1
FROM unnest(%(pages)s::uuid[], %(tasks)s::uuid[], %(numbers)s::int[]) WITH ORDINALITY
     AS s (page_id, task_id, page_no, n)
WHERE (SELECT true FROM page_receipts AS p WHERE p.page_id = s.page_id LIMIT 1) IS NULL AND (
    (SELECT true FROM page_receipts AS p
     WHERE p.task_id = s.task_id AND p.page_no = s.page_no LIMIT 1)
    OR (SELECT true FROM run_tasks AS t
        WHERE t.task_id = s.task_id AND t.finished_at IS NOT NULL AND s.page_no >= t.pages LIMIT 1))
"""

_INSERT_RECEIPTS = """
WITH taken AS (
    INSERT INTO replay_receipts (
        run_id, page_id, task_id, source, stream, records, skipped, rejected, skip_reasons,
        skip_examples, normalizer_version, raw_partition, raw_offset, raw_time, symbol, ids,
        value_hashes, is_applied)
    SELECT run_id, page_id, task_id, source, stream, record_count, skipped, rejected,
           coalesce(skip_reasons, '{}'), coalesce(skip_examples, '{}'), normalizer_version,
           "partition", raw_offset, raw_time,
           symbol, ids, value_hashes, %(is_applied)s
    FROM stage_pages ORDER BY page_id ON CONFLICT DO NOTHING RETURNING page_id
)
UPDATE stage_pages AS s SET is_new = true FROM taken
WHERE s.page_id = taken.page_id RETURNING s.page_id::text
"""

# What PostgreSQL could not store as JSON is kept as a text, and has to be refused again.
_ARE_KEPT = """
SELECT bool_and(coalesce((
    SELECT jsonb_typeof(r.payload) = 'array' FROM raw_data AS r
    WHERE r.page_id = s.page_id LIMIT 1), false))
FROM stage_pages AS s
"""

_DELETE_STAGED = "DELETE FROM stage_pages WHERE n = ANY(%s)"

_UPDATE_RETIRED = """
UPDATE replay_receipts AS r SET retired_ids = o.ids::uuid[]
FROM (VALUES %s) AS o (run_id, page_id, ids)
WHERE r.run_id = o.run_id::uuid AND r.page_id = o.page_id::uuid
"""

# How each point of a preview compares with what is stored: i(nserted), u(pdated), c(ontended, see
# `sql.KEEP_CONTENDERS`), else n.
_KEEP_PREVIEW = f"""
WITH compared AS (
    SELECT s.*, p.run_id, p.page_id, p.raw_time, p.raw_offset, p.normalizer_version,
           CASE WHEN u.id IS NULL THEN 'i'
                WHEN {versions.is_revived("u", "p")} THEN 'i'
                WHEN {versions.version("u")} < {versions.version("p", "s")}
                THEN CASE WHEN u.value_hash <> s.value_hash THEN 'u' ELSE 'n' END
                WHEN u.normalizer_version < p.normalizer_version THEN 'c' ELSE 'n' END AS outcome
    FROM stage_points AS s JOIN stage_pages AS p ON p.n = s.n AND p.is_new
    LEFT JOIN LATERAL ({stored("s.id")}) AS u ON true
), kept AS (
    INSERT INTO preview_points (
        run_id, page_id, id, record_index, value_hash, raw_time, raw_offset, normalizer_version,
        is_contended, {sql.quoted(sql.OF_POINT)})
    SELECT run_id, page_id, id, record_index, value_hash, raw_time, raw_offset, normalizer_version,
           outcome = 'c', {sql.quoted(sql.OF_POINT)}
    FROM compared WHERE outcome <> 'n' ORDER BY id ON CONFLICT DO NOTHING
)
SELECT n, outcome, array_agg(replace(id::text, '-', ''))
FROM compared WHERE outcome IN ('i', 'u') GROUP BY n, outcome
"""


def of_each_replay(pages: Iterable[StagedPage]) -> list[list[StagedPage]]:
    """Pages of replays, those of each replay together."""
    by_run = attrgetter("run_id")
    return [
        list(of_run)
        for _, of_run in groupby(sorted(pages, key=by_run), key=by_run)
    ]


class ReplayWriter(PageWriter):
    """Writes pages of one replay, of which raw_data nearly always has what it takes."""

    def stage(self, db: Db, pages: list[StagedPage]) -> StagedBatch:
        return write.copied(db, pages, with_raw=False)

    def apply(self, db: Db, batch: StagedBatch) -> int:
        superseded = _superseded(db, batch.pages)
        if superseded or not _are_kept(db):
            batch = _staged_anew(db, batch.pages, superseded)
        pages = batch.pages
        is_applied = _is_applied(pages[0])
        place_pages(db, pages)
        db.execute(_INSERT_RECEIPTS, {"is_applied": is_applied})
        new = write.first_cells(db)
        if not new:
            return 0
        if superseded:
            db.execute(_DELETE_STAGED, (sorted(superseded),))
        numbers = _numbers_of(pages, new)
        db.execute(sql.COLLECT_PREVIOUS_IDS, {"numbers": numbers})
        outcomes, retired = _write(db, batch, new, is_applied=is_applied)
        _store_outcomes(db, pages[0].run_id, outcomes, retired)
        rows = [
            row
            for number in numbers
            for row in _dead_letters(pages[number])
        ]
        occasion = Occasion.REPLAYED if is_applied else Occasion.PREVIEW
        insert_dead_letters(db, rows, occasion)
        return len(new)


def _are_kept(db: Db) -> bool:
    """Whether raw_data has all staged pages, as they came."""
    db.execute(_ARE_KEPT)
    return db.fetchone() == (True,)


def _staged_anew(
    db: Db, pages: list[StagedPage], superseded: set[int]
) -> StagedBatch:
    """The batch with all that it takes, and with superseded pages as such.

    Which they are is known after the batch before is stored: it may hold what took their place.
    """
    db.execute("DELETE FROM stage_pages; DELETE FROM stage_points")
    return write.copied(
        db,
        [
            page.superseded() if number in superseded else page
            for number, page in enumerate(pages)
        ],
    )


def _numbers_of(pages: list[StagedPage], wanted: set[str]) -> list[int]:
    """The places of pages in the batch."""
    found = []
    for number, page in enumerate(pages):
        if page.page_id in wanted:
            found.append(number)
    return found


def _write(
    db: Db, batch: StagedBatch, new: set[str], *, is_applied: bool
) -> tuple[list[tuple[Any, ...]], Retired]:
    """Apply the new pages or keep them as a preview; (outcomes, what is retired)."""
    if not is_applied:
        outcomes = _keep_preview(db, batch.pages, new)
        return outcomes, _would_retire(db)
    if batch.has_raw:
        db.execute(sql.INSERT_RAW_PAGES)
    outcomes = write.upsert(db, batch, new, statement=sql.UPSERT_REPLAYED)
    return outcomes, write.retire(db, batch.pages[0].run_id)


def _is_applied(page: StagedPage) -> bool:
    replay = page.unified.replay
    return replay is not None and replay.mode == ReplayMode.APPLY


def _superseded(db: Db, pages: list[StagedPage]) -> set[int]:
    raws = [page.raw for page in pages]
    values = {
        "pages": [raw.page_id for raw in raws],
        "tasks": [raw.task_id for raw in raws],
        "numbers": [raw.page_no for raw in raws],
    }
    db.execute(_SELECT_SUPERSEDED, values)
    return {number for (number,) in db.fetchall()}


def _store_outcomes(
    db: Db, run_id: str, outcomes: list[tuple[Any, ...]], retired: Retired
) -> None:
    _update(db, sql.UPDATE_REPLAY_OUTCOMES, run_id, outcomes)
    _update(db, _UPDATE_RETIRED, run_id, list(retired.items()))


def _update(
    db: Db, statement: str, run_id: str, rows: list[tuple[Any, ...]]
) -> None:
    if rows:
        of_run = [(run_id, *row) for row in rows]
        psycopg2.extras.execute_values(db, statement, of_run)


def _dead_letters(page: StagedPage) -> list[Letter]:
    """What the mapping of today rejects.

    What the first run has rejected already keeps its dead letter.
    """
    raw = msgspec.structs.replace(page.raw, run_id=page.run_id)
    return dead_letter_rows(
        dataclasses.replace(page, raw=raw), page.rejections()
    )


def _keep_preview(
    db: Db, pages: list[StagedPage], new: set[str]
) -> list[tuple[Any, ...]]:
    """Keep what differs; returns the outcomes as `write.upsert` does."""
    outcomes = write.unchanged_outcomes(pages, new)
    db.execute(_KEEP_PREVIEW)
    for number, outcome, ids in db.fetchall():
        places = {
            id_: position
            for position, id_ in enumerate(pages[number].ids)
        }
        letter = ord(INSERTED if outcome == "i" else UPDATED)
        for id_ in ids:
            outcomes[number][places[id_]] = letter
    return write.tallied(pages, outcomes)


def _would_retire(db: Db) -> Retired:
    db.execute(
        f"SELECT page_id::text, id::text FROM ({sql.SELECT_DROPPED_POINTS}) AS dropped"
    )
    return write.ids_by_page(db)
