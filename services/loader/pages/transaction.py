"""A batch of pages in one transaction, and what is done when PostgreSQL refuses a row of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import psycopg2
from sqlalchemy import Engine

from services.loader.database import DATA_ERRORS, db_of
from services.loader.dead_letters.undecodable import Undecodable
from services.loader.pages import partitions
from services.loader.pages.dead_letter_rows import (
    Occasion,
    insert_dead_letters,
)
from services.loader.pages.series import number_series
from services.loader.pages.staged_page import StagedPage
from services.loader.pages.write import (
    LiveWriter,
    PageWriter,
    StagedBatch,
)
from shared.messages.base import Stage
from shared.messages.serialization import encode
from shared.messages.topics import RAW
from shared.runtime import logs

REFUSED = "refused_by_database"
log = logs.get(__name__)


class BatchTransaction:
    """A batch that is staged by `stage`, then written and committed by `apply`.

    In between, the batch before it can be stored. Both block; they may run in different threads,
    one after the other.
    """

    def __init__(
        self, engine: Engine, pages: list[StagedPage], writer: PageWriter
    ) -> None:
        self._engine = engine
        self._pages = pages
        self._writer = writer
        self._open = ExitStack()
        self.is_staged = False

    def stage(self) -> None:
        """Raises DATA_ERRORS, DATABASE_UNAVAILABLE."""
        _prepare(self._engine, self._pages)
        with ExitStack() as stack:
            transaction = stack.enter_context(self._engine.begin())
            self._db = db_of(transaction)
            self._batch: StagedBatch = self._writer.stage(
                self._db, self._pages
            )
            self._open = stack.pop_all()
            self.is_staged = True

    def apply(self) -> int:
        """Write and commit; returns how many pages were new. Raises as `stage`."""
        self.is_staged = False
        with self._open.pop_all():
            return self._writer.apply(self._db, self._batch)

    def abandon(self) -> None:
        """Roll back what was staged and not applied. Blocks as long as the server takes."""
        self.is_staged = False
        error = InterruptedError("abandoned")
        self._open.__exit__(type(error), error, None)


def _prepare(engine: Engine, pages: Sequence[StagedPage]) -> None:
    """Make what the pages need beforehand. Raises DATA_ERRORS, DATABASE_UNAVAILABLE."""
    partitions.ensure_partitions(engine, pages)
    number_series(engine, pages)


def write_pages(
    engine: Engine,
    pages: Sequence[StagedPage],
    writer: PageWriter | None = None,
) -> int:
    """Write a batch in one transaction; returns how many pages were new.

    A batch that holds a row which PostgreSQL refuses is cut in half until that row alone is left
    and becomes a dead letter. Raises DATABASE_UNAVAILABLE; then nothing was written.
    """
    writer = writer or LiveWriter()
    unique = once_each(pages)
    if not unique:
        return 0
    try:
        return _write_whole(engine, unique, writer)
    except DATA_ERRORS as error:
        return write_in_parts(engine, unique, writer, error)


def _write_whole(
    engine: Engine, pages: list[StagedPage], writer: PageWriter
) -> int:
    transaction = BatchTransaction(engine, pages, writer)
    transaction.stage()
    return transaction.apply()


def write_in_parts(
    engine: Engine,
    pages: list[StagedPage],
    writer: PageWriter,
    error: psycopg2.Error,
) -> int:
    """Write pages of which PostgreSQL refused a row; returns how many were new."""
    if partitions.is_missing(error):
        partitions.forget(engine)
        try:
            return _write_whole(engine, pages, writer)
        except DATA_ERRORS as again:
            error = again
    if len(pages) > 1:
        middle = len(pages) // 2
        first = write_pages(engine, pages[:middle], writer)
        return first + write_pages(engine, pages[middle:], writer)
    (page,) = pages
    if page.is_bare:
        return _keep_as_foreign(engine, page, error)
    if page.is_refused:
        return write_pages(engine, [page.bare()], writer)
    return write_pages(
        engine, [_without_bad_points(engine, page, writer, error)], writer
    )


def once_each(pages: Sequence[StagedPage]) -> list[StagedPage]:
    """Each page once, by the best mapping, in the order in which partitions have them.

    A normalizer that was restarted sends some twice. Between partitions the broker's time decides.
    """
    best: dict[str, StagedPage] = {}
    latest: dict[int, int] = {}
    times: dict[str, int] = {}
    for page in pages:
        known = best.get(page.page_id)
        if known is None or _is_better(page, known):
            best[page.page_id] = page
        if known is None:
            at = page.unified.raw_partition
            latest[at] = max(latest.get(at, 0), page.unified.raw_time)
            times[page.page_id] = latest[at]
    return sorted(best.values(), key=lambda page: times[page.page_id])


def _is_better(page: StagedPage, known: StagedPage) -> bool:
    """Whether a copy of a page is by a later mapping; of one mapping the first stands."""
    version = page.unified.normalizer_version
    return version > known.unified.normalizer_version


def _keep_as_foreign(
    engine: Engine, page: StagedPage, error: psycopg2.Error
) -> int:
    """Keep a page whose description cannot be stored either.

    Such as an invalid time, or a name with NUL: it is a message like any foreign one.
    """
    partition = page.unified.raw_partition
    offset = page.unified.raw_offset
    log.error(
        "page_unstorable",
        page_id=page.page_id,
        partition=partition,
        offset=offset,
        error=str(error),
    )
    letter = Undecodable(
        RAW.name,
        partition,
        offset,
        Stage.LOAD,
        str(error),
        encode(page.raw),
    )
    with engine.begin() as transaction:
        insert_dead_letters(
            db_of(transaction), [letter.row()], Occasion.KNOWN
        )
    return 0


def _without_bad_points(
    engine: Engine,
    page: StagedPage,
    writer: PageWriter,
    error: psycopg2.Error,
) -> StagedPage:
    message = str(error).strip().splitlines()[0]
    at = {"stream": page.raw.stream, "page_id": page.page_id}
    bad: set[int] = set()
    if _is_accepted(engine, page, (), writer):
        bad = _bad_points(engine, page, range(len(page.ids)), writer)
    if not bad:  # what it refused lies in none of them alone
        log.error("page_refused", **at, error=message)
        return page.refused(REFUSED, message)
    log.warning("records_refused", **at, records=len(bad), error=message)
    return page.without(bad, REFUSED, message)


def _bad_points(
    engine: Engine,
    page: StagedPage,
    positions: Sequence[int],
    writer: PageWriter,
) -> set[int]:
    """Positions of the data points that PostgreSQL refuses, by bisection; writes nothing."""
    if not positions or _is_accepted(engine, page, positions, writer):
        return set()
    if len(positions) == 1:
        return set(positions)
    middle = len(positions) // 2
    left = _bad_points(engine, page, positions[:middle], writer)
    return left | _bad_points(engine, page, positions[middle:], writer)


def _is_accepted(
    engine: Engine,
    page: StagedPage,
    positions: Sequence[int],
    writer: PageWriter,
) -> bool:
    """Whether the page could be written with these data points alone; writes nothing."""
    kept = set(positions)
    others = {
        position
        for position in range(len(page.ids))
        if position not in kept
    }
    trial = page.without(others, "trial", "")
    with engine.connect() as connection:
        try:
            _prepare(engine, [trial])
            db = db_of(connection)
            writer.apply(db, writer.stage(db, [trial]))
        except DATA_ERRORS:
            return False
        finally:
            connection.rollback()
    return True
