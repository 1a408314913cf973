"""`GET /data` as SQL: filters, keyset cursor, JSON built by PostgreSQL.

Tickers, candles and prices are read in the order of their ids, which is that of their times; news
by time and id. A page merges what each of these streams has first. Of few series each is read by
its index, of many all points are and those of other series are left out.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from services.gateway.database import Database, Where, where, window_of
from services.gateway.requests.filters import SeriesFilter
from services.gateway.requests.pagination import PageToken
from shared.identity.point_ids import FIRST_OF_NEWS, NEWS, first_id_at
from shared.versions import stored

SHOWN_COLUMNS = """
    id, source, dataset, stream, kind, instrument, symbol, symbols, interval, timestamp, currency,
    price, open, high, low, close, volume, market_cap, base_volume, quote_volume, timestamp_is,
    title, url, summary, sentiment, attributes,
    run_id, page_id, revision, normalizer_version, created_at, updated_at
"""
# Where a data point stands: at its time, within those that ids can say.
_PLACE = f"""
    CASE WHEN id < '{FIRST_OF_NEWS}' THEN least(greatest(
        timestamp, '1970-01-01Z'), '2199-12-31T23:59:59.999999Z') ELSE timestamp END AS place
"""
# As the view unified_data has them.
_OF_STORED = """
    id, s.source, dataset, s.stream, kind, instrument, symbol, symbols, interval, timestamp,
    currency, price, open, high, low, close, volume, market_cap, base_volume, quote_volume,
    timestamp_is, title, url, summary, sentiment, attributes,
    coalesce(p.run_id, r.run_id) AS run_id, page_id, revision, p.normalizer_version, created_at,
    coalesce(updated_at, created_at) AS updated_at
"""
FEW = 32  # series that are read one by one
REMEMBERED = 1_000  # filters, with the series that they leave
REMEMBERED_SERIES = 100_000  # of all of them
Choice = tuple[str | None, ...]  # what a filter says of series
# What a run inserted or updated, each data point with the values that the run gave it, wherever
# they are kept now.
_CONTRIBUTED = """(
    WITH yielded AS (
        SELECT y.id, y.hash, p.raw_time, p.raw_offset, y.n FROM page_receipts AS p
        CROSS JOIN LATERAL unnest(p.ids, p.value_hashes, string_to_array(p.outcomes, NULL))
            WITH ORDINALITY AS y (id, hash, outcome, n)
        WHERE p.run_id = {run}::uuid AND y.outcome <> 'n'
        UNION ALL
        SELECT y.id, y.hash, p.raw_time, p.raw_offset, y.n FROM replay_receipts AS p
        CROSS JOIN LATERAL unnest(p.ids, p.value_hashes, string_to_array(p.outcomes, NULL))
            WITH ORDINALITY AS y (id, hash, outcome, n)
        WHERE p.run_id = {run}::uuid AND p.is_applied AND y.outcome <> 'n'
    ), contributed AS (
        SELECT DISTINCT ON (id) id, hash FROM yielded
        ORDER BY id, raw_time DESC, raw_offset DESC, n DESC
    )
    SELECT u.* FROM contributed AS c CROSS JOIN LATERAL ({stored}) AS u
    WHERE u.value_hash = c.hash
    UNION ALL
    (SELECT DISTINCT ON (r.id) (jsonb_populate_record(NULL::unified_data, r.data)).*
     FROM contributed AS c
     JOIN unified_revisions AS r ON r.id = c.id AND (r.data->>'value_hash')::bigint = c.hash
     WHERE NOT EXISTS (
         SELECT FROM unified_data AS u WHERE u.id = c.id AND u.value_hash = c.hash)
     ORDER BY r.id, r.revision)
) AS contributed"""
# The values that a data point had at a time and no longer has.
_REPLACED = """(
    SELECT (jsonb_populate_record(NULL::unified_data, data)).* FROM unified_revisions
    WHERE replaced_at > {as_of} AND (data->>'updated_at')::timestamptz <= {as_of}
    AND data->>'retired_at' IS NULL
) AS replaced"""


# What was written since a time, as far as it stands; also what was brought back to sight.
_CHANGED = """(
    WITH changed AS (
        SELECT y.id FROM page_receipts AS p
        CROSS JOIN LATERAL unnest(p.ids, string_to_array(p.outcomes, NULL)) AS y (id, outcome)
        WHERE p.loaded_at >= {since} AND y.outcome <> 'n'
        UNION
        SELECT y.id FROM replay_receipts AS p
        CROSS JOIN LATERAL unnest(p.ids, string_to_array(p.outcomes, NULL)) AS y (id, outcome)
        WHERE p.loaded_at >= {since} AND y.outcome <> 'n'
        UNION
        SELECT u.id FROM retirements AS r JOIN run_tasks AS t USING (task_id)
        JOIN points AS u USING (series_id)
        WHERE coalesce(t.finished_at, 'infinity') >= {since} AND u.updated_at >= {since}
    )
    SELECT u.* FROM changed AS c CROSS JOIN LATERAL ({stored}) AS u
    WHERE u.updated_at >= {since} AND u.retired_at IS NULL
) AS changed"""
_COUNT_CHANGED = """
SELECT (SELECT coalesce(sum(inserted + updated), 0) FROM page_receipts WHERE loaded_at >= $1)
     + (SELECT coalesce(sum(inserted + updated), 0) FROM replay_receipts WHERE loaded_at >= $1)
     + (SELECT coalesce(sum(changed), 0) FROM retirements JOIN run_tasks AS t USING (task_id)
        WHERE coalesce(t.finished_at, 'infinity') >= $1) AS changed
