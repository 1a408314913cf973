"""What browsers are told about every answer."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
    ),
)
NOT_STORED = (b"cache-control", b"no-store")


class SecurityHeaders:
    """ASGI middleware: no guessed types, no frames; answers of the API are not stored.

    But for those that say themselves how long they may be kept.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_api = scope["path"].startswith("/api/")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message["headers"]
                is_said = any(name == NOT_STORED[0] for name, _ in own)
                more = (NOT_STORED,) if is_api and not is_said else ()
                message["headers"] = [*own, *ALWAYS, *more]
            await send(message)

        await self._app(scope, receive, with_headers)
