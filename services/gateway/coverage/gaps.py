"""What is there of a series and what is not, read from PostgreSQL."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Any

from services.gateway.coverage.causes import Cause, Claim, Span
from services.gateway.coverage.grid import Grid
from services.gateway.database import Database, Where
from services.gateway.prices.bars import MAX_READ, among
from services.gateway.prices.intervals import Interval
from services.gateway.prices.series import (
    EARLIEST,
    LATEST,
    WholeSeries,
)
from services.gateway.problems import ProblemError, field_problem
from services.gateway.queries.raw_pages import pruned_before
from shared.identity.point_ids import NEWS, first_id_at
from shared.identity.windows import (
    OF_WINDOW,
    STEP,
    parent_of,
    series_stream,
)
from shared.messages.asked import LIVE_EVERY_S, AskedOutcome
from shared.messages.base import Source

MAX_GAPS = 1_000  # of a series
MAX_ASKED = 20_000  # ranges
_TICK = timedelta(microseconds=1)
_MEAN_MONTH_S = 2_629_746
_SAMPLE = 10_000  # data points whose distances tell the usual one
_LIVE = (Source.COINPAPRIKA, Source.COINGECKO)
_CAUSES = {
    AskedOutcome.ANSWERED: Cause.NO_DATA,
    AskedOutcome.FAILED: Cause.FAILED,
    AskedOutcome.REJECTED: Cause.REJECTED,
    AskedOutcome.SKIPPED: Cause.SKIPPED,
    AskedOutcome.UNKNOWN: Cause.UNKNOWN,
}
_SELECT_GAPS = """
SELECT count(*) AS points, min(at) AS first, max(at) AS last,
       (array_agg(at ORDER BY at) FILTER (WHERE next - at > {most}))[1:{gaps}] AS ends,
       (array_agg(next ORDER BY at) FILTER (WHERE next - at > {most}))[1:{gaps}] AS begins,
       coalesce(sum(round(extract(epoch FROM next - at) / {every}) - 1)
                FILTER (WHERE next - at > {most}), 0)::bigint AS missing
FROM (
    SELECT at, lead(at) OVER (ORDER BY id) AS next FROM (
        SELECT id, "timestamp" AS at FROM points
        WHERE series_id {of_series} AND id >= {first} AND id < {past}
        AND retired_at IS NULL ORDER BY id LIMIT {read}
    ) AS read
) AS each
"""
_COUNT_NEWS = """
SELECT count(*) AS points FROM points_news
WHERE series_id {of_series} AND "timestamp" >= {first} AND "timestamp" < {past}
AND retired_at IS NULL
"""
_SELECT_USUAL = """
SELECT mode() WITHIN GROUP (ORDER BY next - at) AS usual FROM (
    SELECT "timestamp" AS at, lead("timestamp") OVER (ORDER BY id) AS next FROM (
        SELECT id, "timestamp" FROM points
        WHERE series_id {of_series} AND retired_at IS NULL ORDER BY id DESC LIMIT {sample}
    ) AS newest) AS each WHERE next > at
"""
_SELECT_RETIRED = """
SELECT min(at) AS first, max(at) AS last FROM (
    SELECT at, count(*) FILTER (WHERE is_begin) OVER (ORDER BY at) AS island FROM (
        SELECT "timestamp" AS at,
               "timestamp" - lag("timestamp") OVER (ORDER BY "timestamp") > {most} IS NOT FALSE
               AS is_begin
        FROM points WHERE series_id {of_series} AND id >= {first} AND id < {past}
        AND retired_at IS NOT NULL
    ) AS each) AS numbered
