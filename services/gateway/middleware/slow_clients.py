"""Clients that send or take a byte a second do not keep a request open without end."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import problems
from services.gateway.middleware.body_limit import is_last, is_streamed
from shared.runtime import logs

LEAST_RATE = 16_384  # bytes a second, of a body that is a file
log = logs.get(__name__)


class SlowClientError(Exception):
    """A client did not send or take in time. No TimeoutError: those are of the database."""


class SlowClients:
    """ASGI middleware: 408 when a body does not arrive in time.

    The connection is dropped when an answer is not taken in time.
    """

    def __init__(self, app: ASGIApp, timeout_s: float) -> None:
        self._app = app
        self._timeout_s = timeout_s

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        now = asyncio.get_running_loop().time
        deadline = now() + self._timeout_s
        is_whole = False

        async def receive_in_time() -> Message:
            nonlocal is_whole, deadline
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise SlowClientError from None
            is_whole = is_last(message)
            if is_streamed(scope):  # however long, if it comes at a pace
                size = len(message.get("body", b""))
                deadline += size / LEAST_RATE
            return message

        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self._timeout_s):
                    await send(message)
            except TimeoutError:
                raise SlowClientError from None

        try:
            await self._app(scope, receive_in_time, send_in_time)
        except SlowClientError:
            if is_whole:
                # The server closes a connection whose answer is not complete.
                log.warning("slow_client_dropped", path=scope["path"])
                return
            await self._refuse(scope, receive, send)

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        detail = f"the body did not arrive within {self._timeout_s:.0f} s"
        await problems.refuse(408, detail)(scope, receive, send)