"""
FIELDS = tuple(name.strip() for name in SHOWN_COLUMNS.split(","))


@dataclass(frozen=True)
class Filters:
    """What `GET /data` was asked for. `fields`: of each data point, None for all."""

    of: SeriesFilter = field(default_factory=SeriesFilter)
    start: datetime | None = None
    end: datetime | None = None
    position: PageToken | None = None
    limit: int = 100
    skip: int = 0
    as_of: datetime | None = None
    run_id: str | None = None
    updated_since: datetime | None = None
    is_ascending: bool = False
    fields: tuple[str, ...] | None = None

    @property
    def direction(self) -> str:
        return "ASC" if self.is_ascending else "DESC"

    @property
    def order(self) -> str:
        return f"ORDER BY place {self.direction}, id {self.direction}"

    @property
    def is_of_now(self) -> bool:
        """Whether it is about all that stands now."""
        return not (self.as_of or self.run_id or self.updated_since)


@dataclass(frozen=True)
class Chosen:
    """The series that a filter leaves. `first_id`, `past_id`: within which their points lie.

    `version`: of all series, when they were chosen.
    """

    timed: list[int]
    news: list[int]
    first_id: uuid.UUID | None = None
    past_id: uuid.UUID | None = None
    version: int | None = None

    def count(self) -> int:
        return len(self.timed) + len(self.news)


class DataPages:
    """Pages of `GET /data`. Remembers which series a filter leaves, as long as that holds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._chosen: OrderedDict[Choice, Chosen] = OrderedDict()

    async def page(self, filters: Filters) -> Any:
        """(body, count, last_timestamp, last_id) of a page. `body`: JSON text of the list."""
        chosen = await self._remembered(filters)
        row = await self._read(filters, chosen)
        if chosen is not None and row["version"] != chosen.version:
            row = await self._read(filters, await self._choose(filters))
        return row

    async def file_query(
        self, filters: Filters, expressions: str
    ) -> tuple[str, list[Any]]:
        """The query of all that matches, with these expressions of columns."""
        chosen = (
            await self._choose(filters) if is_chosen(filters) else None
        )
        return build_file(filters, chosen, expressions)

    async def count(self, filters: Filters) -> int:
        """How many data points are on all pages together."""
        if filters.is_of_now and _is_of_series_alone(filters):
            wanted = filters.of.conditions()
            query = f"SELECT coalesce(sum(points), 0)::bigint AS count FROM series {wanted}"
            arguments = wanted.arguments
        else:
            chosen = None
            if is_chosen(filters):
                chosen = await self._choose(filters)
            query, arguments = build_count(filters, chosen)
        (row,) = await self._database.rows(query, *arguments)
        return int(row["count"])

    async def changed_since(self, moment: datetime) -> int:
        """How many data points were written since a time, at most."""
        (row,) = await self._database.rows(_COUNT_CHANGED, moment)
        return int(row["changed"])

    async def _read(self, filters: Filters, chosen: Chosen | None) -> Any:
        query, arguments = build(filters, chosen)
        (row,) = await self._database.rows(query, *arguments)
        return row

    async def _remembered(self, filters: Filters) -> Chosen | None:
        if not is_chosen(filters):
            return None
        found = self._chosen.get(_choice(filters))
        return found or await self._choose(filters)

    async def _choose(self, filters: Filters) -> Chosen:
        query, arguments = build_choice(filters)
        (found,) = await self._database.rows(query, *arguments)
        chosen = Chosen(**found)
        self._chosen[_choice(filters)] = chosen
        self._numbers = sum(
            each.count() for each in self._chosen.values()
        )
        while self._numbers > REMEMBERED_SERIES or (
            len(self._chosen) > REMEMBERED
        ):
            _, dropped = self._chosen.popitem(last=False)
            self._numbers -= dropped.count()
        return chosen


