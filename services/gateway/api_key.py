"""Who asks: API_KEY, which may do everything, or a key that was made beside it."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from services.gateway.kafka.key_log import KeyLog
from services.gateway.problems import ProblemError, unavailable
from services.gateway.settings import GatewaySettings
from shared.access.keys import KeyState, Scope
from shared.values.times import from_ms

HEADER = "x-api-key"
WRONG_KEYS_A_MINUTE = 100
MAX_ADDRESS = 64  # characters
# What only an administrator may ask.
_ADMINISTERED = ("/api/v1/keys", "/api/v1/audit")
# They ask, with a body.
_QUESTIONS = frozenset({"/api/v1/price"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Principal:
    """Who asks. `identity`: the same for keys that replace each other; secret for API_KEY."""

    identity: str
    scope: Scope
    key: KeyState | None = None

    @property
    def key_id(self) -> str | None:
        """None: API_KEY."""
        return self.key.key_id if self.key else None

    @property
    def name(self) -> str:
        """For the log."""
        return self.key_id or "API_KEY"


ASKING = "asking"  # where a request's scope holds its Principal


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


def check_key(request: Request, given: str | None) -> Principal:
    """Who has the key, if it may do what is asked.

    Raises ProblemError 401 without, 403 with a wrong key or one that may not, 429 after many wrong
    ones, 503 while keys are not known. Compared in constant time, or by a hash.
    """
    key = plain(given or "")
    if not key:
        challenge = {"WWW-Authenticate": "ApiKey"}
        raise ProblemError(
            401,
            f"send the API key in the header {HEADER}",
            headers=challenge,
        )
    if _is_first(request, key):
        return Principal(key, Scope.ADMIN)
    state = _made(request, key)
    needed = scope_for(request.method, request.scope["path"])
    if not state.scope.allows(needed):
        raise ProblemError(
            403, f"this key may {state.scope}, and this needs {needed}"
        )
    return Principal(f"key {state.family}", state.scope, state)


def scope_for(method: str, path: str) -> Scope:
    """What a request needs."""
    for each in _ADMINISTERED:
        if path == each or path.startswith(f"{each}/"):
            return Scope.ADMIN
    is_question = method in _READING or path in _QUESTIONS
    return Scope.READ if is_question else Scope.OPERATE


def _is_first(request: Request, key: str) -> bool:
    settings: GatewaySettings = request.app.state.settings
    encoded = key.encode("utf-8", "surrogateescape")
    right = settings.api_key.get_secret_value().encode()
    return secrets.compare_digest(encoded, right)


def _made(request: Request, key: str) -> KeyState:
    """A key that was made beside API_KEY and counts. Raises ProblemError 403, 429, 503."""
    keys: KeyLog | None = getattr(request.app.state, "keys", None)
    now = time.time()
    state = keys.find(key, now) if keys else None
    if state is None:
        if keys and not keys.is_known:
            raise unavailable(
                "the keys are not read yet: try again in a moment"
            )
        raise wrong(
            request, f"the API key in the header {HEADER} is wrong"
        )
    if state.revoked_at is not None:
        raise wrong(
            request, f"this key was revoked {_shown(state.revoked_at)}"
        )
    if not state.counts_at(round(now * 1000)):
        raise wrong(request, f"this key ended {_shown(state.expires_at)}")
    return state


def _shown(at_ms: int | None) -> str:
    return f"{from_ms(at_ms or 0):%Y-%m-%dT%H:%M:%SZ}"


def wrong(request: Request, message: str) -> ProblemError:
    """403 with the message, or 429 after many of them."""
    wrong_keys: WrongKeys = request.app.state.wrong_keys
    address = request.client.host if request.client else ""
    if not wrong_keys.are_too_many(address):
        return ProblemError(403, message)
    message = f"more than {WRONG_KEYS_A_MINUTE} wrong API keys in a minute: wait"
    return ProblemError(429, message, headers={"Retry-After": "60"})
