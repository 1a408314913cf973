"""Clients that send or take a byte a second do not keep a request open for ever."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import problems
from shared.runtime import logs

log = logs.get(__name__)


class SlowClients:
    """ASGI middleware: 408 when a body does not arrive in time; the connection is dropped when an answer is not taken in time."""

    def __init__(self, app: ASGIApp, timeout_s: float) -> None:
        self._app, self._timeout_s = app, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        is_whole = False

        async def receive_in_time() -> Message:
            nonlocal is_whole
            if is_whole:
                return await receive()
            async with asyncio.timeout_at(deadline):
                message = await receive()
            is_whole = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._timeout_s):
                await send(message)

        try:
            await self._app(scope, receive_in_time, send_in_time)
        except TimeoutError:
            if is_whole:
                log.warning("slow_client_dropped", path=scope["path"])
                raise  # the server closes the connection
            answer = problems.respond(
                Request(scope), 408, f"the body did not arrive within {self._timeout_s:.0f} s", headers={"Connection": "close"}
            )
            await answer(scope, receive, send)
