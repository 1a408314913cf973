"""GET /latest"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.dependencies import ApiKey, QuestionsDb
from services.gateway.prices import choice
from services.gateway.prices.latest import coins_of, latest
from services.gateway.prices.schema import LatestPrice, LatestQuery
from services.gateway.requests.answers import as_json
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import link_to_skip, paged

router = APIRouter(
    tags=["prices"], dependencies=[Depends(check_parameters)]
)


@router.get(
    "/latest",
    response_model=list[LatestPrice],
    responses=paged(401, 403, 422, 503),
    summary="The newest price of each coin, and how it has moved",
)
async def read_latest(
    request: Request,
    _key: ApiKey,
    database: QuestionsDb,
    asked: Annotated[LatestQuery, Query()],
) -> Response:
    """By symbol. Of several series of a coin the one with the newest price."""
    found = await choice.symbols(
        database, asked.conditions(), asked.limit + 1, asked.skip
    )
    names = found[: asked.limit]
    headers = {}
    if len(found) > asked.limit:
        headers = link_to_skip(request, asked.skip + asked.limit)
    conditions = asked.conditions()
    conditions.add_among("symbol", names)
    coins = coins_of(await choice.found(database, conditions))
    body = await latest(database, coins, datetime.now(UTC))
    return as_json(body, headers)
