"""The sentiment of news in bars of time, as SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.gateway.database import Where
from services.gateway.files.columns import shown
from services.gateway.files.formats import FileFormat
from services.gateway.news.schema import SentimentQuery
from services.gateway.prices.windows import Window

MAX_NEWS = 100_000  # of an answer
FILE_COLUMNS = (
    "symbol",
    "open_time",
    "close_time",
    "news",
    "scored",
    "mean",
    "negative",
    "neutral",
    "positive",
    "feeds",
    "share_of_feeds",
    "headlines",
)
MAX_BARS_OF_FILE = 1_000_000
_ISO = 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
# Feeds that have news in the whole range: who of them is silent in a bar is seen by the share.
_OF_COIN = """
FROM points_news AS p JOIN series AS s USING (series_id)
WHERE p."timestamp" >= {first} AND p."timestamp" < {past} AND p.retired_at IS NULL
AND p.symbols @> ARRAY[{symbol}::text] {wanted}
"""
_ROWS = """
WITH ends AS (
    SELECT n, begin AS open_time, lead(begin) OVER (ORDER BY n) AS close_time
    FROM unnest({begins}::timestamptz[]) WITH ORDINALITY AS b (begin, n)
), found AS (
    SELECT p.id, p."timestamp", p.title, p.url, p.sentiment, p.attributes, s.dataset,
           width_bucket(p."timestamp", {begins}::timestamptz[]) AS n
    {found}
    ORDER BY p."timestamp" DESC, p.id DESC {most}
), ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY n ORDER BY abs(coalesce(sentiment, 0)) DESC, "timestamp" DESC, id) AS rank
    FROM found
), bars AS (
    SELECT n, count(*) AS news, count(sentiment) AS scored,
           round(avg(sentiment)::numeric, 4) AS mean,
           count(*) FILTER (WHERE sentiment < 0) AS negative,
           count(*) FILTER (WHERE sentiment = 0) AS neutral,
           count(*) FILTER (WHERE sentiment > 0) AS positive,
           count(DISTINCT dataset) AS feeds,
           json_agg(json_build_object(
               'id', id, 'time', to_char("timestamp" AT TIME ZONE 'UTC', '{iso}'),
               'feed', dataset, 'title', title, 'url', url, 'sentiment', sentiment,
               'words', attributes -> 'sentiment' -> 'words') ORDER BY rank)
               FILTER (WHERE rank <= {headlines}) AS headlines
    FROM ranked GROUP BY n
), feeds AS ({feeds}
), whole AS (
    SELECT {symbol}::text AS symbol, open_time, close_time,
           coalesce(bars.news, 0) AS news, coalesce(scored, 0) AS scored, mean,
           coalesce(negative, 0) AS negative, coalesce(neutral, 0) AS neutral,
           coalesce(positive, 0) AS positive, coalesce(bars.feeds, 0) AS feeds,
           round(coalesce(bars.feeds, 0)::numeric / nullif(feeds.feeds, 0), 4) AS share_of_feeds,
           coalesce(headlines, '[]') AS headlines
    FROM ends LEFT JOIN bars USING (n) CROSS JOIN feeds WHERE close_time IS NOT NULL
)
"""
_PAGE = """
{rows}
SELECT coalesce(json_agg(json_build_object(
    'open_time', to_char(open_time AT TIME ZONE 'UTC', '{iso}'),
    'close_time', to_char(close_time AT TIME ZONE 'UTC', '{iso}'),
    'news', news, 'scored', scored, 'mean', mean, 'negative', negative, 'neutral', neutral,
    'positive', positive, 'feeds', feeds, 'share_of_feeds', share_of_feeds, 'headlines', headlines
) ORDER BY open_time {order}), '[]')::text AS body, (SELECT count(*) FROM found) AS read FROM whole
"""
_ORDERS = {"asc": "", "desc": "DESC"}


def build(
    wanted: SentimentQuery, window: Window
) -> tuple[str, list[Any]]:
    """The query of the bars: one row, `body` with their JSON, `read` news, MAX_NEWS + 1 at most."""
    arguments = Where()
    rows = _rows(wanted, window, arguments, most=f"LIMIT {MAX_NEWS + 1}")
    order = _ORDERS[wanted.order]
    query = _PAGE.format(rows=rows, iso=_ISO, order=order)
    return query, arguments.arguments


@dataclass(frozen=True)
class SentimentQueries:
    """The queries of a file: every bar of a window, the oldest first, with FILE_COLUMNS."""

    wanted: SentimentQuery
    window: Window
    feeds: int  # that have news in the whole window
    form: FileFormat

    def __iter__(self) -> Iterator[tuple[str, list[Any]]]:
        for piece in self.window.pieces():
            arguments = Where()
            feeds = f"SELECT {int(self.feeds)} AS feeds"
            rows = _rows(self.wanted, piece, arguments, feeds)
            columns = shown(FILE_COLUMNS, self.form)
            query = f"{rows} SELECT {columns} FROM whole ORDER BY whole.open_time"
            yield query, arguments.arguments


def feeds_query(
    wanted: SentimentQuery, window: Window
) -> tuple[str, list[Any]]:
    """The query of how many feeds have news in a window: one row, `feeds`."""
    arguments = Where()
    found = _found(wanted, window, arguments, _symbol(wanted, arguments))
    return (
        f"SELECT count(DISTINCT s.dataset) AS feeds {found}",
        arguments.arguments,
    )


def _rows(
    wanted: SentimentQuery,
    window: Window,
    arguments: Where,
    feeds: str = "SELECT count(DISTINCT dataset) AS feeds FROM found",
    most: str = "",
) -> str:
    """WITH of `whole`, the bars of a window, and `found`, their news.

    `feeds`: of how many a share counts. `most`: LIMIT of news.
    """
    symbol = _symbol(wanted, arguments)
    return _ROWS.format(
        begins=arguments.bind(window.begins()),
        symbol=symbol,
        found=_found(wanted, window, arguments, symbol),
        feeds=feeds,
        most=most,
        headlines=int(wanted.headlines),
        iso=_ISO,
    )


def _symbol(wanted: SentimentQuery, arguments: Where) -> str:
    return arguments.bind(wanted.coin())


def _found(
    wanted: SentimentQuery, window: Window, arguments: Where, symbol: str
) -> str:
    """FROM and WHERE of the news of a coin in a window, by the filters."""
    own = Where(arguments)
    for name, values in wanted.values().items():
        if name != "symbol":
            own.add_among(f's."{name}"', values)
    return _OF_COIN.format(
        first=arguments.bind(window.start),
        past=arguments.bind(window.end),
        symbol=symbol,
        wanted="".join(f" AND {each}" for each in own.conditions),
    )
