"""Who asks: API_KEY, which may do everything, or a key that was made beside it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from services.gateway.kafka.key_log import KeyLog
from services.gateway.problems import ProblemError, unavailable
from services.gateway.settings import GatewaySettings
from shared.access.keys import KeyState, Scope
from shared.values.times import from_ms, now_ms

HEADER = "x-api-key"
WRONG_KEYS_A_MINUTE = 100
BARRED_S = 60.0
TRUSTED_S = 3600.0
MAX_ADDRESS = 64  # characters
MAX_ADDRESSES = 10_000
DEFAULT_KEY = "test-api-key"
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

    def counts_still(self, keys: KeyLog | None) -> bool:
        """Whether the key was not revoked since, and has not ended."""
        if self.key is None:
            return True
        now = keys.get(self.key.key_id) if keys else None
        return now is not None and now.counts_at(now_ms())

    def refuse_without(self, needed: Scope) -> None:
        """Raises ProblemError 403."""
        if not self.scope.allows(needed):
            message = (
                f"this key may {self.scope}, and this needs {needed}"
            )
            raise ProblemError(403, message)


ASKING = "asking"  # where a request's scope holds its Principal


class WrongKeys:
    """Counts wrong keys by address, and bars one that has tried many.

    Not one from which a right key came in the last hour: behind a proxy or beside a script with an
    old key are others.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._limit = RateLimitItemPerMinute(WRONG_KEYS_A_MINUTE)
        self._barred: dict[str, float] = {}  # until when, by address
        self._trusted: dict[str, float] = {}

    def are_too_many(self, address: str) -> bool:
        """Counts one more."""
        place = address[:MAX_ADDRESS]
        if self._limiter.hit(self._limit, place):
            return False
        self._until(self._barred, place, BARRED_S)
        return True

    def saw_right(self, address: str) -> None:
        self._until(self._trusted, address[:MAX_ADDRESS], TRUSTED_S)

    def is_barred(self, address: str) -> bool:
        """Whether even the right key is not looked at: who guesses would see which it is."""
        if not self._barred:
            return False
        place, now = address[:MAX_ADDRESS], self._now()
        if self._trusted.get(place, 0) > now:
            return False
        return self._barred.get(place, 0) > now

    def _until(
        self, places: dict[str, float], place: str, seconds: float
    ) -> None:
        if place not in places and len(places) >= MAX_ADDRESSES:
            del places[next(iter(places))]
        places[place] = self._now() + seconds


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
    address = request.client.host if request.client else ""
    wrong_keys: WrongKeys = request.app.state.wrong_keys
    if wrong_keys.is_barred(address):
        raise _too_many()
    if _is_first(request, key):
        _refuse_foreign_name(request, key)
        wrong_keys.saw_right(address)
        return Principal(key, Scope.ADMIN)
    state = _made(request, key)
    wrong_keys.saw_right(address)
    found = Principal(f"key {state.family}", state.scope, state)
    needed = scope_for(request.method, request.scope["path"])
    found.refuse_without(needed)
    keys: KeyLog = request.app.state.keys
    if needed != Scope.READ and keys.is_behind(time.monotonic()):
        raise unavailable(
            "Kafka is away, and this key may have been revoked meanwhile: it may read, and API_KEY "
            "may do the rest"
        )
    return found


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


def _refuse_foreign_name(request: Request, key: str) -> None:
    """Raises ProblemError 403 for the default key under a name that others may have made.

    A page of theirs could lead a browser here, which knows the key as everybody does.
    """
    host = request.url.hostname or ""
    is_name = "." in host and not host.replace(".", "").isdigit()
    if key == DEFAULT_KEY and is_name and ":" not in host:
        raise ProblemError(
            403,
            f"the default API_KEY opens nothing under the name {host[:MAX_ADDRESS]}: set API_KEY",
        )


def _made(request: Request, key: str) -> KeyState:
    """A key that was made beside API_KEY and counts. Raises ProblemError 403, 429, 503."""
    keys: KeyLog | None = getattr(request.app.state, "keys", None)
    now = time.time()
    state = keys.find(key, now) if keys else None
    if state is None:
        refused = wrong(
            request, f"the API key in the header {HEADER} is wrong"
        )
        if keys and not keys.is_known and refused.status == 403:
            raise unavailable(
                "the keys are not read yet: try again in a moment"
            )
        raise refused
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
    return _too_many()


def _too_many() -> ProblemError:
    message = f"more than {WRONG_KEYS_A_MINUTE} wrong API keys in a minute: wait"
    return ProblemError(429, message, headers={"Retry-After": "60"})
