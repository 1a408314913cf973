"""How many requests each route has answered, and how long it took."""

from __future__ import annotations

import time

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.monitoring.metrics import PREFIX

NOT_ANSWERED = 499  # the client went away before
NO_ROUTE = "none"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_requests = Counter(
    f"{PREFIX}_http_requests",
    "Requests that were answered; 499: the client went away before",
    ["method", "route", "status"],
)
_seconds = Histogram(
    f"{PREFIX}_http_request_seconds",
    "Until the last byte of an answer was handed to the system",
    ["route"],
    buckets=SECONDS,
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


class RequestMetrics:
    """ASGI middleware. By the pattern of a route, never by a path, which may be anything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = NOT_ANSWERED

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            found = scope.get("route")
            route = getattr(found, "path", NO_ROUTE)
            given = scope["method"]
            method = given if given in METHODS else "other"
            _requests.labels(method, route, status).inc()
            _seconds.labels(route).observe(time.perf_counter() - started)
