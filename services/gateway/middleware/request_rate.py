"""How many requests a key may make in a minute, and what is left of them."""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import problems
from services.gateway.api_key import HEADER, plain
from services.gateway.middleware.key_guard import is_guarded


class RequestRate:
    """ASGI middleware behind KeyGuard: `RateLimit-*` headers, and 429 for a key beyond its limit.

    Counted in this gateway alone.
    """

    def __init__(self, app: ASGIApp, a_minute: int) -> None:
        self._app = app
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._limit = RateLimitItemPerMinute(a_minute)

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http" or not is_guarded(scope["path"]):
            await self._app(scope, receive, send)
            return
        key = plain(Headers(scope=scope).get(HEADER, ""))
        is_within = self._limiter.hit(self._limit, key)
        stands = self._limiter.get_window_stats(self._limit, key)
        wait = max(0, math.ceil(stands.reset_time - time.time()))
        told = [
            (b"ratelimit-limit", str(self._limit.amount).encode()),
            (b"ratelimit-remaining", str(stands.remaining).encode()),
            (b"ratelimit-reset", str(wait).encode()),
        ]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *told]
            await send(message)

        app = self._app if is_within else _refused(self._limit, wait)
        await app(scope, receive, with_headers)


def _refused(limit: RateLimitItemPerMinute, wait: int) -> ASGIApp:
    return problems.answered(
        problems.ProblemError(
            429,
            f"more than {limit.amount} requests in a minute (REQUESTS_PER_MINUTE): wait",
            headers={"Retry-After": str(wait)},
        )
    )
