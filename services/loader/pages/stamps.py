"""The place of pages in the one order of versions, given once, when a page is first loaded.

The broker's clock may step back, a topic may be made anew or lose its end: then what is newer has
an earlier time or a smaller offset. So a page is placed by a generation, which rises when that is
seen, and within it by a time that never goes back in its partition. Of a stream whose pages lie in
several partitions the time never goes back in the stream: each page tells what it comes after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg2.extras

from services.loader.database import Db
from services.loader.pages.staged_page import StagedPage
from shared.messages.pages import place_ms
from shared.runtime import logs
from shared.versions import MAX_GENERATION, place_of, with_time

# A clock that goes back by less is kept from going back; by more, it was set.
STEP_MS = 5_000
# By which the broker's clock may be ahead of the database's, before it is taken to be wrong.
AHEAD_MS = 60_000
_LOCK_CLOCKS = """
INSERT INTO raw_clocks (partition) SELECT unnest(%(partitions)s::int[]) ORDER BY 1
ON CONFLICT DO NOTHING;
SELECT partition, generation, last_ms, last_offset FROM raw_clocks
WHERE partition = ANY(%(partitions)s) ORDER BY partition FOR UPDATE
"""
_SELECT_ALL = """
SELECT coalesce(max(generation), 0), coalesce(max(last_ms), 0),
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint
FROM raw_clocks
"""
# Pages that were placed before, and those that will leave no receipt. Each is looked for by itself,
# which LIMIT keeps PostgreSQL to: of a join it would sooner read all receipts for every batch.
_SELECT_KNOWN = """
SELECT s.n, coalesce(p.raw_time, 0), coalesce(p.raw_offset, s.raw_offset) FROM stage_pages AS s
LEFT JOIN LATERAL (
    SELECT r.raw_time, r.raw_offset FROM page_receipts AS r WHERE r.page_id = s.page_id LIMIT 1
) AS p ON true
WHERE p.raw_time IS NOT NULL
OR (SELECT true FROM page_receipts AS o
    WHERE o.task_id = s.of_task AND o.page_no = s.page_no LIMIT 1)
OR (SELECT true FROM run_tasks AS t
    WHERE t.task_id = s.of_task AND t.finished_at IS NOT NULL AND s.page_no >= t.pages LIMIT 1)
"""
# Of a page that is published again or comes late: the one that first lay there, else the last one
# before it in the partition. By the broker's times, since a log that was cut uses offsets again;
# where raw pages are no longer kept, by their places: of another partition before there were more,
# the offset alone says nothing.
_SELECT_BEFORE = """
SELECT raw_time, page_id::text, task_id::text, page_no, "offset" FROM (
(SELECT 1 AS way, p.raw_time, p.page_id, p.task_id, p.page_no, d.offset
 FROM raw_data AS d JOIN page_receipts AS p USING (page_id)
 WHERE d.partition = %(partition)s AND d.offset <= %(offset)s
 AND d.broker_time <= to_timestamp(%(ms)s / 1000.0)
 ORDER BY d.broker_time DESC, d.offset DESC LIMIT 1)
UNION ALL
(SELECT 2, p.raw_time, p.page_id, p.task_id, p.page_no, p.raw_offset
 FROM page_receipts AS p
 WHERE p.raw_partition = %(partition)s AND p.raw_offset <= %(offset)s
 AND p.raw_time < %(next_place)s
 ORDER BY p.raw_time DESC, p.raw_offset DESC LIMIT 1)) AS found
ORDER BY way LIMIT 1
"""
_SET_PLACES = """
UPDATE stage_pages AS s SET raw_time = o.place, raw_offset = o.raw_offset
FROM (VALUES %s) AS o (n, place, raw_offset) WHERE s.n = o.n
"""
_STORE_CLOCKS = """
UPDATE raw_clocks AS c SET generation = o.generation, last_ms = o.last_ms,
    last_offset = o.last_offset
FROM (VALUES %s) AS o (partition, generation, last_ms, last_offset)
WHERE c.partition = o.partition
"""
Place = tuple[int, int]  # its number, and the offset within it
log = logs.get(__name__)


@dataclass
class Clock:
    """Where a partition's pages stand: the generation, the last time and offset of it."""

    generation: int = 0
    last_ms: int = 0
    last_offset: int = -1


