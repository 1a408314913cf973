"""`GET /data` as SQL: filters, keyset cursor, JSON built by PostgreSQL.

Tickers, candles and prices are read in the order of their ids, which is that of their times; news
by time and id. A page merges what each of these streams has first. Of few series each is read by
its index, of many all points are and those of other series are left out.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from services.gateway.database import Database, Where, where, window_of
from services.gateway.requests.pagination import PageToken
from shared.identity.point_ids import FIRST_OF_NEWS, NEWS, first_id_at
from shared.versions import stored

_COLUMNS = """
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
_ORDER = "ORDER BY place DESC, id DESC"
FEW = 32  # series that are read one by one
REMEMBERED = 1_000  # filters, with the series that they leave
Choice = tuple[
    str | None, ...
]  # what a filter says of series: symbol, source, kind, dataset
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


@dataclass(frozen=True)
class Filters:
    """What `GET /data` was asked for."""

    symbol: str | None = None
    source: str | None = None
    kind: str | None = None
    dataset: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    position: PageToken | None = None
    limit: int = 100
    skip: int = 0
    as_of: datetime | None = None
    run_id: str | None = None


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
        if len(self._chosen) > REMEMBERED:
            self._chosen.popitem(last=False)
        return chosen


def _choice(filters: Filters) -> Choice:
    return (
        _symbol(filters),
        filters.source,
        filters.kind,
        filters.dataset,
    )


def is_chosen(filters: Filters) -> bool:
    """Whether the series that are asked for have to be known first."""
    return filters.run_id is None and any(_choice(filters))


def build_choice(filters: Filters) -> tuple[str, list[Any]]:
    """The query of the series that are asked for: a row as `Chosen`."""
    wanted = _of_series(filters, Where())
    wanted.add("symbol =", _symbol(filters))
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
    query = f"""
        WITH rows AS (
            SELECT * FROM ({" UNION ALL ".join(streams)}) AS either
            {_ORDER} {window}
        )
        SELECT coalesce((
                   SELECT json_agg(shown)::text FROM (
                       SELECT {_COLUMNS} FROM rows {_ORDER}) AS shown), '[]') AS body,
               count(*) AS count, min(place) AS last_timestamp,
               (array_agg(id ORDER BY place, id))[1] AS last_id,
               (SELECT version FROM series_version) AS version
        FROM rows
    """
    return query, arguments.arguments


def _streams(
    filters: Filters, chosen: Chosen | None, arguments: Where
) -> list[str]:
    if filters.run_id is not None:
        run = arguments.bind(filters.run_id)
        table = _CONTRIBUTED.format(run=run, stored=stored("c.id"))
        return [_whole(table, filters, arguments)]
    if filters.as_of is not None:
        as_of = arguments.bind(filters.as_of)
        then = [
            f"coalesce(updated_at, created_at) <= {as_of}",
            f"(retired_at IS NULL OR retired_at > {as_of})",
        ]
        replaced = _REPLACED.format(as_of=as_of)
        return [
            _stored(filters, chosen, then, arguments),
            _whole(replaced, filters, arguments),
        ]
    return [_stored(filters, chosen, ["retired_at IS NULL"], arguments)]


def _stored(
    filters: Filters,
    chosen: Chosen | None,
    conditions: list[str],
    arguments: Where,
) -> str:
    """What is stored, in the order of the indexes; the texts of their series come to the first."""
    streams = []
    if chosen is None or chosen.timed or not chosen.news:
        streams.append(_timed(filters, chosen, arguments))
    if chosen is None or chosen.news:
        streams.append(_news(filters, chosen, arguments))
    if filters.symbol is not None:
        streams.append(_mentioning(filters, arguments))
    most = window_of(filters.limit + filters.skip)
    each = [
        stream.but(conditions).sql(most, arguments) for stream in streams
    ]
    return f"""(
        SELECT {_OF_STORED}, place
        FROM (SELECT * FROM ({" UNION ALL ".join(each)}) AS either {_ORDER} {most}) AS p
        JOIN series AS s USING (series_id) LEFT JOIN page_receipts AS r USING (page_id))"""


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
    if filters.position is not None:
        ends.append(_end_at(filters.position))
    starts = []
    if filters.start is not None:
        starts.append(first_id_at(filters.start))
    if chosen is not None and chosen.first_id and chosen.past_id:
        starts.append(chosen.first_id)
        ends.append(chosen.past_id)
    own.add("id <", min(ends))
    own.add("id >=", max(starts, default=None))
    numbers = None if chosen is None else chosen.timed
    return _Stream("points", own.conditions, "ORDER BY id DESC", numbers)


def _end_at(position: PageToken) -> uuid.UUID:
    """The id before which what comes after a position begins."""
    if position.id < FIRST_OF_NEWS:
        return position.id
    try:  # news stand before all others of their time
        return first_id_at(position.timestamp + timedelta(microseconds=1))
    except OverflowError:
        return FIRST_OF_NEWS


def _news(
    filters: Filters, chosen: Chosen | None, arguments: Where
) -> _Stream:
    own = Where(arguments)
    own.add("timestamp >=", filters.start)
    own.add("timestamp <", filters.end)
    own.add_before("timestamp, id", _bound(filters))
    order = "ORDER BY timestamp DESC, id DESC"
    numbers = None if chosen is None else chosen.news
    return _Stream("points_news", own.conditions, order, numbers)


def _mentioning(filters: Filters, arguments: Where) -> _Stream:
    """News of which the symbol is another than the first, and which have an index of their own."""
    symbol = arguments.bind(_symbol(filters))
    series = _of_series(filters, Where(arguments))
    series.conditions += [
        f"kind = '{NEWS}'",
        f"symbol IS DISTINCT FROM {symbol}",
    ]
    about = [
        f"symbols @> ARRAY[{symbol}::text]",
        f"series_id IN (SELECT series_id FROM series {series})",
    ]
    return _news(filters, None, arguments).but(about)


def _of_series(filters: Filters, wanted: Where) -> Where:
    wanted.add("source =", filters.source)
    wanted.add("kind =", filters.kind)
    wanted.add("dataset =", filters.dataset)
    return wanted


def _whole(table: str, filters: Filters, arguments: Where) -> str:
    """Rows of all kinds that are whole, which no index has in order."""
    own = _of_series(filters, Where(arguments))
    own.add("place >=", filters.start)
    own.add("place <", filters.end)
    own.add_before("place, id", _bound(filters))
    if filters.symbol is not None:
        symbol = arguments.bind(_symbol(filters))
        own.conditions.append(
            f"(symbol = {symbol} OR symbols @> ARRAY[{symbol}::text])"
        )
    most = window_of(filters.limit + filters.skip)
    return f"""(
        SELECT {_COLUMNS}, place FROM (SELECT *, {_PLACE} FROM {table}) AS placed
        {own} {_ORDER} {most})"""


def _bound(filters: Filters) -> tuple[Any, ...] | None:
    position = filters.position
    return (position.timestamp, position.id) if position else None


def _symbol(filters: Filters) -> str | None:
    return filters.symbol and filters.symbol.lower()