def _choice(filters: Filters) -> Choice:
    of = filters.of
    return (
        of.symbol and of.symbol.lower(),
        of.source,
        of.dataset,
        of.kind,
        of.instrument,
        of.interval,
        of.currency,
    )


def _is_of_series_alone(filters: Filters) -> bool:
    """Whether the sums of series tell how many there are: news have more symbols than one."""
    return filters.of.symbol is None and not (
        filters.start or filters.end
    )


def is_chosen(filters: Filters) -> bool:
    """Whether the series that are asked for have to be known first."""
    is_by_ids = filters.run_id or filters.updated_since
    return not is_by_ids and any(_choice(filters))


def build_choice(filters: Filters) -> tuple[str, list[Any]]:
    """The query of the series that are asked for: a row as `Chosen`."""
    wanted = filters.of.conditions()
    is_news = f"kind = '{NEWS}'"
    query = f"""
        SELECT coalesce(array_agg(series_id) FILTER (WHERE NOT {is_news}), '{{}}') AS timed,
               coalesce(array_agg(series_id) FILTER (WHERE {is_news}), '{{}}') AS news,
               (SELECT first_id FROM chosen ORDER BY first_id LIMIT 1) AS first_id,
               (SELECT past_id FROM chosen WHERE past_id IS NOT NULL
                ORDER BY past_id DESC LIMIT 1) AS past_id,
               (SELECT version FROM series_version) AS version
        FROM chosen
    """
    return f"WITH chosen AS (SELECT * FROM series {wanted}) {query}", (
        wanted.arguments
    )


def build(
    filters: Filters, chosen: Chosen | None
) -> tuple[str, list[Any]]:
    """The query of a page, which gives one row, and its arguments. `chosen` None: all series."""
    arguments = Where()
    streams = _streams(filters, chosen, arguments)
    window = window_of(filters.limit, filters.skip)
    columns = SHOWN_COLUMNS
    if filters.fields is not None:
        columns = ", ".join(f'"{name}"' for name in filters.fields)
    last, back = ("max", "DESC") if filters.is_ascending else ("min", "")
    query = f"""
        WITH rows AS (
            SELECT * FROM ({" UNION ALL ".join(streams)}) AS either
            {filters.order} {window}
        )
        SELECT coalesce((
                   SELECT json_agg(shown)::text FROM (
                       SELECT {columns} FROM rows {filters.order}) AS shown), '[]') AS body,
               count(*) AS count, {last}(place) AS last_timestamp,
               (array_agg(id ORDER BY place {back}, id {back}))[1] AS last_id,
               (SELECT version FROM series_version) AS version
        FROM rows
    """
    return query, arguments.arguments


def build_count(
    filters: Filters, chosen: Chosen | None
) -> tuple[str, list[Any]]:
    """The query of how many there are on all pages: one row, `count`."""
    arguments = Where()
    whole = replace(filters, position=None)
    conditions, table = _meant(whole, arguments)
    each = []
    if conditions:
        each += [
            stream.but(conditions).count(arguments)
            for stream in _stored(whole, chosen, arguments)
        ]
    if table is not None:
        each.append(
            f"(SELECT count(*) FROM {_rows(table, whole, arguments)})"
        )
    return f"SELECT {' + '.join(each)} AS count", arguments.arguments


def build_file(
    filters: Filters, chosen: Chosen | None, expressions: str
) -> tuple[str, list[Any]]:
    """The query of all rows, those of a series in the order of time, news last."""
    arguments = Where()
    conditions, table = _meant(filters, arguments)
    each = []
    if conditions:
        each += [
            stream.but(conditions).whole(arguments)
            for stream in _stored(filters, chosen, arguments)
        ]
    if table is not None:
        each.append(
            f"(SELECT {SHOWN_COLUMNS} FROM {_rows(table, filters, arguments)} {filters.order})"
        )
    rows = " UNION ALL ".join(each)
    return (
        f"SELECT {expressions} FROM ({rows}) AS rows",
        arguments.arguments,
    )