@dataclass
class Clocks:
    """Those of some partitions. Pure.

    `generation`, `latest_ms`: the greatest of all partitions. `now_ms`: by the database's clock.
    """

    by_partition: dict[int, Clock]
    generation: int
    latest_ms: int
    now_ms: int

    def place(self, partition: int, offset: int, time_ms: int) -> int:
        """The place of the partition's next page."""
        clock = self.by_partition[partition]
        if self._has_gone_back(clock, offset, time_ms):
            self.generation = min(self.generation + 1, MAX_GENERATION)
            log.warning(
                "generation_risen",
                partition=partition,
                offset=offset,
                last_offset=clock.last_offset,
                time_ms=time_ms,
                last_ms=clock.last_ms,
            )
        if clock.generation < self.generation:
            clock.generation = self.generation
            clock.last_ms = time_ms
            self.latest_ms = time_ms
        clock.last_ms = max(clock.last_ms, time_ms)
        clock.last_offset = offset
        self.latest_ms = max(self.latest_ms, time_ms)
        return place_of(clock.generation, clock.last_ms, partition)

    def is_late(self, partition: int, offset: int, time_ms: int) -> bool:
        """Whether a page lies before others of its log that came first.

        A normalizer that was frozen sends such ones. After its log was cut or made anew, a page has
        a smaller offset and a later time, or the clock was set.
        """
        clock = self.by_partition[partition]
        is_near = clock.last_ms - STEP_MS <= time_ms < clock.last_ms
        return is_near and offset < clock.last_offset

    def _has_gone_back(
        self, clock: Clock, offset: int, time_ms: int
    ) -> bool:
        """The topic was made anew or has lost its end, or its broker's clock was set back."""
        if offset <= clock.last_offset:
            return True
        if clock.generation < self.generation:
            return False
        was_ahead = self.latest_ms > self.now_ms + AHEAD_MS
        before = self.latest_ms if was_ahead else clock.last_ms
        return time_ms < before - STEP_MS


def place_pages(db: Db, pages: Sequence[StagedPage]) -> None:
    """Give each staged page its place: that of its receipt, or a new one."""
    db.execute(_SELECT_KNOWN)
    places = {
        number: (place, offset) for number, place, offset in db.fetchall()
    }
    new = [
        (number, page)
        for number, page in enumerate(pages)
        if number not in places
    ]
    if new:
        places |= _new_places(db, new)
    if places:
        rows = [(number, *place) for number, place in places.items()]
        psycopg2.extras.execute_values(db, _SET_PLACES, rows)


def _new_places(
    db: Db, pages: list[tuple[int, StagedPage]]
) -> dict[int, Place]:
    clocks = _locked(
        db, {page.unified.raw_partition for _, page in pages}
    )
    places = {number: _place(db, clocks, page) for number, page in pages}
    _store(db, clocks)
    return places


def _locked(db: Db, partitions: set[int]) -> Clocks:
    db.execute(_LOCK_CLOCKS, {"partitions": sorted(partitions)})
    found = {
        partition: Clock(generation, last_ms, last_offset)
        for partition, generation, last_ms, last_offset in db.fetchall()
    }
    db.execute(_SELECT_ALL)
    generation, latest_ms, now_ms = db.fetchone() or (0, 0, 0)
    return Clocks(found, generation, latest_ms, now_ms)


def _place(db: Db, clocks: Clocks, page: StagedPage) -> Place:
    unified = page.unified
    partition = unified.raw_partition
    offset = unified.raw_offset
    time_ms = unified.raw_time
    after_ms = page.raw.after_ms
    is_again = unified.replay is not None or unified.republished
    if not is_again and not clocks.is_late(partition, offset, time_ms):
        place = clocks.place(partition, offset, time_ms)
        return in_stream(place, time_ms, after_ms), offset
    clock = clocks.by_partition[partition]
    # Of a partition that is new the generation is the one of all.
    generation = (
        clocks.generation if clock.last_offset < 0 else clock.generation
    )
    values = {
        "partition": partition,
        "offset": offset,
        "ms": time_ms,
        "next_place": place_of(generation, time_ms + STEP_MS, 0),
    }
    db.execute(_SELECT_BEFORE, values)
    found = db.fetchone()
    if found is None:
        # Nothing before it is known, so that it is the oldest of its partition.
        place = place_of(generation, time_ms, partition)
        return in_stream(place, time_ms, after_ms), offset
    place, page_id, task_id, page_no, offset_before = found
    if after_ms is not None:
        return in_stream(int(place), time_ms, after_ms), offset
    if page_id != page.page_id and offset_before == offset:
        # Read again from its source, it stands behind the page whose position it was given.
        is_of_task = task_id == page.task_id
        offset += max(1, page.raw.page_no - page_no) if is_of_task else 1
    return int(place), offset


def in_stream(place: int, time_ms: int, after_ms: int | None) -> int:
    """The place of a page that tells what it comes after; else the one that its partition gives."""
    if after_ms is None:
        return place
    return with_time(place, place_ms(time_ms, after_ms))


def _store(db: Db, clocks: Clocks) -> None:
    rows = [
        (partition, clock.generation, clock.last_ms, clock.last_offset)
        for partition, clock in clocks.by_partition.items()
    ]
    psycopg2.extras.execute_values(db, _STORE_CLOCKS, rows)
