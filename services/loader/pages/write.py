"""Writing live pages: rows, revisions, receipts, dead letters.

Order matters. COPY into temporary tables comes first (`stage`), so that a process frozen inside
COPY holds no lock that another needs. Then come the receipts, which decide which pages are new;
then everything else, sorted by key so that two loaders cannot deadlock for long (`apply`).
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2.errors
import psycopg2.extras

from services.loader.database import Db, by_index
from services.loader.pages import asked, sql
from services.loader.pages.copy_rows import (
    INSERTED,
    PAGE_COLUMNS,
    POINT_COLUMNS,
    UNCHANGED,
    UPDATED,
    Round,
    in_rounds,
    page_rows,
    point_rows,
    tally,
)
from services.loader.pages.dead_letter_rows import (
    Letter,
    Occasion,
    dead_letter_rows,
    insert_dead_letters,
)
from services.loader.pages.staged_page import StagedPage
from services.loader.pages.stamps import place_pages
from shared.messages.base import Stage
from shared.messages.pages import Rejection
from shared.messages.topics import RAW
from shared.runtime import logs

COPY_BYTES = 1 << 20
SAMPLED = 16  # data points of a batch that are looked for
MAX_SHOWN = 4096  # bytes of a page's records in a dead letter
_TOO_LATE = (
    "came too late: the process that sent it was frozen, and another had "
    "taken over"
)
Row = tuple[Any, ...]
Retired = dict[str, list[str]]  # page id → ids of data points
log = logs.get(__name__)


@dataclass(frozen=True)
class StagedBatch:
    """Pages in the temporary tables. `has_raw`: with what raw_data takes of them."""

    pages: list[StagedPage]
    rounds: list[Round]
    has_raw: bool


class PageWriter(ABC):
    """The two steps in which a batch of pages is written, both in one transaction.

    Raises DATA_ERRORS for a row that PostgreSQL refuses.
    """

    def stage(self, db: Db, pages: list[StagedPage]) -> StagedBatch:
        """Copy the pages into temporary tables. Takes no lock."""
        return copied(db, pages)

    @abstractmethod
    def apply(self, db: Db, batch: StagedBatch) -> int:
        """Write what was staged; returns how many pages were new."""


class LiveWriter(PageWriter):
    """Writes pages as they come from the normalizer."""

    def apply(self, db: Db, batch: StagedBatch) -> int:
        pages = batch.pages
        place_pages(db, pages)
        db.execute(sql.INSERT_RECEIPTS)
        new = first_cells(db)
        remapped = (
            _see_to_known(db, pages) if len(new) < len(pages) else set()
        )
        if not new and not remapped:
            return 0
        db.execute(sql.INSERT_RAW_PAGES)
        outcomes = upsert(db, batch, new | remapped)
        _store_outcomes(db, outcomes, new, remapped)
        if remapped:
            retire(db, sql.NO_RUN)
        db.execute(sql.UPSERT_STREAM_STATE)
        insert_dead_letters(db, _dead_letters(pages, new), Occasion.LIVE)
        asked.keep(
            db,
            asked.of_pages(page for page in pages if page.page_id in new),
        )
        return len(new)


def copied(
    db: Db, pages: list[StagedPage], *, with_raw: bool = True
) -> StagedBatch:
    """COPY pages and their data points into the temporary tables.

    `with_raw`: with what raw_data takes of them, which PostgreSQL reads as JSON.
    """
    rounds = in_rounds(pages)
    rows = page_rows(pages, RAW.name, with_raw=with_raw)
    copy_lines(db, "stage_pages", PAGE_COLUMNS, rows)
    copy_lines(
        db, "stage_points", POINT_COLUMNS, point_rows(pages, rounds)
    )
    return StagedBatch(pages, rounds, with_raw)


def copy_lines(
    db: Db, table: str, columns: Sequence[str], lines: Iterable[str]
) -> None:
    """COPY lines in its text format into a table."""
    db.copy_expert(
        f"COPY {table} ({sql.quoted(columns)}) FROM STDIN",
        io.BytesIO("".join(lines).encode()),
        size=COPY_BYTES,
    )


def first_cells(db: Db) -> set[str]:
    return {cell for (cell,) in db.fetchall()}


def now_of(db: Db) -> Any:
    db.execute("SELECT clock_timestamp()")
    (now,) = db.fetchone() or (None,)
    return now


def _dead_letters(pages: list[StagedPage], new: set[str]) -> list[Letter]:
    rows: list[Letter] = []
    for page in pages:
        if page.page_id in new:
            rows += dead_letter_rows(page, page.rejections())
    return rows


def _store_outcomes(
    db: Db, outcomes: list[Row], new: set[str], remapped: set[str]
) -> None:
    of_new = [row for row in outcomes if row[0] in new]
    of_remapped = [
        (sql.NO_RUN, *row) for row in outcomes if row[0] in remapped
    ]
    if of_new:
        psycopg2.extras.execute_values(db, sql.UPDATE_OUTCOMES, of_new)
    if of_remapped:
        psycopg2.extras.execute_values(
            db, sql.UPDATE_REPLAY_OUTCOMES, of_remapped
        )


# -- pages that were known ------------------------------------------------------------------------


def _see_to_known(db: Db, pages: list[StagedPage]) -> set[str]:
    """See to pages that left no receipt.

    Returns those that a better mapping made and that are written again, outside the ledger.
    """
    db.execute(sql.SELECT_MAPPING_VERSIONS)
    versions = dict(db.fetchall())
    late = [
        pages[number] for number in versions if versions[number] is None
    ]
    _refuse_late(db, late)
    better = [
        number
        for number, version in versions.items()
        if _is_better(pages[number], version)
    ]
    as_good = len(versions) - len(better) - len(late)
    if as_good:
        log.info("pages_known", pages=as_good)
    return _remap(db, pages, better) if better else set()


def _is_better(page: StagedPage, version: int | None) -> bool:
    """Whether a page was made by a later mapping than the receipt that is there."""
    return (
        version is not None and version < page.unified.normalizer_version
    )


def _remap(
    db: Db, pages: list[StagedPage], numbers: list[int]
) -> set[str]:
    values = {"numbers": numbers}
    db.execute(sql.COLLECT_PREVIOUS_IDS, values)
    db.execute(sql.INSERT_REMAPPED_RECEIPTS, values)
    remapped = first_cells(db)
    _log_remapped(pages[numbers[0]], len(remapped))
    return remapped


def _log_remapped(page: StagedPage, count: int) -> None:
    version = page.unified.normalizer_version
    log.info("pages_reprocessed", pages=count, normalizer_version=version)


def _refuse_late(db: Db, late: list[StagedPage]) -> None:
    """Keep pages of stale workers as dead letters: another page has taken their number."""
    rows: list[Letter] = []
    for page in late:
        _log_superseded(page)
        rows += dead_letter_rows(page, [_superseded(page)])
    insert_dead_letters(db, rows, Occasion.KNOWN)


def _log_superseded(page: StagedPage) -> None:
    raw = page.raw
    log.warning(
        "page_superseded",
        run_id=raw.run_id,
        stream=raw.stream,
        page_no=raw.page_no,
        page_id=page.page_id,
    )


def _superseded(page: StagedPage) -> Rejection:
    raw = page.raw
    shown = bytes(raw.records)[:MAX_SHOWN]
    return Rejection(
        reason="superseded_page",
        message=f"page {raw.page_no} of this task {_TOO_LATE}",
        stage=Stage.LOAD,
        count=raw.record_count,
        payload=shown.decode("utf-8", "replace"),
    )


# -- data points ----------------------------------------------------------------------------------


def upsert(
    db: Db,
    batch: StagedBatch,
    applied: set[str],
    *,
    statement: str = sql.UPSERT_POINTS,
) -> list[Row]:
    """Write the data points of the applied pages, round by round.

    Returns the outcomes for their receipts. `statement`: for those that may be there.
    """
    outcomes = unchanged_outcomes(batch.pages, applied)
    is_all = len(applied) == len(batch.pages)
    for number, places in enumerate(batch.rounds):
        written = places
        if not is_all:
            written = {
                id_: place
                for id_, place in places.items()
                if place[0] in outcomes
            }
        values = {
            "round": number,
            "now": now_of(db),
            "points": len(written),
        }
        inserted: Iterable[str] | None = None
        updated: Iterable[str] = ()
        if number > 0 or not _insert_new(db, written, values):
            db.execute(statement, values)
            inserted, updated = db.fetchone() or ([], [])
        if inserted is None:  # all of them
            inserted = written
        for outcome, ids in ((INSERTED, inserted), (UPDATED, updated)):
            for page, position in map(written.__getitem__, ids):
                outcomes[page][position] = ord(outcome)
    return tallied(batch.pages, outcomes)


def _insert_new(db: Db, written: Round, values: dict[str, Any]) -> bool:
    """Insert data points of which none seems to be there; False, and nothing, where one is."""
    ids = list(written)
    if not ids:
        return False
    few = ids[:: max(1, len(ids) // SAMPLED)] + ids[-1:]
    db.execute(sql.ARE_KNOWN, (few,))
    if db.fetchone() == (True,):
        return False
    db.execute("SAVEPOINT before_insert")
    try:
        db.execute(sql.INSERT_POINTS, values)
    except psycopg2.errors.UniqueViolation:
        db.execute("ROLLBACK TO SAVEPOINT before_insert")
        return False
    db.execute("RELEASE SAVEPOINT before_insert")
    return True


def unchanged_outcomes(
    pages: list[StagedPage], applied: set[str]
) -> dict[int, bytearray]:
    """An outcome for each data point of the applied pages, by the page's place in the batch."""
    return {
        number: bytearray(UNCHANGED * len(page.ids))
        for number, page in enumerate(pages)
        if page.page_id in applied and page.ids
    }


