"""GET /news, /news/impact"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.database import Database, Where, window_of
from services.gateway.dependencies import ApiKey, QuestionsDb
from services.gateway.news.impact import Article, by_mood, moves
from services.gateway.news.schema import (
    Impact,
    ImpactQuery,
    News,
    NewsQuery,
    OfCoin,
)
from services.gateway.prices import choice
from services.gateway.prices.intervals import Interval
from services.gateway.prices.series import WholeSeries
from services.gateway.problems import documented, field_problem
from services.gateway.requests.answers import as_json
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import (
    PageToken,
    next_link,
    paged,
    path_of_pages,
)
from services.gateway.requests.times import span

MAX_NEWS = 2_000  # whose impact is counted together
_SELECT = """
SELECT p.id::text, p."timestamp" AS published_at, p.created_at AS known_at, p.title, p.url,
       s.dataset AS feed, p.symbols, p.sentiment
FROM points_news AS p JOIN series AS s USING (series_id) {wanted}
ORDER BY p."timestamp" DESC, p.id DESC {window}
"""
router = APIRouter(
    tags=["news"], dependencies=[Depends(check_parameters)]
)


@router.get(
    "/news",
    response_model=list[News],
    responses=paged(401, 403, 422, 503),
    summary="News about a coin, and what its price did after them",
)
async def read_news(
    request: Request,
    _key: ApiKey,
    database: QuestionsDb,
    asked: Annotated[NewsQuery, Query()],
) -> Response:
    """Newest first. Moves count from when this system knew the news, and from publication."""
    found = await _articles(database, asked, asked.limit, asked.cursor)
    delays = _delays(asked.delays())
    series = await _prices(database, asked.coin(), asked.currency)
    known = await moves(
        database, [each.known_at for each in found], series, delays
    )
    published = await moves(
        database, [each.published_at for each in found], series, delays
    )
    body = [
        {
            **article.shown(),
            "since_known": of_known.shown(),
            "since_published": of_published.shown(),
        }
        for article, of_known, of_published in zip(
            found, known, published, strict=True
        )
    ]
    headers = {}
    if len(found) == asked.limit:
        last = PageToken(found[-1].published_at, UUID(found[-1].id))
        headers = next_link(path_of_pages(request), last.encode())
    return as_json(body, headers)


@router.get(
    "/news/impact",
    response_model=Impact,
    responses=documented(401, 403, 422, 503),
    summary="What prices did after news, by their sentiment",
)
async def read_impact(
    request: Request,
    _key: ApiKey,
    database: QuestionsDb,
    asked: Annotated[ImpactQuery, Query()],
) -> dict[str, Any]:
    """Mean and median move by sentiment and delay, with counts, of at most 2,000 news."""
    found = await _articles(database, asked, MAX_NEWS + 1, None)
    if len(found) > MAX_NEWS:
        raise field_problem(
            "query.from",
            f"more than {MAX_NEWS:,} news lie in that time: ask for a shorter one",
        )
    moments = [
        each.known_at if asked.since == "known" else each.published_at
        for each in found
    ]
    series = await _prices(database, asked.coin(), asked.currency)
    async with request.app.state.lookups:
        moved = await moves(
            database, moments, series, _delays(asked.delays())
        )
    times = [each.published_at for each in found]
    return {
        "symbol": asked.symbol,
        "since": asked.since,
        "news": len(found),
        "first": min(times, default=None),
        "last": max(times, default=None),
        "impact": by_mood(found, moved, asked.delays()),
    }


async def _articles(
    database: Database, asked: OfCoin, limit: int, cursor: str | None
) -> list[Article]:
    """Newest first. Raises ProblemError 422."""
    wanted = Where()
    wanted.conditions.append("p.retired_at IS NULL")
    start, end = span(asked.start, asked.end)
    symbol = wanted.bind(asked.coin())
    wanted.conditions.append(f"p.symbols @> ARRAY[{symbol}::text]")
    wanted.add('p."timestamp" >=', start)
    wanted.add('p."timestamp" <', end)
    for name, values in asked.values().items():
        wanted.add_among(f's."{name}"', values)
    if cursor is not None:
        place = PageToken.decode(cursor)
        wanted.add_behind(
            'p."timestamp", p.id', (place.timestamp, place.id)
        )
    query = _SELECT.format(wanted=wanted, window=window_of(limit))
    rows = await database.rows(query, *wanted.arguments)
    return [Article(**row) for row in rows]


async def _prices(
    database: Database, symbol: str, currency: str | None
) -> list[WholeSeries]:
    """The series of prices of a coin, in the order of the rule."""
    wanted = Where()
    wanted.add("symbol =", symbol)
    wanted.add("currency =", currency)
    return choice.ranked(await choice.found(database, wanted))


def _delays(names: list[str]) -> dict[str, Interval]:
    found = {name: Interval.parse(name) for name in names}
    return {name: each for name, each in found.items() if each}
