"""How many requests a key may make in a minute, and what is left of them."""

from __future__ import annotations

import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import problems
from services.gateway.api_key import ASKING, HEADER, Principal, plain
from services.gateway.middleware.key_guard import is_guarded

MINUTE_S = 60


class RequestRate:
    """ASGI middleware behind KeyGuard: `RateLimit-*` headers, and 429 for a key beyond its limit.

    `a_minute`: of a key without a limit of its own; 0: as many as it likes. Counted in this gateway
    alone, by minutes of the clock. It stands in the way of every request, where the windows of a
    library took as long as a third of the answer.
    """

    def __init__(self, app: ASGIApp, a_minute: int) -> None:
        self._app = app
        self._a_minute = a_minute
        self._minute = 0
        self._counts: dict[str, int] = {}  # of this minute, by key

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        is_counted = scope["type"] == "http" and is_guarded(scope["path"])
        most = self._most_of(scope[ASKING]) if is_counted else 0
        if not most:
            await self._app(scope, receive, send)
            return
        minute, second = divmod(int(time.time()), MINUTE_S)
        used = self._count(minute, Headers(scope=scope).get(HEADER, ""))
        wait = MINUTE_S - second
        told = (
            (b"ratelimit-limit", b"%d" % most),
            (b"ratelimit-remaining", b"%d" % max(0, most - used)),
            (b"ratelimit-reset", b"%d" % wait),
        )

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *told]
            await send(message)

        is_within = used <= most
        app = self._app if is_within else _refused(most, wait)
        await app(scope, receive, with_headers)

    def _most_of(self, asking: Principal) -> int:
        own = asking.key and asking.key.requests_per_minute
        return own or self._a_minute

    def _count(self, minute: int, given: str) -> int:
        """How many there were in this minute, with this one."""
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        return self._one_more(plain(given))

    def _one_more(self, key: str) -> int:
        self._counts[key] = self._counts.get(key, 0) + 1
        return self._counts[key]


def _refused(most: int, wait: int) -> ASGIApp:
    return problems.answered(
        problems.ProblemError(
            429,
            f"more than {most} requests of this key in a minute (its own limit, or "
            "REQUESTS_PER_MINUTE): wait",
            headers={"Retry-After": str(wait)},
        )
    )