def _streams(
    filters: Filters, chosen: Chosen | None, arguments: Where
) -> list[str]:
    conditions, table = _meant(filters, arguments)
    most = window_of(filters.limit + filters.skip)
    found = []
    if conditions:
        each = [
            stream.but(conditions).sql(most, arguments)
            for stream in _stored(filters, chosen, arguments)
        ]
        # The texts of their series come to the first alone.
        found.append(f"""(
            SELECT {_OF_STORED}, place
            FROM (SELECT * FROM ({" UNION ALL ".join(each)}) AS either
                  {filters.order} {most}) AS p
            JOIN series AS s USING (series_id) LEFT JOIN page_receipts AS r USING (page_id))""")
    if table is not None:
        rows = _rows(table, filters, arguments)
        found.append(
            f"(SELECT {SHOWN_COLUMNS}, place FROM {rows} {filters.order} {most})"
        )
    return found


def _meant(
    filters: Filters, arguments: Where
) -> tuple[list[str], str | None]:
    """(conditions on what is stored, none of which: nothing; a table of further whole rows)."""
    if filters.run_id is not None:
        run = arguments.bind(filters.run_id)
        return [], _CONTRIBUTED.format(run=run, stored=stored("c.id"))
    if filters.updated_since is not None:
        since = arguments.bind(filters.updated_since)
        return [], _CHANGED.format(since=since, stored=stored("c.id"))
    if filters.as_of is None:
        return ["retired_at IS NULL"], None
    as_of = arguments.bind(filters.as_of)
    then = [
        f"coalesce(updated_at, created_at) <= {as_of}",
        f"(retired_at IS NULL OR retired_at > {as_of})",
    ]
    return then, _REPLACED.format(as_of=as_of)


def _stored(
    filters: Filters, chosen: Chosen | None, arguments: Where
) -> list[_Stream]:
    """What is stored, in the order of the indexes."""
    streams = []
    if chosen is None or chosen.timed or not chosen.news:
        streams.append(_timed(filters, chosen, arguments))
    if chosen is None or chosen.news:
        streams.append(_news(filters, chosen, arguments))
    if filters.of.symbol is not None:
        streams.append(_mentioning(filters, arguments))
    return streams


@dataclass(frozen=True)
class _Stream:
    """Stored points that come in one order. `series`: whose; None where it may be any."""

    table: str
    conditions: list[str]
    order: str
    series: list[int] | None

    def but(self, conditions: list[str]) -> _Stream:
        return replace(self, conditions=[*self.conditions, *conditions])

    def sql(self, most: str, arguments: Where) -> str:
        """No more rows than the page can need."""
        return f"(SELECT *, {_PLACE} FROM ({self._first(most, arguments)}) AS own)"

    def count(self, arguments: Where) -> str:
        """How many there are."""
        conditions = list(self.conditions)
        if self.series is not None:
            numbers = arguments.bind(self.series)
            conditions.append(f"series_id = ANY({numbers}::int[])")
        return f"(SELECT count(*) FROM {self.table} {where(conditions)})"

    def whole(self, arguments: Where) -> str:
        """All of them with the texts of their series, in the order of an index."""
        many = self.series
        if many is not None and len(many) <= FEW:
            numbers = arguments.bind(many)
            each = self._select("", "series_id = s.number")
            rows = f"""
                SELECT p.* FROM unnest({numbers}::int[]) AS s (number)
                CROSS JOIN LATERAL ({each}) AS p"""
        else:
            more: tuple[str, ...] = ()
            if many is not None:
                numbers = arguments.bind(many)
                more = (
                    f"(series_id IN (SELECT unnest({numbers}::int[]))) IS TRUE",
                )
            rows = self._select("", *more)
        return f"""(
            SELECT {_OF_STORED} FROM ({rows}) AS p
            JOIN series AS s USING (series_id) LEFT JOIN page_receipts AS r USING (page_id))"""

    def _first(self, most: str, arguments: Where) -> str:
        if self.series is None:
            return self._select(most)
        if len(self.series) == 1:  # so that a plan which is kept knows it
            (number,) = self.series
            return self._select(
                most, f"series_id = {arguments.bind(number)}"
            )
        numbers = f"{arguments.bind(self.series)}::int[]"
        if len(self.series) > FEW:
            # `IS TRUE` keeps it a filter: neither a join, which would lose the order, nor a list
            # that is weighed for each partition.
            chosen = f"(series_id IN (SELECT unnest({numbers}))) IS TRUE"
            return self._select(most, chosen)
        each = self._select(most, "series_id = s.number")
        return f"""
            SELECT p.* FROM unnest({numbers}) AS s (number) CROSS JOIN LATERAL ({each}) AS p
            {self.order} {most}"""

    def _select(self, most: str, *more: str) -> str:
        conditions = where([*self.conditions, *more])
        return (
            f"SELECT * FROM {self.table} {conditions} {self.order} {most}"
        )


