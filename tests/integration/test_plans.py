"""A batch finds what it needs by indexes, however many pages, runs and data points there are."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, text

from services.loader.pages.staged_page import StagedPage
from services.loader.pages.transaction import write_pages
from services.loader.pages.write import (
    LiveWriter,
    PageWriter,
    StagedBatch,
)
from services.loader.pages.write_replayed import ReplayWriter
from shared.messages.pages import ReplayOf
from shared.messages.serialization import encode
from tests.support.pages import raw_page, unified_page

MANY = 5_000
_READ_WHOLE = """
SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables
WHERE schemaname = 'public' AND seq_tup_read >= %s
"""
# Pages, their receipts and tasks of a time before, as many as a loader meets after a while.
_FILL = """
CREATE TEMP TABLE old AS
SELECT gen_random_uuid() AS page, gen_random_uuid() AS task, gen_random_uuid() AS run, n
FROM generate_series(1, :many) AS n;
INSERT INTO run_tasks (task_id, run_id, source, stream, pages, finished_at)
SELECT task, run, 'csv', 'csv/old/' || n, 1, now() FROM old;
INSERT INTO page_receipts (page_id, run_id, task_id, source, stream, page_no, records, skipped,
    rejected, skip_reasons, normalizer_version, raw_partition, raw_offset, raw_time, ids,
    value_hashes)
SELECT page, run, task, 'csv', 'csv/old/' || n, 0, 1, 0, 0, '{}', 5, 0, n, n,
       ARRAY[page], ARRAY[n] FROM old;
INSERT INTO replay_receipts (run_id, page_id, task_id, source, stream, records, skipped, rejected,
    skip_reasons, normalizer_version, raw_partition, raw_offset, raw_time, ids, value_hashes,
    is_applied)
SELECT gen_random_uuid(), page, task, 'csv', 'csv/old/' || n, 1, 0, 0, '{}', 5, 0, n, n,
       ARRAY[page], ARRAY[n], true FROM old;
INSERT INTO raw_data (page_id, run_id, task_id, source, dataset, stream, page_no, record_count,
    fetched_at, broker_time, origin, context, payload, cursor_before, cursor_after, topic,
    "partition", "offset")
SELECT page, run, task, 'csv', 'old', 'csv/old/' || n, 0, 1, now(), now(), '{}', '{}', '[]',
       'null', 'null', 'ingest.raw', 0, n FROM old;
INSERT INTO stream_state (stream, source, dataset, run_id, page_no, cursor, raw_partition,
    raw_offset, raw_time, loaded_at)
SELECT 'csv/old/' || n, 'csv', 'old', run, 0, 'null', 0, n, n, now() FROM old;
INSERT INTO series (key, source, dataset, stream, kind, points)
SELECT page, 'csv', 'old', 'csv/old/' || n, 'price', 1 FROM old;
INSERT INTO asked (stream, outcome, reason, every_s, first_at, last_at, run_id)
SELECT 'csv/old/' || n, 'answered', '', 0, '2020-01-01Z', '2020-01-02Z', run FROM old;
DROP TABLE old;
"""


class Watching(PageWriter):
    """A writer that notes which tables a batch has read whole."""

    def __init__(self, inner: PageWriter) -> None:
        self._inner = inner
        self.read: dict[str, int] = {}

    def stage(self, db: Any, pages: list[StagedPage]) -> StagedBatch:
        return self._inner.stage(db, pages)

    def apply(self, db: Any, batch: StagedBatch) -> int:
        new = self._inner.apply(db, batch)
        db.execute(_READ_WHOLE, (MANY,))
        self.read |= dict(db.fetchall())
        return new


def staged(offset: int, *, version: int = 5, **more: Any) -> StagedPage:
    """A page of 500 candles."""
    rows = [
        [
            str(1_600_000_000 + 60 * (500 * offset + n)),
            *("1", "2", "1"),
            "2",
            "9",
        ]
        for n in range(500)
    ]
    page = unified_page(
        raw_page(rows, run_id=str(uuid.UUID(int=7)), page_no=offset),
        offset=MANY + offset,
    )
    page = msgspec.structs.replace(
        page, normalizer_version=version, **more
    )
    return StagedPage.from_message(encode(page))


@pytest.fixture
def full(engine: Engine) -> None:
    with engine.begin() as transaction:
        transaction.execute(text(_FILL), {"many": MANY})
    with engine.connect().execution_options(
        isolation_level="AUTOCOMMIT"
    ) as connection:
        connection.execute(text("ANALYZE"))
    write_pages(engine, [staged(n) for n in range(20)])


def read_whole(
    engine: Engine, pages: list[StagedPage], inner: PageWriter
) -> dict[str, int]:
    writer = Watching(inner)
    write_pages(engine, pages, writer)
    return writer.read


@pytest.mark.usefixtures("full")
def test_pages_that_are_new(engine: Engine) -> None:
    pages = [staged(n) for n in range(20, 40)]
    assert read_whole(engine, pages, LiveWriter()) == {}


@pytest.mark.usefixtures("full")
def test_pages_that_are_known(engine: Engine) -> None:
    pages = [staged(n) for n in range(10, 30)]
    assert read_whole(engine, pages, LiveWriter()) == {}


@pytest.mark.usefixtures("full")
def test_pages_of_a_better_mapping(engine: Engine) -> None:
    pages = [staged(n, version=6) for n in range(20)]
    assert read_whole(engine, pages, LiveWriter()) == {}


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("mode", ["apply", "preview"])
def test_pages_of_a_replay(engine: Engine, mode: str) -> None:
    run = str(uuid.UUID(int=8))
    replay = ReplayOf(run_id=run, task_id=run, mode=mode)
    pages = [staged(n, version=6, replay=replay) for n in range(20)]
    assert read_whole(engine, pages, ReplayWriter()) == {}
