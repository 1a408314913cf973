"""A line of the log for each request: who asked what, what was answered, how long it took."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime import logs

NOT_ANSWERED = 499  # the client went away before
log = logs.get(__name__)


class AccessLog:
    """Method, path, status, milliseconds, client and key; no query, which may hold anything."""

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
            client = scope.get("client")
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round((time.perf_counter() - started) * 1000, 1),
                client=client[0] if client else None,
                key=_name_of(scope),
            )


def _name_of(scope: Scope) -> str | None:
    """The id of the key, `API_KEY`, or None where there was no right one."""
    asking = scope.get("asking")
    return asking and asking.name
