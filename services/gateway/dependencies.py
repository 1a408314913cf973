"""What routes are handed: the key check, the database, the broker."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from services.gateway.command_bus import Broker
from services.gateway.database import Database
from services.gateway.problems import ProblemError
from services.gateway.settings import GatewaySettings

WRONG_KEYS_A_MINUTE = 100


class WrongKeys:
    """Counts wrong keys by address. A right key is never hindered: it is looked at first."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._limit = RateLimitItemPerMinute(WRONG_KEYS_A_MINUTE)

    def are_too_many(self, address: str) -> bool:
        """Counts one more."""
        return not self._limiter.hit(self._limit, address)


_header = APIKeyHeader(name="x-api-key", auto_error=False, description="API_KEY of the settings")


async def require_key(request: Request, key: Annotated[str | None, Depends(_header)]) -> str:
    """401 without, 403 with a wrong key, 429 after many of them; compared in constant time."""
    settings: GatewaySettings = request.app.state.settings
    if not key:
        raise ProblemError(401, "send the API key in the header x-api-key", headers={"WWW-Authenticate": "ApiKey"})
    if not secrets.compare_digest(key.encode("utf-8", "surrogateescape"), settings.api_key.get_secret_value().encode()):
        if request.app.state.wrong_keys.are_too_many(request.client.host if request.client else ""):
            raise ProblemError(429, f"more than {WRONG_KEYS_A_MINUTE} wrong API keys in a minute: wait", headers={"Retry-After": "60"})
        raise ProblemError(403, "the API key in the header x-api-key is wrong")
    return key


async def _database(request: Request) -> Database:
    return request.app.state.database  # type: ignore[no-any-return]


async def _broker(request: Request) -> Broker:
    return request.app.state.broker  # type: ignore[no-any-return]


ApiKey = Annotated[str, Depends(require_key)]
Db = Annotated[Database, Depends(_database)]
Kafka = Annotated[Broker, Depends(_broker)]
