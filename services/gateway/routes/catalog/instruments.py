"""GET /instruments"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.dependencies import ApiKey, Bus, Db
from services.gateway.instruments.listed import coins_of
from services.gateway.instruments.schema import (
    Instrument,
    InstrumentsQuery,
)
from services.gateway.instruments.search import fitting, known
from services.gateway.requests.answers import as_json
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import link_to_skip, paged

router = APIRouter(
    tags=["series"], dependencies=[Depends(check_parameters)]
)


@router.get(
    "/instruments",
    response_model=list[Instrument],
    responses=paged(401, 403, 422, 503),
    summary="What is priced, and what each source calls it",
)
async def read_instruments(
    request: Request,
    _key: ApiKey,
    database: Db,
    bus: Bus,
    asked: Annotated[InstrumentsQuery, Query()],
) -> Response:
    """By symbol: its coins by rank, whether it is ambiguous, the ids of each source.

    Coins are those that CoinPaprika lists, also where nothing of them is stored.
    """
    coins = await asyncio.to_thread(coins_of, bus.checkpoints)
    found = await known(database, asked.conditions(), coins)
    ordered = await asyncio.to_thread(fitting, found, asked.q, asked.sort)
    end = asked.skip + asked.limit
    body = [
        each.shown(coins.listed_at) for each in ordered[asked.skip : end]
    ]
    headers = link_to_skip(request, end) if len(ordered) > end else {}
    return as_json(body, headers)