def tallied(
    pages: list[StagedPage], outcomes: dict[int, bytearray]
) -> list[Row]:
    """(page id, outcomes, inserted, updated, unchanged) of each page."""
    return [
        (
            pages[number].page_id,
            *tally(pages[number].records, bytes(of_page)),
        )
        for number, of_page in outcomes.items()
    ]


def retire(db: Db, run_id: str) -> Retired:
    """Retire what the pages that are written again yield no more; returns the ids by page.

    Of what an older page yields now, and could not write while the page that is newer held it, that
    page's values stand.
    """
    db.execute(sql.KEEP_CONTENDERS, {"run": run_id})
    now = now_of(db)
    with by_index(db):
        db.execute(sql.RETIRE_DROPPED_POINTS, {"now": now})
        retired = ids_by_page(db)
    if retired:
        ids = sorted(
            {id_ for of_page in retired.values() for id_ in of_page}
        )
        db.execute(
            sql.APPLY_KEPT_POINTS, {"run": run_id, "now": now, "ids": ids}
        )
    db.execute(sql.DROP_SETTLED_CONTENDERS, {"run": run_id})
    return retired


def ids_by_page(db: Db) -> Retired:
    """(page id, id of a data point) rows, grouped."""
    found: Retired = {}
    for page_id, id_ in db.fetchall():
        found.setdefault(page_id, []).append(id_)
    return found
