"""What routes are handed: the key check, the database, the command bus."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from services.gateway.command_bus import CommandBus
from services.gateway.database import Database
from services.gateway.problems import ProblemError
from services.gateway.settings import GatewaySettings

WRONG_KEYS_A_MINUTE = 100
_header = APIKeyHeader(
    name="x-api-key",
    auto_error=False,
    description="API_KEY of the settings",
)


class WrongKeys:
    """Counts wrong keys by address. A right key is never hindered: it is compared first."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._limit = RateLimitItemPerMinute(WRONG_KEYS_A_MINUTE)

    def are_too_many(self, address: str) -> bool:
        """Counts one more."""
        return not self._limiter.hit(self._limit, address)


async def require_key(
    request: Request, key: Annotated[str | None, Depends(_header)]
) -> str:
    """401 without, 403 with a wrong key, 429 after many of them; compared in constant time."""
    settings: GatewaySettings = request.app.state.settings
    wrong_keys: WrongKeys = request.app.state.wrong_keys
    if not key:
        challenge = {"WWW-Authenticate": "ApiKey"}
        raise ProblemError(
            401,
            "send the API key in the header x-api-key",
            headers=challenge,
        )
    given = key.encode("utf-8", "surrogateescape")
    if secrets.compare_digest(
        given, settings.api_key.get_secret_value().encode()
    ):
        return key
    address = request.client.host if request.client else ""
    if wrong_keys.are_too_many(address):
        message = f"more than {WRONG_KEYS_A_MINUTE} wrong API keys in a minute: wait"
        raise ProblemError(429, message, headers={"Retry-After": "60"})
    raise ProblemError(
        403, "the API key in the header x-api-key is wrong"
    )


async def _database(request: Request) -> Database:
    return request.app.state.database  # type: ignore[no-any-return]


async def _bus(request: Request) -> CommandBus:
    return request.app.state.bus  # type: ignore[no-any-return]


ApiKey = Annotated[str, Depends(require_key)]
Db = Annotated[Database, Depends(_database)]
Bus = Annotated[CommandBus, Depends(_bus)]
