"""GET and POST /price"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.database import Database
from services.gateway.dependencies import ApiKey, QuestionsDb
from services.gateway.prices import choice
from services.gateway.prices.moments import Found, Wanted, last_known
from services.gateway.prices.schema import PriceAt, PriceQuery, PricesBody
from services.gateway.problems import (
    ProblemError,
    documented,
    field_problem,
)
from services.gateway.queries.raw_pages import check_is_kept
from services.gateway.requests.answers import as_json, encoded
from services.gateway.requests.json_body import JsonBodyRoute
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.times import as_utc, utc

MAX_LOOKS = 100_000  # prices times series that they may come from
MAX_LOOKS_THEN = 10_000  # with `as_of`
router = APIRouter(
    tags=["prices"],
    dependencies=[Depends(check_parameters)],
    route_class=JsonBodyRoute,
)


@router.get(
    "/price",
    response_model=PriceAt,
    responses=documented(401, 403, 404, 410, 422, 503),
    summary="The price at a moment",
)
async def read_price(
    _key: ApiKey,
    database: QuestionsDb,
    asked: Annotated[PriceQuery, Query()],
) -> Response:
    """The last price that was known at a moment, never a later one, and how old it was then."""
    moment = utc("at", asked.moment) or datetime.now(UTC)
    as_of = await _as_of(database, "query.as_of", asked.as_of)
    series = await choice.found(
        database, asked.conditions(), is_of_now=as_of is None
    )
    ranked = choice.ranked(series)
    (found,) = await last_known(database, [Wanted(moment, ranked)], as_of)
    if found is None:
        raise ProblemError(
            404,
            f"no price of {asked.symbol} is known at or before that time",
        )
    return _response(_shown(asked.symbol, moment, found))


@router.post(
    "/price",
    response_model=list[PriceAt],
    responses=documented(401, 403, 410, 422, 503),
    summary="Prices at up to 10,000 moments",
)
async def read_prices(
    request: Request,
    _key: ApiKey,
    database: QuestionsDb,
    body: PricesBody,
) -> Response:
    """As `GET /price`, in the order of `pairs`; `price` is null where none was known."""
    pairs = _pairs(body)
    as_of = await _as_of(database, "body.as_of", body.as_of)
    conditions = body.conditions()
    conditions.add_among(
        "symbol", sorted({symbol.lower() for symbol, _ in pairs})
    )
    series = await choice.found(
        database, conditions, is_of_now=as_of is None
    )
    by_symbol = choice.by_symbol(series)
    wanted = [
        Wanted(moment, by_symbol.get(symbol.lower(), ()))
        for symbol, moment in pairs
    ]
    _refuse_many(wanted, then=as_of is not None)
    lookups: asyncio.Semaphore = request.app.state.lookups
    async with lookups:
        found = await last_known(database, wanted, as_of)
        content = await asyncio.to_thread(_together, pairs, found)
    return encoded(content)


def _together(
    pairs: list[tuple[str, datetime]], found: list[Found | None]
) -> bytes:
    return msgspec.json.encode(
        [
            _shown(symbol, moment, each)
            for (symbol, moment), each in zip(pairs, found, strict=True)
        ]
    )


def _pairs(body: PricesBody) -> list[tuple[str, datetime]]:
    return [(symbol, _moment(moment)) for symbol, moment in body.pairs]


def _moment(moment: datetime) -> datetime:
    """In UTC. Raises ProblemError 422 for one that UTC has no year for."""
    try:
        return as_utc(moment) or moment
    except ValueError:
        raise field_problem(
            "body.pairs", "a time is out of range"
        ) from None


async def _as_of(
    database: Database, field: str, given: datetime | None
) -> datetime | None:
    """In UTC. Raises ProblemError 410 for a time before what is kept, 422."""
    if given is None:
        return None
    try:
        moment = as_utc(given)
    except ValueError:
        raise field_problem(field, "out of range") from None
    if moment is not None:
        await check_is_kept(database, moment)
    return moment


def _refuse_many(wanted: Sequence[Wanted], *, then: bool) -> None:
    """Raises ProblemError 422. With `as_of` each part of a series is looked at."""
    looks = sum(
        len(series.ids) if then else 1
        for each in wanted
        for series in each.series
    )
    most = MAX_LOOKS_THEN if then else MAX_LOOKS
    if looks > most:
        raise field_problem(
            "body.pairs",
            f"they may come from {looks:,} places, at most {most:,} are looked at: name a"
            " source, a dataset or a currency",
        )


def _shown(
    symbol: str, moment: datetime, found: Found | None
) -> dict[str, Any]:
    shown: dict[str, Any] = {"symbol": symbol, "at": moment}
    if found is None:
        nothing = ("currency", "time", "seconds_before", "id", "series")
        return {**shown, "price": None, **dict.fromkeys(nothing)}
    return {**shown, **found.shown(moment)}


def _response(body: Any) -> Response:
    return as_json(body)