GROUP BY island ORDER BY 1 LIMIT {gaps}
"""
_SELECT_EXTENTS = """
SELECT stream, min(first_at) AS first, max(last_at) AS last FROM asked
WHERE stream = ANY($1::text[]) AND outcome <> 'unknown' GROUP BY stream
"""
_SELECT_ASKED = """
SELECT outcome, nullif(reason, '') AS reason, every_s, first_at, last_at, run_id::text
FROM asked WHERE stream = ANY($1::text[]) AND last_at >= $2 AND first_at < $3
ORDER BY first_at, last_at LIMIT $4
"""
# One that was closed with a note had a time all the same; one that is processed again has it still.
_EXISTS_UNTIMED = f"""
SELECT EXISTS (
    SELECT FROM dead_letters AS d
    WHERE regexp_replace(stream, '{OF_WINDOW}', '') = ANY($1::text[]) AND event_time IS NULL
    AND (status IN ('open', 'discarded') OR status = 'requeued' AND EXISTS (
        SELECT FROM runs AS r WHERE r.run_id = d.requeued_run_id AND r.finished_at IS NULL))
) AS is_there
"""


class EveryIs(StrEnum):
    """Where the distance of data points is from.

    interval: of the series. asked: how often a live source is asked at least. usual: the most
    common distance. given: by the request.
    """

    INTERVAL = "interval"
    ASKED = "asked"
    USUAL = "usual"
    GIVEN = "given"


@dataclass(frozen=True)
class Rhythm:
    """How far apart the data points of a series are. `most`: what is further apart has a hole."""

    grid: Grid
    every: timedelta | None
    most: timedelta
    source: EveryIs | None

    def seconds(self) -> float:
        return (self.every or _TICK).total_seconds()

    def steps(self, length: timedelta) -> int:
        """How many there are in a length of time."""
        return round(length.total_seconds() / self.seconds())

    @property
    def is_counted(self) -> bool:
        """Whether it is known how many data points there should be."""
        return self.grid.step is not None


def is_hole(series: WholeSeries, found: Claim) -> bool:
    """Of news only what was not asked for: nobody knows how many there should be."""
    return series.kind != NEWS or found.cause != Cause.NO_DATA


@dataclass(frozen=True)
class Present:
    """`gaps`: in order. `more_from`: the time from which on gaps are not listed.

    `missing`: data points in all gaps, listed or not, where they are counted.
    """

    points: int
    gaps: list[Span]
    missing: int
    more_from: datetime | None = None


def too_much(count: int) -> ProblemError:
    """For more than a request may look at."""
    return field_problem(
        "query.limit",
        f"these series have about {count:,} data points in that time, at most {MAX_READ:,} are"
        " looked at: ask for fewer, or for a shorter time with `from` and `to`",
    )


def streams_of(series: WholeSeries) -> list[str]:
    """By which asking is recorded."""
    return sorted({series_stream(part.stream) for part in series.parts})


async def extents(
    database: Database,
    series: Sequence[WholeSeries],
    start: datetime | None,
    end: datetime | None,
) -> list[tuple[datetime, datetime]]:
    """From when to before when each is looked at: `start` and `end`, or all that is known of."""
    streams = sorted(set(chain.from_iterable(map(streams_of, series))))
    rows = await database.rows(_SELECT_EXTENTS, streams)
    by_stream = {row["stream"]: row for row in rows}
    return [
        _extent(
            each,
            [
                by_stream[name]
                for name in streams_of(each)
                if name in by_stream
            ],
            start,
            end,
        )
        for each in series
    ]


def _extent(
    series: WholeSeries,
    asked: list[Any],
    start: datetime | None,
    end: datetime | None,
) -> tuple[datetime, datetime]:
    length = None if series.is_by_close else _step(series)
    past = series.last_at + _TICK
    if length is not None:
        past = length.later(series.last_at, 1)
    first = start or min(
        [series.first_at, *(row["first"] for row in asked)]
    )
    end = end or max([past, *(row["last"] + _TICK for row in asked)])
    first, end = (
        min(max(each, EARLIEST), LATEST) for each in (first, end)
    )
    return first, max(first, end)


async def rhythm_of(
    database: Database, series: WholeSeries, given: Interval | None
) -> Rhythm:
    """`given`: for a series that has no interval."""
    step = _step(series)
    if step is not None:
        every = timedelta(
            seconds=step.seconds or step.count * _MEAN_MONTH_S
        )
        return Rhythm(
            Grid(series.first_at, step),
            every,
            every * 1.5,
            EveryIs.INTERVAL,
        )
    if given is not None:
        every = timedelta(seconds=given.about_seconds())
        return Rhythm(Grid(), every, every, EveryIs.GIVEN)
    if series.kind == NEWS:
        return Rhythm(Grid(), None, timedelta(), None)
    if series.source in _LIVE:
        every = timedelta(seconds=LIVE_EVERY_S)
        return Rhythm(Grid(), every, every, EveryIs.ASKED)
    every = await _usual(database, series)
    return Rhythm(Grid(), every, every * 1.5, EveryIs.USUAL)


def _step(series: WholeSeries) -> Interval | None:
    if all(map(parent_of, streams_of(series))):
        return Interval.parse(STEP)
    return series.interval


async def _usual(database: Database, series: WholeSeries) -> timedelta:
    arguments = Where()
    query = _SELECT_USUAL.format(
        of_series=among(series.ids, arguments), sample=_SAMPLE
    )
    (row,) = await database.rows(query, *arguments.arguments)
    usual: timedelta | None = row["usual"]
    return usual or timedelta(seconds=LIVE_EVERY_S)


async def present(
    database: Database,
    series: WholeSeries,
    rhythm: Rhythm,
    start: datetime,
    end: datetime,
) -> Present:
    """How many data points there are from `start` to before `end`, and what lies between."""
    whole = Span(
        rhythm.grid.number_from(start), rhythm.grid.number_from(end)
    )
    arguments = Where()
    of_series = among(series.ids, arguments)
    if series.kind == NEWS:
        query = _COUNT_NEWS.format(
            of_series=of_series,
            first=arguments.bind(start),
            past=arguments.bind(end),
        )
        (row,) = await database.rows(query, *arguments.arguments)
        return Present(row["points"], [whole], 0)
    query = _SELECT_GAPS.format(
        of_series=of_series,
        first=arguments.bind(first_id_at(start)),
        past=arguments.bind(first_id_at(end)),
        most=arguments.bind(rhythm.most),
        every=rhythm.seconds(),
        gaps=MAX_GAPS + 1,
        read=MAX_READ + 1,
    )
    (row,) = await database.rows(query, *arguments.arguments)
    if row["points"] > MAX_READ:
        raise too_much(row["points"])
    return _present(row, rhythm, whole, end)


def _present(
    row: Any, rhythm: Rhythm, whole: Span, end: datetime
) -> Present:
    if not row["points"]:
        gaps = [whole] if whole.first < whole.past else []
        return Present(0, gaps, whole.past - whole.first)
    ends: list[datetime] = row["ends"] or []
    begins: list[datetime] = row["begins"] or []
    before = _before(row["first"], rhythm, whole)
    after = _after(row["last"], rhythm, whole, end)
    missing = row["missing"]
    missing += before.past - before.first + after.past - after.first
    between = [
        _between(*pair, rhythm)
        for pair in zip(ends[:MAX_GAPS], begins[:MAX_GAPS], strict=True)
    ]
    if len(ends) > MAX_GAPS:
        gaps = _not_empty([before, *between])
        return Present(row["points"], gaps, missing, ends[MAX_GAPS])
    gaps = _not_empty([before, *between, after])
    return Present(row["points"], gaps, missing)


def _not_empty(spans: list[Span]) -> list[Span]:
    return [each for each in spans if each.first < each.past]


def _between(end: datetime, begin: datetime, rhythm: Rhythm) -> Span:
    """What is missing between two data points, which need not lie on the grid exactly."""
    first = _behind(end, rhythm)
    if not rhythm.is_counted:
        return Span(first, rhythm.grid.nearest(begin))
    return Span(first, first + rhythm.steps(begin - end) - 1)


def _behind(point: datetime, rhythm: Rhythm) -> int:
    """The first moment after a data point: uncounted ones are as near as can be."""
    return rhythm.grid.nearest(point) + rhythm.is_counted


def _before(first: datetime, rhythm: Rhythm, whole: Span) -> Span:
    past = rhythm.grid.nearest(first)
    if not rhythm.is_counted and _is_short(whole.first, past, rhythm):
        return Span(past, past)
    return Span(min(whole.first, past), past)


def _after(
    last: datetime, rhythm: Rhythm, whole: Span, end: datetime
) -> Span:
    first = _behind(last, rhythm)
    if not rhythm.is_counted:
        is_short = _is_short(first, whole.past, rhythm)
        return Span(first, first if is_short else whole.past)
    # The last data point may lie behind its place: what would be the next one has to lie before
    # the end too.
    late = last - rhythm.grid.at(first - 1)
    past = rhythm.grid.number_from(end - max(late, timedelta()))
    return Span(first, max(first, past))


def _is_short(first: int, past: int, rhythm: Rhythm) -> bool:
    return (past - first) * _TICK <= rhythm.most


async def claims_of(
    database: Database,
    series: WholeSeries,
    rhythm: Rhythm,
    start: datetime,
    end: datetime,
    now: datetime,
) -> list[Claim]:
    """All that is known of the times from `start` to before `end`. Raises ProblemError 422."""
    grid = rhythm.grid
    claims = [_not_yet(series, grid, end, now)]
    claims += await _pruned(database, series, grid, start)
    claims += await _retired(database, series, rhythm, start, end)
    claims += await _asked(database, series, grid, start, end)
    return [each for each in claims if each.span.first < each.span.past]


def _not_yet(
    series: WholeSeries, grid: Grid, end: datetime, now: datetime
) -> Claim:
    """A candle that begins at its time is known only when it is over."""
    begun = now
    if grid.step is not None and not series.is_by_close:
        begun = grid.step.later(now, -1)
    first = grid.number_from(begun + _TICK)
    return Claim(
        Span(first, grid.number_from(max(end, now))),
        Cause.NOT_YET,
        is_certain=True,
    )


async def _pruned(
    database: Database, series: WholeSeries, grid: Grid, start: datetime
) -> list[Claim]:
    what = "news" if series.kind == NEWS else "points"
    before = await pruned_before(database, what)
    if before is None or before <= start:
        return []
    span = Span(grid.number_from(start), grid.number_from(before))
    return [
        Claim(span, Cause.UNKNOWN, "POINTS_RETENTION", is_certain=True)
    ]


async def _retired(
    database: Database,
    series: WholeSeries,
    rhythm: Rhythm,
    start: datetime,
    end: datetime,
) -> list[Claim]:
    if series.kind == NEWS:
        return []
    arguments = Where()
    query = _SELECT_RETIRED.format(
        of_series=among(series.ids, arguments),
        first=arguments.bind(first_id_at(start)),
        past=arguments.bind(first_id_at(end)),
        most=arguments.bind(rhythm.most),
        gaps=MAX_ASKED + 1,
    )
    rows = await database.rows(query, *arguments.arguments)
    if len(rows) > MAX_ASKED:
        raise field_problem(
            "query.from",
            f"more than {MAX_ASKED:,} parts of it are retired in this range: ask for a shorter one",
        )
    return [_of_retired(row, rhythm) for row in rows]


def _of_retired(row: Any, rhythm: Rhythm) -> Claim:
    """Where it is not known when data points should be, up to those beside it."""
    wide = timedelta() if rhythm.is_counted else rhythm.most
    grid = rhythm.grid
    first = grid.nearest(row["first"] - wide)
    return Claim(
        Span(first, grid.nearest(row["last"] + wide) + 1), Cause.RETIRED
    )


async def _asked(
    database: Database,
    series: WholeSeries,
    grid: Grid,
    start: datetime,
    end: datetime,
) -> list[Claim]:
    streams = streams_of(series)
    rows = await database.rows(
        _SELECT_ASKED, streams, start, end, MAX_ASKED + 1
    )
    if len(rows) > MAX_ASKED:
        raise field_problem(
            "query.from",
            f"its source was asked more than {MAX_ASKED:,} times in this range: ask for a shorter"
            " one",
        )
    untimed = await database.row(_EXISTS_UNTIMED, streams)
    # How many news there should be nobody knows anyway.
    is_unsure = series.kind != NEWS and bool(
        untimed and untimed["is_there"]
    )
    looked_at = Span(grid.number_from(start), grid.number_from(end))
    return list(_claims(rows, grid, looked_at, is_unsure=is_unsure))


def _claims(
    rows: list[Any], grid: Grid, looked_at: Span, *, is_unsure: bool
) -> Iterator[Claim]:
    """`is_unsure`: what is not there may be among records whose time nobody knows."""
    for row, past in zip(rows, _ends(rows), strict=True):
        cause = _CAUSES[AskedOutcome(row["outcome"])]
        reason = row["reason"]
        if cause == Cause.NO_DATA and is_unsure:
            cause, reason = Cause.UNKNOWN, "rejected_without_time"
        if row["outcome"] == AskedOutcome.UNKNOWN:
            reason = "loaded_before_asking_was_recorded"
        first, past = (
            min(max(each, grid.at(looked_at.first)), LATEST)
            for each in (row["first_at"], past)
        )
        span = Span(grid.number_from(first), grid.number_from(past))
        yield Claim(span, cause, reason, row["run_id"])


def _ends(rows: list[Any]) -> Iterator[datetime]:
    """Where each range ends, excluded.

    What a live source said holds until it is asked again, at most as long as that usually takes.
    """
    asked = sorted(row["first_at"] for row in rows if row["every_s"])
    for row in rows:
        past = row["last_at"] + _TICK
        if row["every_s"]:
            until = row["last_at"] + timedelta(seconds=row["every_s"])
            following = bisect_right(asked, row["last_at"])
            again = asked[following : following + 1] or [until]
            past = max(past, min(until, *again))
        yield past
