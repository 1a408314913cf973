"""The sentiment of news in bars of time, as SQL."""

from __future__ import annotations

from typing import Any

from services.gateway.database import Where
from services.gateway.prices.windows import Window
from services.gateway.requests.filters import SourceFilter

MAX_NEWS = 100_000  # of an answer
_ISO = 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
# Feeds that have news in the whole range: who of them is silent in a bar is seen by the share.
_SELECT = """
WITH ends AS (
    SELECT n, begin AS open_time, lead(begin) OVER (ORDER BY n) AS close_time
    FROM unnest({begins}::timestamptz[]) WITH ORDINALITY AS b (begin, n)
), found AS (
    SELECT p.id, p."timestamp", p.title, p.url, p.sentiment, p.attributes, s.dataset,
           width_bucket(p."timestamp", {begins}::timestamptz[]) AS n
    FROM points_news AS p JOIN series AS s USING (series_id)
    WHERE p."timestamp" >= {first} AND p."timestamp" < {past} AND p.retired_at IS NULL
    AND p.symbols @> ARRAY[{symbol}::text] {wanted}
    ORDER BY p."timestamp" DESC, p.id DESC LIMIT {most}
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
), feeds AS (SELECT count(DISTINCT dataset) AS feeds FROM found)
SELECT coalesce(json_agg(json_build_object(
    'open_time', to_char(open_time AT TIME ZONE 'UTC', '{iso}'),
    'close_time', to_char(close_time AT TIME ZONE 'UTC', '{iso}'),
    'news', coalesce(bars.news, 0), 'scored', coalesce(scored, 0), 'mean', mean,
    'negative', coalesce(negative, 0), 'neutral', coalesce(neutral, 0),
    'positive', coalesce(positive, 0), 'feeds', coalesce(bars.feeds, 0),
    'share_of_feeds', round(coalesce(bars.feeds, 0)::numeric / nullif(feeds.feeds, 0), 4),
    'headlines', coalesce(headlines, '[]')
) ORDER BY open_time {order}), '[]')::text AS body, (SELECT count(*) FROM found) AS read
FROM ends LEFT JOIN bars USING (n) CROSS JOIN feeds WHERE close_time IS NOT NULL
"""
_ORDERS = {"asc": "", "desc": "DESC"}


def build(
    symbol: str,
    wanted: SourceFilter,
    window: Window,
    headlines: int,
    order: str,
) -> tuple[str, list[Any]]:
    """The query of the bars: one row, `body` with their JSON, `read` news, MAX_NEWS + 1 at most."""
    arguments = Where()
    own = Where(arguments)
    for name, values in wanted.values().items():
        if name != "symbol":
            own.add_among(f's."{name}"', values)
    query = _SELECT.format(
        begins=arguments.bind(window.begins()),
        first=arguments.bind(window.start),
        past=arguments.bind(window.end),
        symbol=arguments.bind(symbol),
        wanted="".join(f" AND {each}" for each in own.conditions),
        most=MAX_NEWS + 1,
        headlines=int(headlines),
        iso=_ISO,
        order=_ORDERS[order],
    )
    return query, arguments.arguments
