"""ETag, 304 and gzip for answers of JSON that do not say so themselves."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.requests.kept_answers import Answer, answered

OK = 200
MAX_BYTES = 4 << 20  # of an answer that is held back
_CODINGS = frozenset({b"etag", b"content-encoding", b"transfer-encoding"})


class KeptByClients:
    """ASGI middleware for GET: a tag over the whole answer, which is held back until it is there.

    Answers that are streamed, have a tag, or are larger pass as they come.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        held: Message | None = None
        parts: list[bytes] = []

        async def hold(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                if _is_held(message):
                    held = message
                    return
            elif held is not None:
                parts.append(message.get("body", b""))
                if message.get("more_body"):
                    return
                await _send_whole(
                    scope, receive, send, held, b"".join(parts)
                )
                return
            await send(message)

        await self._app(scope, receive, hold)


def _is_held(start: Message) -> bool:
    if any(name in _CODINGS for name, _ in start["headers"]):
        return False
    headers = Headers(raw=start["headers"])
    size = headers.get("content-length")
    return (
        start["status"] == OK
        and headers.get("content-type") == "application/json"
        and size is not None
        and int(size) <= MAX_BYTES
    )


async def _send_whole(
    scope: Scope,
    receive: Receive,
    send: Send,
    start: Message,
    body: bytes,
) -> None:
    own: Any = MutableHeaders(raw=start["headers"])
    for name in ("content-length", "content-type"):
        del own[name]
    response = await answered(
        Request(scope), Answer(body, dict(own.items()))
    )
    await response(scope, receive, send)
