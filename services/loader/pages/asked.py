"""What sources were asked for, and what came of it: ranges of event time, merged, kept for good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import psycopg2.extras

from services.loader.database import Db
from services.loader.pages.staged_page import StagedPage
from shared.identity.point_ids import moment_of
from shared.identity.windows import series_stream
from shared.messages.asked import (
    Asked,
    AskedOutcome,
    asked_from,
    merged,
)
from shared.messages.base import Source
from shared.messages.pages import Rejection, Skip

# Two loaders may store ranges of one stream: one after the other.
_LOCK = """
SELECT pg_advisory_xact_lock(hashtextextended(stream, 4711022))
FROM (SELECT DISTINCT unnest(%s::text[]) AS stream ORDER BY 1) AS streams
"""
# New ranges and those that they touch go together, as islands.
_MERGE = """
WITH new (stream, outcome, reason, every_s, first_at, last_at, run_id) AS (VALUES %s),
touched AS (
    DELETE FROM asked AS a USING new AS n
    WHERE (a.stream, a.outcome, a.reason, a.every_s) = (n.stream, n.outcome, n.reason, n.every_s)
    AND a.last_at >= n.first_at - make_interval(secs => n.every_s + 0.000001)
    AND a.first_at <= n.last_at + make_interval(secs => n.every_s + 0.000001)
    RETURNING a.stream, a.outcome, a.reason, a.every_s, a.first_at, a.last_at, a.run_id
), marked AS (
    SELECT *, coalesce(first_at > make_interval(secs => every_s + 0.000001) + max(last_at) OVER (
        PARTITION BY stream, outcome, reason, every_s ORDER BY first_at, last_at
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), true) AS is_begin
    FROM (SELECT * FROM new UNION SELECT * FROM touched) AS each
), islands AS (
    SELECT *, count(*) FILTER (WHERE is_begin) OVER (
        PARTITION BY stream, outcome, reason, every_s ORDER BY first_at, last_at) AS island
    FROM marked
)
INSERT INTO asked (stream, outcome, reason, every_s, first_at, last_at, run_id)
SELECT stream, outcome, reason, every_s, min(first_at), max(last_at),
       (array_agg(run_id ORDER BY last_at DESC))[1]
FROM islands GROUP BY stream, outcome, reason, every_s, island
"""
_TEMPLATE = "(%s, %s, %s, %s, %s::timestamptz, %s::timestamptz, %s::uuid)"
# A file that goes on where it was read to: all between is what it does not have.
_SELECT_FILES = """
SELECT r.stream, min(r.first_id::text), max(r.last_id::text), min(a.first_at), max(a.last_at)
FROM page_receipts AS r LEFT JOIN asked AS a ON a.stream = r.stream AND a.outcome = %(answered)s
WHERE r.run_id = %(run)s AND r.source = %(source)s AND r.first_id IS NOT NULL GROUP BY r.stream
"""
# What a file has by its reading of now is kept at the end of a run.
_FORGET = """
DELETE FROM asked
WHERE stream = %(stream)s AND (outcome = %(answered)s OR run_id IS DISTINCT FROM %(run)s)
"""
MAX_ROWS = 10_000  # at a time


class AskedOf(NamedTuple):
    """A range of a stream, and the run that asked."""

    stream: str
    run_id: str
    asked: Asked


def keep(db: Db, ranges: Sequence[AskedOf]) -> None:
    """Store ranges by the streams of series, merged with those that are there."""
    if not ranges:
        return
    streams = [series_stream(each.stream) for each in ranges]
    db.execute(_LOCK, (streams,))
    rows = [
        (
            stream,
            *each.asked.kind,
            each.asked.first,
            each.asked.last,
            each.run_id,
        )
        for stream, each in zip(streams, ranges, strict=True)
    ]
    psycopg2.extras.execute_values(
        db, _MERGE, rows, _TEMPLATE, page_size=MAX_ROWS
    )


def forget(db: Db, stream: str, run_id: str) -> None:
    """Leave out what other runs have read of a file: their times were read otherwise."""
    db.execute(_LOCK, ([stream],))
    values = {
        "stream": stream,
        "run": run_id,
        "answered": str(AskedOutcome.ANSWERED),
    }
    db.execute(_FORGET, values)


def keep_files(db: Db, run_id: str) -> None:
    """What a run has read of files: all from the first time that was ever read to the last."""
    values = {
        "run": run_id,
        "source": str(Source.CSV),
        "answered": str(AskedOutcome.ANSWERED),
    }
    db.execute(_SELECT_FILES, values)
    found = []
    for stream, first_id, last_id, first_at, last_at in db.fetchall():
        first = moment_of(first_id)
        last = moment_of(last_id)
        asked = asked_from(
            min(first, first_at or first), max(last, last_at or last)
        )
        found.append(AskedOf(stream, run_id, asked))
    keep(db, found)


def of_pages(pages: Iterable[StagedPage]) -> list[AskedOf]:
    """The times of records that yielded nothing, as ranges of records that follow each other."""
    return [
        AskedOf(page.raw.stream, page.run_id, asked)
        for page in pages
        for asked in merged(_of_page(page))
    ]


def _of_page(page: StagedPage) -> Iterator[Asked]:
    run: list[tuple[int, Asked]] = []
    for index, asked in sorted(
        _of_records(page), key=lambda each: each[0]
    ):
        if run and not _goes_on(run[-1], index, asked):
            yield _together(run)
            run = []
        run.append((index, asked))
    if run:
        yield _together(run)


def _goes_on(before: tuple[int, Asked], index: int, asked: Asked) -> bool:
    return before[0] + 1 == index and before[1].kind == asked.kind


def _together(run: list[tuple[int, Asked]]) -> Asked:
    ranges = [asked for _, asked in run]
    first = min(ranges, key=lambda each: each.begin)
    last = max(ranges, key=lambda each: each.end)
    return Asked(
        first=first.first,
        last=last.last,
        outcome=first.outcome,
        reason=first.reason,
    )


def _of_records(page: StagedPage) -> Iterator[tuple[int, Asked]]:
    """With the place of the record; of several records that of none."""
    for skip in page.unified.skipped:
        yield from _of(skip, skip.index, AskedOutcome.SKIPPED)
    for rejection in page.rejections():
        index = -2 if rejection.index is None else rejection.index
        yield from _of(rejection, index, AskedOutcome.REJECTED)


def _of(
    found: Skip | Rejection, index: int, outcome: AskedOutcome
) -> Iterator[tuple[int, Asked]]:
    first = found.event_time
    if first is None:
        return
    last = getattr(found, "last_event_time", None) or first
    yield (
        index,
        Asked(
            first=first, last=last, outcome=outcome, reason=found.reason
        ),
    )
