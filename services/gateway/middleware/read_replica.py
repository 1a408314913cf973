"""Which server answers a question about data: a standby where there is one, else the primary."""

from __future__ import annotations

import math
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.live.tokens import Place
from services.gateway.problems import ProblemError
from services.gateway.replica import SIDE, Replica

PREFIX = "/api/v1/"
AFTER_RUN = "X-After-Run"
AFTER_CHANGE = "X-After-Change"
HEADERS = [
    {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": f"A standby may answer only once it shows {what}",
    }
    for name, what in (
        (AFTER_RUN, "that this run has ended, and what it stored"),
        (AFTER_CHANGE, "what came before this token of changes"),
    )
]
_MAX_AGE = re.compile(r"\bmax-age=(\d{1,9})\b")
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

    With `X-After-Run` the standby answers only when it shows that the run has ended, with
    `X-After-Change` when it shows what came before a token of changes. `Cache-Control: no-cache`
    asks the primary, `max-age` for an answer that is no older.
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
    """None: the primary answers."""
    replica: Replica = scope["app"].state.replica
    headers = Headers(scope=scope)
    age = replica.age_s()
    if age is None or age > _most(headers.get("cache-control", "")):
        return None
    run_id = headers.get(AFTER_RUN)
    if run_id is not None and not await replica.has_ended(run_id):
        return None
    token = headers.get(AFTER_CHANGE)
    if token is not None and not await _has_change(replica, token):
        return None
    return age


def _most(cache_control: str) -> float:
    """Seconds that an answer may be old."""
    if "no-cache" in cache_control:
        return -1
    found = _MAX_AGE.search(cache_control)
    return int(found[1]) if found else math.inf


async def _has_change(replica: Replica, token: str) -> bool:
    try:
        place = Place.decode(token, AFTER_CHANGE)
    except ProblemError:
        return False
    return await replica.has_change(place.seq + bool(place.index))


def is_read(scope: Scope) -> bool:
    """Whether a request asks for data. Prices at many moments are asked for by POST."""
    if scope["type"] != "http":
        return False
    first = _first_of(scope["path"])
    is_asked = scope["method"] in _METHODS or first == "price"
    return first in READ and is_asked


def _first_of(path: str) -> str:
    """What stands behind the prefix; empty for a path elsewhere."""
    before, _, behind = path.partition(PREFIX)
    return "" if before else behind.partition("/")[0]
