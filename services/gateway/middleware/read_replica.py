"""Which server answers a question about data: a standby where there is one, else the primary."""

from __future__ import annotations

import math

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.replica import SIDE, Replica

PREFIX = "/api/v1/"
AFTER_RUN = "X-After-Run"
# What is asked of runs, letters and configuration is asked of the primary: people act on it.
READ = (
    "data",
    "ohlcv",
    "latest",
    "price",
    "agreement",
    "sentiment",
    "news",
    "series",
    "instruments",
    "coverage",
)
_METHODS = frozenset({"GET", "HEAD"})


class ReadReplica:
    """ASGI middleware: the side of a request in its scope, and `Age` where it is the standby.

    With `X-After-Run` the standby answers only when it shows that the run has ended.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        age = await _age(scope) if is_read(scope) else None
        if age is None:
            await self._app(scope, receive, send)
            return
        scope[SIDE] = scope["app"].state.standby
        told = (b"age", b"%d" % math.ceil(age))

        async def with_age(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], told]
            await send(message)

        await self._app(scope, receive, with_age)


async def _age(scope: Scope) -> float | None:
    replica: Replica = scope["app"].state.replica
    age = replica.age_s()
    run_id = Headers(scope=scope).get(AFTER_RUN)
    if age is None or run_id is None:
        return age
    return age if await replica.has_ended(run_id) else None


def is_read(scope: Scope) -> bool:
    """Whether a request asks for data. Prices at many moments are asked for by POST."""
    if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
        return False
    first = scope["path"].removeprefix(PREFIX).partition("/")[0]
    is_asked = scope["method"] in _METHODS or first == "price"
    return first in READ and is_asked
