"""Whether a request has the API key."""

from __future__ import annotations

import secrets

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from services.gateway.problems import ProblemError
from services.gateway.settings import GatewaySettings

HEADER = "x-api-key"
WRONG_KEYS_A_MINUTE = 100
MAX_ADDRESS = 64  # characters


class WrongKeys:
    """Counts wrong keys by address. A right key is never hindered: it is compared first."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._limit = RateLimitItemPerMinute(WRONG_KEYS_A_MINUTE)

    def are_too_many(self, address: str) -> bool:
        """Counts one more."""
        return not self._limiter.hit(self._limit, address[:MAX_ADDRESS])


def plain(given: str) -> str:
    """Without blanks around it, which are no part of a header's value."""
    return given.strip(" \t")


def check_key(request: Request, given: str | None) -> str:
    """The key, `plain`.

    Raises ProblemError 401 without, 403 with a wrong key, 429 after many of them. Compared in
    constant time.
    """
    key = plain(given or "")
    if not key:
        challenge = {"WWW-Authenticate": "ApiKey"}
        raise ProblemError(
            401,
            f"send the API key in the header {HEADER}",
            headers=challenge,
        )
    settings: GatewaySettings = request.app.state.settings
    encoded = key.encode("utf-8", "surrogateescape")
    right = settings.api_key.get_secret_value().encode()
    if not secrets.compare_digest(encoded, right):
        raise wrong(
            request, f"the API key in the header {HEADER} is wrong"
        )
    return key


def wrong(request: Request, message: str) -> ProblemError:
    """403 with the message, or 429 after many of them."""
    wrong_keys: WrongKeys = request.app.state.wrong_keys
    address = request.client.host if request.client else ""
    if not wrong_keys.are_too_many(address):
        return ProblemError(403, message)
    message = f"more than {WRONG_KEYS_A_MINUTE} wrong API keys in a minute: wait"
    return ProblemError(429, message, headers={"Retry-After": "60"})