def _timed(
    filters: Filters, chosen: Chosen | None, arguments: Where
) -> _Stream:
    """Tickers, candles and prices: times are ranges of ids."""
    own = Where(arguments)
    ends = [FIRST_OF_NEWS]
    if filters.end is not None:
        ends.append(first_id_at(filters.end))
    starts = []
    if filters.start is not None:
        starts.append(first_id_at(filters.start))
    if filters.position is not None and filters.is_ascending:
        starts.append(_start_at(filters.position))
    elif filters.position is not None:
        ends.append(_end_at(filters.position))
    if chosen is not None and chosen.first_id and chosen.past_id:
        starts.append(chosen.first_id)
        ends.append(chosen.past_id)
    own.add("id <", min(ends))
    own.add("id >=", max(starts, default=None))
    numbers = None if chosen is None else chosen.timed
    order = f"ORDER BY id {filters.direction}"
    return _Stream("points", own.conditions, order, numbers)


def _end_at(position: PageToken) -> uuid.UUID:
    """The id before which what comes after a position begins, newest first."""
    if position.id < FIRST_OF_NEWS:
        return position.id
    return _behind_news(position)


def _start_at(position: PageToken) -> uuid.UUID:
    """The first id of what comes after a position, oldest first."""
    if position.id < FIRST_OF_NEWS:
        return uuid.UUID(int=position.id.int + 1)
    return _behind_news(position)


def _behind_news(position: PageToken) -> uuid.UUID:
    """News stand behind all others of their time."""
    try:
        return first_id_at(position.timestamp + timedelta(microseconds=1))
    except OverflowError:
        return FIRST_OF_NEWS


def _news(
    filters: Filters, chosen: Chosen | None, arguments: Where
) -> _Stream:
    own = Where(arguments)
    own.add("timestamp >=", filters.start)
    own.add("timestamp <", filters.end)
    _add_position(own, "timestamp, id", filters)
    way = filters.direction
    order = f"ORDER BY timestamp {way}, id {way}"
    numbers = None if chosen is None else chosen.news
    return _Stream("points_news", own.conditions, order, numbers)


def _add_position(own: Where, columns: str, filters: Filters) -> None:
    place = filters.position
    own.add_behind(
        columns,
        None if place is None else (place.timestamp, place.id),
        is_ascending=filters.is_ascending,
    )


def _mentioning(filters: Filters, arguments: Where) -> _Stream:
    """News of which the symbol is another than the first, and which have an index of their own."""
    symbols = arguments.bind(filters.of.symbols())
    series = _of_series(filters, Where(arguments))
    series.conditions += [
        f"kind = '{NEWS}'",
        f"(symbol = ANY({symbols}::text[])) IS NOT TRUE",
    ]
    about = [
        f"symbols && {symbols}::text[]",
        f"series_id IN (SELECT series_id FROM series {series})",
    ]
    return _news(filters, None, arguments).but(about)


def _of_series(filters: Filters, wanted: Where) -> Where:
    """All but the symbol, which news have several of."""
    for name, values in filters.of.values().items():
        if name != "symbol":
            wanted.add_among(f'"{name}"', values)
    return wanted


def _rows(table: str, filters: Filters, arguments: Where) -> str:
    """Rows of all kinds that are whole, which no index has in order."""
    own = _of_series(filters, Where(arguments))
    own.add("place >=", filters.start)
    own.add("place <", filters.end)
    _add_position(own, "place, id", filters)
    if filters.of.symbol is not None:
        symbols = arguments.bind(filters.of.symbols())
        own.conditions.append(
            f"(symbol = ANY({symbols}::text[]) OR symbols && {symbols}::text[])"
        )
    return f"""(
        SELECT * FROM (SELECT *, {_PLACE} FROM {table}) AS placed {own}) AS wanted"""
