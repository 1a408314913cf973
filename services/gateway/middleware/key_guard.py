"""The API key, before anything of a request's body is read."""

from __future__ import annotations

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway import problems
from services.gateway.api_key import (
    ASKING,
    HEADER,
    Principal,
    check_key,
)
from services.gateway.kafka.asked_by import ASKED_BY

GUARDED = "/api/v1/"
OPEN = ("/api/v1/health", "/api/v1/health/live", "/api/v1/health/ready")


class KeyGuard:
    """ASGI middleware: 401, 403 or 429 for a request without the right key.

    Of what is open to everybody nothing is hindered.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        app = self._app
        if scope["type"] == "http" and is_guarded(scope["path"]):
            found = _asking(scope)
            if scope["path"].endswith("\n"):
                # Routes are found by patterns, whose `$` passes over a line feed.
                found = problems.ProblemError(
                    404, "the path ends with a line feed"
                )
            if isinstance(found, problems.ProblemError):
                app = problems.answered(found)
            else:
                scope[ASKING] = found
                ASKED_BY.set(found.name)
                # In every line of the log that the request leads to.
                structlog.contextvars.bind_contextvars(key=found.name)
        await app(scope, receive, send)


def is_guarded(path: str) -> bool:
    """Whether a path needs the API key."""
    return path.startswith(GUARDED) and path not in OPEN


def _asking(scope: Scope) -> Principal | problems.ProblemError:
    """Who asks, or why not."""
    given = Headers(scope=scope).getlist(HEADER)
    key = given[0] if len(given) == 1 else None
    try:
        return check_key(Request(scope), key)
    except problems.ProblemError as error:
        return error
