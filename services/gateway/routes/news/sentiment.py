"""GET /sentiment"""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.database import Database
from services.gateway.dependencies import ApiKey, QuestionsDb
from services.gateway.files.export import file_response
from services.gateway.files.formats import CONTENT, FileFormat
from services.gateway.files.wanted import refuse_pages, wanted_format
from services.gateway.news.schema import Sentiment, SentimentQuery
from services.gateway.news.sentiment import (
    FILE_COLUMNS,
    MAX_BARS_OF_FILE,
    MAX_NEWS,
    SentimentQueries,
    build,
    feeds_query,
)
from services.gateway.prices.intervals import Interval
from services.gateway.prices.windows import Window, window_between
from services.gateway.problems import field_problem
from services.gateway.requests.answers import as_json
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import (
    link_to_times,
    paged,
)
from services.gateway.requests.times import span

_EXTENT = """
SELECT min("timestamp") AS first, max("timestamp") AS last FROM points_news
WHERE symbols @> ARRAY[$1::text] AND retired_at IS NULL
"""
router = APIRouter(
    tags=["news"], dependencies=[Depends(check_parameters)]
)


@router.get(
    "/sentiment",
    response_model=Sentiment,
    responses=paged(401, 403, 406, 422, 503, content=CONTENT),
    summary="How news about a coin feel, over time",
)
async def read_sentiment(
    request: Request,
    _key: ApiKey,
    database: QuestionsDb,
    asked: Annotated[SentimentQuery, Query()],
) -> Response:
    """Mean, counts and headlines of each interval, with the words that the sentiment comes from.

    Without `from` and `to` the newest `limit` bars. `Link: rel="next"` leads to the next ones.
    """
    form = wanted_format(request, asked.format)
    window = await _window(database, asked)
    if form != FileFormat.JSON:
        return await _file(request, database, asked, form, window)
    bars: Any = []
    headers = {}
    if window is not None:
        page, rest = window.page(asked.limit, asked.start, asked.order)
        bars = msgspec.Raw(await _bars(database, asked, page))
        if rest is not None:
            headers = link_to_times(request, rest.start, rest.end)
    body = {
        "symbol": asked.symbol,
        "interval": asked.interval,
        "tz": asked.tz,
        "bars": bars,
    }
    return as_json(body, headers)


async def _file(
    request: Request,
    database: Database,
    asked: SentimentQuery,
    form: FileFormat,
    window: Window | None,
) -> Response:
    """Raises ProblemError 422, 429, 503."""
    refuse_pages(asked, "limit", "order")
    if window is None:
        window = Window.without_bars(
            Interval.of(asked.interval), ZoneInfo(asked.tz)
        )
    if window.count() > MAX_BARS_OF_FILE:
        raise field_problem(
            "query.interval",
            f"that are {window.count():,} bars, at most {MAX_BARS_OF_FILE:,} are written: give"
            " `from` and `to`, or a longer interval",
        )
    query, arguments = feeds_query(asked, window)
    (row,) = await database.rows(query, *arguments)
    queries = SentimentQueries(asked, window, row["feeds"], form)
    return await file_response(
        request,
        "sentiment",
        form,
        FILE_COLUMNS,
        queries,
        is_in_pieces=True,
    )


async def _window(
    database: Database, asked: SentimentQuery
) -> Window | None:
    """The bars from the first news to the last, as far as they are asked for."""
    start, end = span(asked.start, asked.end)
    row = await database.row(_EXTENT, asked.coin())
    if row is None or row["first"] is None:
        return None
    return window_between(
        row["first"],
        row["last"],
        Interval.of(asked.interval),
        ZoneInfo(asked.tz),
        start,
        end,
    )


async def _bars(
    database: Database, asked: SentimentQuery, page: Window
) -> bytes:
    query, arguments = build(asked, page)
    (row,) = await database.rows(query, *arguments)
    if row["read"] > MAX_NEWS:
        raise field_problem(
            "query.limit",
            f"more than {MAX_NEWS:,} news lie in that time: ask for fewer bars",
        )
    return bytes(row["body"].encode())
