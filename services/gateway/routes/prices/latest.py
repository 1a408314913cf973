"""GET /latest"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from services.gateway.dependencies import ApiKey, Db
from services.gateway.prices import choice
from services.gateway.prices.latest import coins_of, latest
from services.gateway.prices.schema import LatestPrice, LatestQuery
from services.gateway.problems import documented
from services.gateway.requests.known_parameters import check_parameters

router = APIRouter(
    tags=["prices"], dependencies=[Depends(check_parameters)]
)


@router.get(
    "/latest",
    response_model=list[LatestPrice],
    responses=documented(401, 403, 422, 503),
    summary="The newest price of each coin, and how it has moved",
)
async def read_latest(
    _key: ApiKey, database: Db, asked: Annotated[LatestQuery, Query()]
) -> Response:
    """By symbol. Of several series of a coin the one with the newest price."""
    names = await choice.symbols(
        database, asked.conditions(), asked.limit, asked.skip
    )
    conditions = asked.conditions()
    conditions.add_among("symbol", names)
    coins = coins_of(await choice.found(database, conditions))
    body = await latest(database, coins, datetime.now(UTC))
    return Response(
        msgspec.json.encode(body), media_type="application/json"
    )
