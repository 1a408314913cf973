"""How many requests each route has answered, and how long it took."""

from __future__ import annotations

from prometheus_client import Counter, Histogram
from starlette.types import Scope

from services.gateway.middleware.noted import Noted
from shared.monitoring.metrics import PREFIX

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


class RequestMetrics(Noted):
    """By the pattern of a route, never by a path, which may be anything."""

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", NO_ROUTE)
        given = scope["method"]
        method = given if given in METHODS else "other"
        _requests.labels(method, route, status).inc()
        _seconds.labels(route).observe(seconds)
