"""What is noted of each request when it is over."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOT_ANSWERED = 499  # the client went away before


class Noted:
    """ASGI middleware that calls `note` once for each request, however it ended."""

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
            self.note(scope, status, time.perf_counter() - started)

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        """What becomes of it."""
        raise NotImplementedError
