"""A limit on request bodies, before anything reads them.

FastAPI has one too, but answers with plain text, not a problem.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import problems
from services.gateway.middleware.key_guard import is_guarded

MAX_DIGITS = 18  # of a Content-Length that is converted
STREAMED = "/api/v1/files/csv/"
OPEN_BYTES = 1024  # of a body to what everybody may ask


class Room:
    """The memory that all bodies together may take while they arrive."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> bool:
        """Whether there was so much left."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        self._left += size


class BodyLimit:
    """ASGI middleware: 413 for a body that is, or grows, too large; 503 for one too many."""

    def __init__(self, app: ASGIApp, limit: int, together: int) -> None:
        """`together`: bytes of all bodies that are on their way or at work."""
        self._app = app
        self._limit = limit
        self._room = Room(together)

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http" or is_streamed(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(self._limit_of(scope), self._room)
        try:
            if self._declares_too_much(scope):
                body.refusal = body.too_large()
            else:
                await body.read(receive)
            app = self._app
            if body.refusal is not None:
                app = problems.answered(body.refusal)
            await app(scope, body.receive_again(receive), send)
        finally:
            self._room.give_back(body.size)

    def _limit_of(self, scope: Scope) -> int:
        """What is open to everybody takes no body."""
        is_open = not is_guarded(scope["path"])
        return min(self._limit, OPEN_BYTES) if is_open else self._limit

    def _declares_too_much(self, scope: Scope) -> bool:
        return _declared(scope) > self._limit_of(scope)


def _declared(scope: Scope) -> int:
    """The size of a body by its header; 0 where there is none."""
    text = dict(scope["headers"]).get(b"content-length", b"0")
    return int(text[:MAX_DIGITS]) if text.isdigit() else 0


class _Body:
    """The messages of a body. `refusal`: why it is not taken."""

    def __init__(self, limit: int, room: Room) -> None:
        self._limit = limit
        self._room = room
        self._messages: list[Message] = []
        self.size = 0
        self.refusal: problems.ProblemError | None = None

    def too_large(self) -> problems.ProblemError:
        detail = f"the body has more than {self._limit} bytes"
        return problems.ProblemError(413, detail)

    async def read(self, receive: Receive) -> None:
        """All of it, as far as it is taken."""
        while self.refusal is None:
            message = await receive()
            self._messages.append(message)
            self._count(len(message.get("body", b"")))
            if is_last(message):
                return

    def _count(self, size: int) -> None:
        if self.size + size > self._limit:
            self.refusal = self.too_large()
        elif not self._room.take(size):
            detail = (
                "too many large requests at once: try again in a moment"
            )
            self.refusal = problems.unavailable(detail)
        else:
            self.size += size

    def receive_again(self, receive: Receive) -> Receive:
        unread = iter(self._messages)

        async def again() -> Message:
            return next(unread, None) or await receive()

        return again


def is_streamed(scope: Scope) -> bool:
    """Whether a body is a file, which is written as it comes."""
    path: str = scope["path"]
    return scope.get("method") == "PUT" and path.startswith(STREAMED)


def is_last(message: Message) -> bool:
    """Whether a body ends with this message."""
    return message["type"] != "http.request" or not message.get(
        "more_body", False
    )
