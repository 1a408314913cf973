"""What routes are handed: the key check, the database, the command bus."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader

from services.gateway.api_key import (
    ASKING,
    HEADER,
    Principal,
    check_key,
)
from services.gateway.database import Database
from services.gateway.kafka.command_bus import CommandBus
from services.gateway.replica import SIDE, Side
from shared.access.keys import Scope

_header = APIKeyHeader(
    name=HEADER,
    auto_error=False,
    description="API_KEY of the settings, or a key that POST /keys has made",
)


def side_of(request: Request) -> Side:
    """The server that the request's questions go to."""
    return request.scope.get(SIDE) or request.app.state.primary  # type: ignore[no-any-return]


async def require_key(
    request: Request, key: Annotated[str | None, Depends(_header)]
) -> Principal:
    """Who asks, as `KeyGuard` has found; here the key stands in the OpenAPI."""
    found: Principal | None = request.scope.get(ASKING)
    return found or check_key(request, key)


async def _administrator(
    principal: Annotated[Principal, Depends(require_key)],
) -> Principal:
    """Of routes that only an administrator may ask. Raises ProblemError 403.

    Also where the path was read otherwise before.
    """
    principal.refuse_without(Scope.ADMIN)
    return principal


async def _identity(
    principal: Annotated[Principal, Depends(require_key)],
) -> str:
    return principal.identity


async def _database(request: Request) -> Database:
    return side_of(request).database


async def _questions(request: Request) -> Database:
    return side_of(request).questions


async def _probes(request: Request) -> Database:
    return request.app.state.probes  # type: ignore[no-any-return]


async def _bus(request: Request) -> CommandBus:
    return request.app.state.bus  # type: ignore[no-any-return]


# What the ids of runs follow from, beside an Idempotency-Key.
ApiKey = Annotated[str, Depends(_identity)]
Asking = Annotated[Principal, Depends(require_key)]
Administrator = Annotated[Principal, Depends(_administrator)]
Db = Annotated[Database, Depends(_database)]
# Of questions that read much: others do not wait for them.
QuestionsDb = Annotated[Database, Depends(_questions)]
ProbesDb = Annotated[Database, Depends(_probes)]
Bus = Annotated[CommandBus, Depends(_bus)]
