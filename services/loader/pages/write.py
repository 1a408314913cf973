"""One transaction a batch: pages, rows, revisions, receipts, dead letters.

Order matters. COPY into temporary tables comes first, so that a process frozen inside COPY holds no lock that another
needs; then the receipts, which decide which pages are new; then everything else, sorted by key so that two loaders
cannot deadlock for long.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras
from sqlalchemy import Engine

from services.loader.database import DATA_ERRORS, Cursor, cursor_of
from services.loader.dead_letters.undecodable import Undecodable
from services.loader.pages import sql as sql
from services.loader.pages.copy_rows import (
    INSERTED,
    PAGE_COLUMNS,
    POINT_COLUMNS,
    UNCHANGED,
    UPDATED,
    Round,
    StagedPage,
    in_rounds,
    page_rows,
    point_rows,
    tally,
)
from services.loader.pages.dead_letter_rows import insert_dead_letters, letter_rows
from shared.messages.base import Stage
from shared.messages.pages import Rejection
from shared.messages.serialization import encode
from shared.messages.topics import RAW
from shared.runtime import logs

log = logs.get(__name__)


def _at_once() -> None:
    """Nobody to wait for."""


Write = Callable[[Cursor, list[StagedPage], Callable[[], None]], int]


def write_pages(engine: Engine, pages: Sequence[StagedPage], *, turn: Callable[[], None] = _at_once, write: Write | None = None) -> int:
    """Write a batch in one transaction; returns how many pages were new. `write` instead of `_write`: another way of writing them.

    `turn` is called after the COPY into temporary tables and before the first lock is taken: it returns when the batch
    before this one is stored, so that the one is copied while the other is written. A batch that holds a row which
    PostgreSQL refuses is cut in half until that row alone is left and becomes a dead letter. Raises psycopg2.OperationalError and the like when the database is away; then nothing was written.
    """
    pages, write = once_each(pages), write or _write
    if not pages:
        return 0
    try:
        with engine.begin() as transaction:
            return write(cursor_of(transaction), pages, turn)
    except DATA_ERRORS as error:
        if len(pages) > 1:
            middle = len(pages) // 2
            return write_pages(engine, pages[:middle], write=write) + write_pages(engine, pages[middle:], write=write)
        if pages[0].is_refused:
            return _give_up(engine, pages[0], error)
        return write_pages(engine, [_without_bad_points(engine, pages[0], error, write)], write=write)


def once_each(pages: Sequence[StagedPage]) -> list[StagedPage]:
    """Each page once, as it first stood in the raw topic and by the best mapping: a normalizer that was restarted sends some twice."""
    first: dict[str, StagedPage] = {}
    for page in sorted(pages, key=lambda page: (page.unified.raw_time, page.unified.raw_offset, -page.unified.normalizer_version)):
        first.setdefault(page.raw.page_id, page)
    return list(first.values())


def _give_up(engine: Engine, page: StagedPage, error: psycopg2.Error) -> int:
    """Not even what is said about the page can be stored (a time that is none, a name with NUL): it is a message like any foreign one."""
    where, value = page.unified, encode(page.raw)
    letter = Undecodable(RAW.name, where.raw_partition, where.raw_offset, Stage.LOAD, str(error), value)
    log.error("page_unstorable", page_id=page.raw.page_id, partition=where.raw_partition, offset=where.raw_offset, error=str(error))
    with engine.begin() as transaction:
        insert_dead_letters(cursor_of(transaction), [letter.row()])
    return 0


def _without_bad_points(engine: Engine, page: StagedPage, error: psycopg2.Error, write: Write) -> StagedPage:
    message = str(error).strip().splitlines()[0]
    if not _is_accepted(engine, page, (), write):
        log.error("page_refused", stream=page.raw.stream, page_id=page.raw.page_id, error=message)
        return page.refused("refused_by_database", message)
    bad = _bad_points(engine, page, range(len(page.ids)), write)
    if not bad:  # what it refused lies in none of them alone
        log.error("page_refused", stream=page.raw.stream, page_id=page.raw.page_id, error=message)
        return page.refused("refused_by_database", message)
    log.warning("records_refused", stream=page.raw.stream, page_id=page.raw.page_id, records=len(bad), error=message)
    return page.without(bad, "refused_by_database", message)


def _bad_points(engine: Engine, page: StagedPage, positions: Sequence[int], write: Write) -> set[int]:
    """Positions of the data points that PostgreSQL refuses, by bisection; writes nothing."""
    if not positions or _is_accepted(engine, page, positions, write):
        return set()
    if len(positions) == 1:
        return set(positions)
    middle = len(positions) // 2
    return _bad_points(engine, page, positions[:middle], write) | _bad_points(engine, page, positions[middle:], write)


def _is_accepted(engine: Engine, page: StagedPage, positions: Sequence[int], write: Write) -> bool:
    keep = set(positions)
    trial = page.without({n for n in range(len(page.ids)) if n not in keep}, "trial", "")
    with engine.connect() as connection:
        try:
            write(cursor_of(connection), [trial], _at_once)
        except DATA_ERRORS:
            return False
        finally:
            connection.rollback()
    return True


def _write(cursor: Cursor, pages: list[StagedPage], turn: Callable[[], None] = _at_once) -> int:
    rounds = in_rounds(pages)
    copy_rows(cursor, "stage_pages", PAGE_COLUMNS, page_rows(pages, RAW.name))
    copy_rows(cursor, "stage_points", POINT_COLUMNS, point_rows(pages, rounds))
    turn()
    cursor.execute(sql.RECEIPTS)
    new = {page_id for (page_id,) in cursor.fetchall()}
    again = _not_new(cursor, pages) if len(new) < len(pages) else set()
    if not new and not again:
        return 0
    cursor.execute(sql.INSERT_RAW)
    outcomes = upsert(cursor, pages, rounds, new | again)
    if rows := [row for row in outcomes if row[0] in new]:
        psycopg2.extras.execute_values(cursor, sql.OUTCOMES, rows)
    if rows := [(sql.NO_RUN, *row) for row in outcomes if row[0] in again]:
        psycopg2.extras.execute_values(cursor, sql.OUTCOMES_OF_RUN, rows)
    if again:
        retire(cursor, sql.NO_RUN)
    cursor.execute(sql.STREAM_STATE)
    letters = [letter for page in pages if page.raw.page_id in new for letter in letter_rows(page, page.rejections())]
    insert_dead_letters(cursor, letters)
    return len(new)


def _not_new(cursor: Cursor, pages: list[StagedPage]) -> set[str]:
    """See to pages that left no receipt; returns those that a better mapping made and that are written again, outside the ledger."""
    cursor.execute(sql.KNOWN)
    known = cursor.fetchall()
    better = [number for number, version in known if version is not None and version < pages[number].unified.normalizer_version]
    late = [pages[number] for number, version in known if version is None]
    for page in late:
        log.warning("page_superseded", run_id=page.raw.run_id, stream=page.raw.stream, page_no=page.raw.page_no, page_id=page.raw.page_id)
    insert_dead_letters(cursor, [letter for page in late for letter in letter_rows(page, [_superseded(page)])])
    if as_good := len(known) - len(better) - len(late):
        log.info("pages_known", pages=as_good)
    if not better:
        return set()
    cursor.execute(sql.OLD, {"numbers": better})
    cursor.execute(sql.AGAIN, {"numbers": better})
    again = {page_id for (page_id,) in cursor.fetchall()}
    log.info("pages_reprocessed", pages=len(again), normalizer_version=pages[better[0]].unified.normalizer_version)
    return again


def _superseded(page: StagedPage) -> Rejection:
    return Rejection(
        reason="superseded_page", stage=Stage.LOAD, count=page.raw.record_count, payload=bytes(page.raw.records)[:4096].decode("utf-8", "replace"),
        message=f"page {page.raw.page_no} of this task came too late: the process that sent it was frozen, and another had taken over",
    )  # fmt: skip


def upsert(cursor: Cursor, pages: list[StagedPage], rounds: list[Round], applied: set[str]) -> list[tuple[Any, ...]]:
    """Write the data points of the applied pages, round by round; returns the outcomes for their receipts."""
    outcomes = {
        number: bytearray(UNCHANGED * len(page.ids)) for number, page in enumerate(pages) if page.raw.page_id in applied and page.ids
    }
    for number, places in enumerate(rounds):
        written = places if len(applied) == len(pages) else {id_: place for id_, place in places.items() if place[0] in outcomes}
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone() or (None,)
        cursor.execute(sql.UPSERT, {"round": number, "now": now, "points": len(written)})
        inserted, updated = cursor.fetchone() or ([], [])
        for outcome, ids in ((INSERTED, written if inserted is None else inserted), (UPDATED, updated)):
            for page, position in map(written.__getitem__, ids):
                outcomes[page][position] = ord(outcome)
    return [(pages[number].raw.page_id, *tally(pages[number].records, bytes(each))) for number, each in outcomes.items()]


def retire(cursor: Cursor, run_id: str) -> dict[str, list[str]]:
    """Retire what the pages that are written again yield no more; returns the ids by page.

    Of what an older page yields now, and could not write while the page that is newer held it, that page's values stand.
    """
    cursor.execute(sql.CONTEND, {"run": run_id})
    cursor.execute("SELECT clock_timestamp()")
    (now,) = cursor.fetchone() or (None,)
    cursor.execute(sql.RETIRE, {"now": now})
    retired = by_page(cursor)
    if retired:
        ids = sorted({id_ for page in retired.values() for id_ in page})
        cursor.execute(sql.WRITE_KEPT, {"run": run_id, "now": now, "ids": ids})
    cursor.execute(sql.SETTLED, {"run": run_id})
    return retired


def by_page(cursor: Cursor) -> dict[str, list[str]]:
    """(page id, id of a data point) rows, grouped."""
    found: dict[str, list[str]] = {}
    for page_id, id_ in cursor.fetchall():
        found.setdefault(page_id, []).append(id_)
    return found


def copy_rows(cursor: Cursor, table: str, columns: Sequence[str], rows: Iterable[str]) -> None:
    """COPY lines in its text format into a table."""
    cursor.copy_expert(f"COPY {table} ({sql.quoted(columns)}) FROM STDIN", io.BytesIO("".join(rows).encode()), size=1 << 20)
