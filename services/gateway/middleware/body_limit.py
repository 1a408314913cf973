"""A limit on request bodies, before anything reads them.

FastAPI has one too, but answers with plain text, not a problem.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import problems

MAX_DIGITS = 18  # of a Content-Length that is converted


class BodyLimit:
    """ASGI middleware: 413 for a body that is, or grows, too large."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        messages = (
            None
            if self._declares_too_much(scope)
            else await self._read(receive)
        )
        if messages is None:
            await self._refuse(scope, receive, send)
            return
        unread = iter(messages)

        async def receive_again() -> Message:
            return next(unread, None) or await receive()

        await self._app(scope, receive_again, send)

    def _declares_too_much(self, scope: Scope) -> bool:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        return (
            declared.isdigit()
            and int(declared[:MAX_DIGITS]) > self._limit
        )

    async def _read(self, receive: Receive) -> list[Message] | None:
        """The messages of the body; None when it is too large."""
        messages: list[Message] = []
        size = 0
        while True:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self._limit:
                return None
            if is_last(message):
                return messages

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        detail = f"the body has more than {self._limit} bytes"
        await problems.refuse(413, detail)(scope, receive, send)


def is_last(message: Message) -> bool:
    """Whether a body ends with this message."""
    return message["type"] != "http.request" or not message.get(
        "more_body", False
    )
