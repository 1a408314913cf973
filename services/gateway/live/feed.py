"""Changes of data points, read from where a token says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.gateway.database import Database, Where
from services.gateway.files.columns import shown
from services.gateway.files.formats import FileFormat
from services.gateway.live.tokens import INCARNATION_BYTES, Place
from services.gateway.problems import ProblemError
from services.gateway.queries.data import FIELDS, SHOWN_COLUMNS
from services.gateway.requests.filters import SeriesFilter
from services.gateway.requests.times import with_z
from shared.versions import stored

MAX_ROWS = 1_000  # of the table `changes` that a page looks at
OLDEST = "oldest"
NOW = "now"
# Which database this is: one that was restored, copied or has failed over is another.
_POSITION = """
SELECT coalesce(p.last, 0) AS last, coalesce(p.oldest, 1) AS oldest, md5(concat(
    p.incarnation, ' ',
    (SELECT oid FROM pg_database WHERE datname = current_database()), ' ',
    (SELECT system_identifier FROM pg_control_system()), ' ',
    (SELECT timeline_id FROM pg_control_checkpoint()))) AS incarnation
FROM (SELECT) AS one LEFT JOIN change_position AS p ON true
"""
# Of a change `page` and the data point `u` as it is now.
_KIND = """
CASE page.kind WHEN 'i' THEN 'insert' WHEN 'u' THEN 'update'
               WHEN 'r' THEN 'retire' ELSE 'restore' END
"""
_VALUE = """
CASE WHEN page.kind = 'r' THEN CASE WHEN u.revision = page.revision THEN 'then' ELSE 'now' END
     WHEN u.id IS NULL OR u.retired_at IS NOT NULL THEN 'gone'
     WHEN u.revision = page.revision THEN 'then' ELSE 'now' END
"""
_IS_SHOWN = (
    "page.kind <> 'r' AND u.id IS NOT NULL AND u.retired_at IS NULL"
)
_POINTS = """
SELECT c.seq, c.at, c.kind, y.id, y.n, coalesce(y.revision, 1) AS revision, c.count
FROM {changes} AS c
CROSS JOIN LATERAL unnest(c.ids, c.revisions) WITH ORDINALITY AS y (id, revision, n)
WHERE (c.seq > {seq} + 1 OR y.n > {index})
"""
# Only as many rows as the page needs; `before`: data points up to the begin of each.
_SELECT = """
WITH position AS ({position}), looked AS (
    SELECT seq, at, kind, count, ids, revisions FROM changes
    WHERE seq > {seq} ORDER BY seq LIMIT {rows}
), needed AS (
    SELECT * FROM (
        SELECT *, sum(count) OVER (ORDER BY seq) - count AS before FROM looked) AS summed
    WHERE before < {limit} + {index}
), page AS ({points} ORDER BY c.seq, y.n LIMIT {limit}
), shown AS (
    SELECT page.seq, page.n, json_build_object(
        'change', {kind}, 'seq', page.seq, 'at', page.at, 'id', page.id, 'value', {value},
        'point', CASE WHEN {is_shown} THEN (SELECT row_to_json(of_point) FROM (
            SELECT {columns} FROM (SELECT u.*) AS own) AS of_point) END
    ) AS change
    FROM page LEFT JOIN LATERAL ({stored}) AS u ON true {wanted}
)
SELECT position.*, shown.changes, shown.seqs, shown.numbers, (SELECT count(*) FROM page) AS points,
       last_of.seq AS last_seq, last_of.n AS last_n, last_of.count AS last_count
FROM position LEFT JOIN LATERAL (
    SELECT seq, n, count FROM page ORDER BY seq DESC, n DESC LIMIT 1) AS last_of ON true
CROSS JOIN (SELECT array_agg(change::text ORDER BY seq, n) AS changes,
                   array_agg(seq ORDER BY seq, n) AS seqs,
                   array_agg(n ORDER BY seq, n) AS numbers FROM shown) AS shown
"""
# Without a limit; that fails where the first change was pruned since the position was read.
_FILE = """
SELECT {expressions} FROM (
    SELECT {kind} AS change, page.seq, page.at, page.id, {value} AS value, {columns}
    FROM ({points} AND c.seq > {seq} AND c.seq <= {last} ORDER BY c.seq, y.n) AS page
    LEFT JOIN LATERAL ({stored}) AS u ON true
    LEFT JOIN LATERAL (SELECT u.* WHERE {is_shown}) AS point ON true {wanted}
    ORDER BY page.seq, page.n
) AS told LIMIT (
    SELECT CASE WHEN oldest > {seq} + 1 THEN ('changes are kept from ' || oldest || ' on')::int END
    FROM change_position)
