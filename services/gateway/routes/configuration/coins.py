"""GET, PUT and DELETE /sources/{source}/coins"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends

from services.gateway.dependencies import Asking, Bus
from services.gateway.kafka.command_bus import CommandBus
from services.gateway.problems import documented, field_problem
from services.gateway.requests.json_body import JsonBodyRoute
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.routes.configuration.schema import (
    CoinsState,
    NewCoins,
)
from services.gateway.routes.configuration.shown import (
    forecast,
    origin_of,
)
from shared.configuration.settings import Coins, Kind
from shared.messages.base import Source

ALL = "*"
CoinSource = Literal[Source.COINPAPRIKA, Source.COINGECKO]
router = APIRouter(
    tags=["configuration"],
    dependencies=[Depends(check_parameters)],
    route_class=JsonBodyRoute,
)
_RESPONSES = documented(401, 403, 409, 422, 503)


@router.get(
    "/sources/{source}/coins",
    response_model=CoinsState,
    responses=_RESPONSES,
    summary="The coins of a source",
)
async def read_coins(
    _asking: Asking, bus: Bus, source: CoinSource
) -> CoinsState:
    """And of CoinPaprika how many calls a month the schedules make with them."""
    await bus.configuration.catch_up()
    return _shown(bus, source)


@router.put(
    "/sources/{source}/coins",
    response_model=CoinsState,
    responses=_RESPONSES,
    summary="Choose the coins of a source",
)
async def put_coins(
    asking: Asking,
    bus: Bus,
    source: CoinSource,
    body: Annotated[NewCoins, Body()],
) -> CoinsState:
    """From the next run on, in all instances, above `.env` until they are reset."""
    ids = list(dict.fromkeys(body.ids))
    if ALL in ids and (len(ids) > 1 or source != Source.COINPAPRIKA):
        raise field_problem(
            "body.ids", '"*" stands for all coins of CoinPaprika, alone'
        )
    await bus.configuration.change(
        Kind.COINS.named(source), Coins(ids=ids), asking.key_id
    )
    return _shown(bus, source)


@router.delete(
    "/sources/{source}/coins",
    response_model=CoinsState,
    responses=_RESPONSES,
    summary="Take the coins of `.env` again",
)
async def reset_coins(
    asking: Asking, bus: Bus, source: CoinSource
) -> CoinsState:
    """Of COIN_IDS or COINGECKO_IDS."""
    await bus.configuration.change(
        Kind.COINS.named(source), None, asking.key_id
    )
    return _shown(bus, source)


def _shown(bus: CommandBus, source: str) -> CoinsState:
    effective = bus.configuration.effective
    return CoinsState(
        source=source,
        ids=effective.coins(source),
        forecast=forecast(bus) if source == Source.COINPAPRIKA else None,
        **origin_of(effective, Kind.COINS.named(source)),
    )
