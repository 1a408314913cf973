"""An error that nobody foresaw is answered like any other, with the headers of all answers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import problems
from services.gateway.middleware.slow_clients import SlowClientError


class Unexpected:
    """ASGI middleware around the app: 500 as a problem, unless an answer has begun."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except SlowClientError:
            raise
        except Exception as error:
            if has_begun:
                raise
            answer = problems.unexpected(Request(scope), error)
            await answer(scope, receive, send)