"""
FILE_COLUMNS = ("change", "seq", "at", "value", *FIELDS)


@dataclass(frozen=True)
class Told:
    """A change as JSON text, and the place behind it."""

    place: Place
    text: str


@dataclass(frozen=True)
class Page:
    """`next`: where the next page begins."""

    changes: list[Told]
    next: Place
    is_last: bool


async def page(
    database: Database,
    since: Place | str,
    wanted: SeriesFilter,
    limit: int,
) -> Page:
    """The changes behind a place, at most `limit` data points, those that match of them.

    Raises ProblemError 410 for a place that is not kept, or of another database.
    """
    place = await begin(database, since)
    arguments = Where()
    seq, index = arguments.bind(place.seq), arguments.bind(place.index)
    query = _SELECT.format(
        position=_POSITION,
        points=_POINTS.format(changes="needed", seq=seq, index=index),
        seq=seq,
        index=index,
        limit=int(limit),
        rows=MAX_ROWS,
        kind=_KIND,
        value=_VALUE,
        is_shown=_IS_SHOWN,
        columns=SHOWN_COLUMNS,
        stored=stored("page.id"),
        wanted=_conditions(wanted, arguments),
    )
    (row,) = await database.rows(query, *arguments.arguments)
    _refuse_gone(place, row)
    return _page(row, place, limit)


async def file_query(
    database: Database,
    since: Place | str,
    wanted: SeriesFilter,
    form: FileFormat,
) -> tuple[str, list[Any], Place]:
    """The query of all changes from a place to the last one, and the place behind it.

    Raises ProblemError 410 as `page` does.
    """
    (row,) = await database.rows(_POSITION)
    place = _place(row, since)
    _refuse_gone(place, row)
    last: int = row["last"]
    arguments = Where()
    seq, index = arguments.bind(place.seq), arguments.bind(place.index)
    query = _FILE.format(
        expressions=shown(FILE_COLUMNS, form),
        points=_POINTS.format(changes="changes", seq=seq, index=index),
        seq=seq,
        last=arguments.bind(last),
        kind=_KIND,
        value=_VALUE,
        is_shown=_IS_SHOWN,
        columns=", ".join(
            f'point."{name}"' for name in FIELDS if name != "id"
        ),
        stored=stored("page.id"),
        wanted=_conditions(wanted, arguments),
    )
    return query, arguments.arguments, Place(place.incarnation, last)


async def begin(database: Database, since: Place | str) -> Place:
    """The place that a text means."""
    if isinstance(since, Place):
        return since
    (row,) = await database.rows(_POSITION)
    return _place(row, since)


def _place(row: Any, since: Place | str) -> Place:
    if isinstance(since, Place):
        return since
    seq = row["last"] if since == NOW else row["oldest"] - 1
    return Place(_incarnation(row), seq)


def _incarnation(row: Any) -> bytes:
    return bytes.fromhex(row["incarnation"])[:INCARNATION_BYTES]


def _refuse_gone(place: Place, row: Any) -> None:
    """Raises ProblemError 410."""
    advice = "read all data points anew, then go on from `since=now` as it was before you began"
    if place.incarnation != _incarnation(row) or place.seq > row["last"]:
        raise ProblemError(
            410,
            "the token is of another database, or of this one before it was restored:"
            f" {advice}",
        )
    if place.seq < row["oldest"] - 1:
        raise ProblemError(
            410,
            "changes since the token was given are kept no more (CHANGES_RETENTION):"
            f" {advice}",
        )


def _page(row: Any, place: Place, limit: int) -> Page:
    if row["last_seq"] is None:
        return Page([], place, is_last=True)
    seq, index = row["last_seq"] - 1, row["last_n"]
    if index == row["last_count"]:
        seq, index = seq + 1, 0
    incarnation = place.incarnation
    changes = list(_told(row, incarnation))
    is_last = row["points"] < limit and seq >= row["last"]
    return Page(changes, Place(incarnation, seq, index), is_last)


def _told(row: Any, incarnation: bytes) -> Iterator[Told]:
    columns = (row[name] or () for name in ("changes", "seqs", "numbers"))
    for text, seq, n in zip(*columns, strict=True):
        yield Told(Place(incarnation, seq - 1, n), with_z(text))


def _conditions(wanted: SeriesFilter, arguments: Where) -> str:
    """On what a data point is now; news match by each of their symbols."""
    own = Where(arguments)
    for name, values in wanted.values().items():
        if name != "symbol":
            own.add_among(f'u."{name}"', values)
    symbols = wanted.symbols()
    if symbols is not None:
        listed = own.bind(symbols)
        own.conditions.append(
            f"(u.symbol = ANY({listed}::text[]) OR u.symbols && {listed}::text[])"
        )
    return str(own)
