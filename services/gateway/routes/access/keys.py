"""POST and GET /keys, DELETE /keys/{key_id}, GET /me"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Body, Depends, Response

from services.gateway.api_key import Principal
from services.gateway.dependencies import Administrator, Asking, Bus, Db
from services.gateway.kafka.command_bus import CommandBus
from services.gateway.kafka.key_log import MAX_KEYS
from services.gateway.problems import ProblemError, documented
from services.gateway.requests.json_body import JsonBodyRoute
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.routes.access.schema import (
    ApiKeyState,
    MadeKey,
    Me,
    NewKey,
)
from shared.access.keys import KeyState, digest_of, new_key
from shared.values.times import from_ms, now_ms

_SELECT_USES = "SELECT key_id::text, used_at FROM key_uses"
DAY_MS = 86_400_000
FULL = f"{MAX_KEYS} keys count already: revoke some"
router = APIRouter(
    tags=["keys"],
    dependencies=[Depends(check_parameters)],
    route_class=JsonBodyRoute,
)


@router.get(
    "/me",
    response_model=Me,
    responses=documented(401, 403, 422, 503),
    summary="Who asks, and what the key may do",
)
async def me(asking: Asking) -> Me:
    """Of the key in the header."""
    state = asking.key
    return Me(
        key_id=asking.key_id,
        scope=asking.scope,
        note=state and state.note,
        expires_at=state and _moment(state.expires_at),
        requests_per_minute=state and state.requests_per_minute,
    )


@router.get(
    "/keys",
    response_model=list[ApiKeyState],
    responses=documented(401, 403, 422, 503),
    summary="The keys beside API_KEY, without the keys",
)
async def list_keys(
    _asking: Administrator, bus: Bus, database: Db
) -> list[ApiKeyState]:
    """The newest first, also those that count no more. Needs `admin`."""
    await bus.configuration.catch_up()
    told = dict(await database.rows(_SELECT_USES))
    return [
        _shown(bus, state, told.get(state.key_id))
        for state in bus.configuration.keys.all()
    ]


@router.post(
    "/keys",
    status_code=201,
    response_model=MadeKey,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Make a key",
)
async def make_key(
    response: Response,
    asking: Administrator,
    bus: Bus,
    body: Annotated[NewKey, Body()],
) -> MadeKey:
    """It is shown this once, and kept as a hash. All gateways know it when this has answered.

    Needs `admin`. To rotate a key make one that `replaces` it, hand it over, revoke the old one.
    """
    key = new_key()
    key_id = str(uuid.uuid4())
    now = now_ms()
    family = key_id
    await bus.configuration.catch_up()
    if bus.configuration.keys.is_full:
        raise ProblemError(409, FULL)
    if body.replaces is not None:
        family = (await _known(bus, str(body.replaces))).family
    state = KeyState(
        key_id=key_id,
        family=family,
        replaces=str(body.replaces) if body.replaces else None,
        digest=digest_of(key),
        scope=body.scope,
        note=body.note,
        made_at=now,
        made_by=asking.key_id,
        expires_at=body.days and now + body.days * DAY_MS,
        requests_per_minute=body.requests_per_minute,
    )
    await bus.configuration.publish_key(state)
    response.headers["Cache-Control"] = "no-store"
    return MadeKey(**_shown(bus, state).model_dump(), key=key)


@router.delete(
    "/keys/{key_id}",
    response_model=ApiKeyState,
    responses=documented(401, 403, 404, 422, 503),
    summary="Revoke a key",
)
async def revoke_key(
    asking: Administrator, bus: Bus, key_id: uuid.UUID
) -> ApiKeyState:
    """It counts nowhere any more within a second. Asked twice, it is done once. Needs `admin`."""
    state = await _known(bus, str(key_id))
    if state.revoked_at is None:
        state = _revoked(state, asking)
        await bus.configuration.publish_key(state)
    return _shown(bus, state)


def _revoked(state: KeyState, asking: Principal) -> KeyState:
    return msgspec.structs.replace(
        state, revoked_at=now_ms(), revoked_by=asking.key_id
    )


async def _known(bus: CommandBus, key_id: str) -> KeyState:
    """Raises ProblemError 404, 503."""
    await bus.configuration.catch_up()
    state = bus.configuration.keys.get(key_id)
    if state is None:
        raise ProblemError(
            404, f"there is no key {key_id}: GET /api/v1/keys lists them"
        )
    return state


def _shown(
    bus: CommandBus, state: KeyState, told: datetime | None = None
) -> ApiKeyState:
    """`told`: when it was used last, as the loader knows."""
    return ApiKeyState(
        key_id=state.key_id,
        scope=state.scope,
        note=state.note,
        made_at=from_ms(state.made_at),
        made_by=state.made_by,
        replaces=state.replaces,
        expires_at=_moment(state.expires_at),
        revoked_at=_moment(state.revoked_at),
        revoked_by=state.revoked_by,
        requests_per_minute=state.requests_per_minute,
        last_used_at=_last_use(bus, state.key_id, told),
    )


def _last_use(
    bus: CommandBus, key_id: str, told: datetime | None
) -> datetime | None:
    seen = bus.configuration.keys.used_at(key_id)
    if seen is None:
        return told
    return max(seen, told or seen)


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else from_ms(at_ms)
