"""Answers that are kept as long as nothing was written, and queries that were checked once.

A query that is asked again is neither checked nor read again: one look at what is visible to
PostgreSQL tells whether the answer is still right. So an answer is never older than what was
committed before its request came.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute

from services.gateway.database import Database

Asked = TypeVar("Asked")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
MAX_QUERIES = 1_000
MAX_QUERY_BYTES = 1_000  # of one that is kept
MAX_BYTES = 8 << 20  # of all answers of an endpoint
ZIPPED_FROM = 1_024  # bytes
ETAG: dict[str, Any] = {
    "ETag": {
        "description": "Of this answer: give it as `If-None-Match` the next time",
        "schema": {"type": "string"},
    }
}
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "What `If-None-Match` names is what there is"}
}
_ZIP_LEVEL = 4
_GZIP = 16 + zlib.MAX_WBITS
_TAG_BYTES = 12
_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Vary": "Accept-Encoding",
}
# The time of the server's start is part of it: after a restore numbers of transactions come again.
_LOOK = """
SELECT concat(pg_postmaster_start_time(), ' ', pg_current_snapshot(), ' ',
              CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END) AS visible
"""


class Visible:
    """What PostgreSQL shows now, as a text: the same as long as nothing was written.

    A look answers all that came before it began.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Lock()
        self._begun = 0  # looks
        # The number of a look that has ended, and what it saw or why it failed.
        self._last: tuple[int, str | Exception] = (0, "")

    async def now(self) -> str:
        """Raises as `Database.rows`."""
        before = self._begun
        async with self._turn:
            number, seen = self._last
            if number <= before:
                seen = await self._look()
        if isinstance(seen, Exception):
            raise seen
        return seen

    async def _look(self) -> str | Exception:
        """One that fails fails for all that wait for it: they would fail one after the other."""
        self._begun += 1
        seen: str | Exception
        try:
            (row,) = await self._database.rows(_LOOK)
            seen = str(row["visible"])
        except Exception as error:  # noqa: BLE001  it is raised where it is met
            seen = error
        self._last = (self._begun, seen)
        return seen


@dataclass(frozen=True)
class Answer:
    """A body of JSON with its headers."""

    body: bytes
    headers: dict[str, str]

    @cached_property
    def tag(self) -> str:
        """A weak ETag: the body may be sent compressed or not."""
        whole = hashlib.blake2b(self.body, digest_size=_TAG_BYTES)
        whole.update(repr(sorted(self.headers.items())).encode())
        return f'W/"{whole.hexdigest()}"'

    async def zipped(self) -> bytes:
        """Compressed once, away from the event loop."""
        if "_zipped" not in self.__dict__:
            await asyncio.to_thread(lambda: self._zipped)
        return self._zipped

    @cached_property
    def _zipped(self) -> bytes:
        packer = zlib.compressobj(_ZIP_LEVEL, zlib.DEFLATED, _GZIP)
        return packer.compress(self.body) + packer.flush()


@dataclass
class _Known(Generic[Asked]):
    """A query that was checked, and its last answer, made when `visible` was visible."""

    asked: Asked
    visible: str
    answer: Answer

    def size(self) -> int:
        """Bytes that its answer takes, at most."""
        return 2 * len(self.answer.body)


class KeptAnswers(Generic[Asked]):
    """The last queries of one endpoint. The key is checked before, each time."""

    def __init__(
        self,
        visible: Visible,
        make: Callable[[Asked], Awaitable[Answer]],
    ) -> None:
        """`make`: the answer of a query, read from the database. Raises ProblemError."""
        self._visible = visible
        self._make = make
        self._known: OrderedDict[bytes, _Known[Asked]] = OrderedDict()
        self._bytes = 0

    def known(self, query: bytes) -> Asked | None:
        """What a query means that was checked."""
        found = self._known.get(query)
        return None if found is None else found.asked

    async def response(self, request: Request, asked: Asked) -> Response:
        """Whole, compressed where the client takes that, or 304. Raises as `make`."""
        query: bytes = request.scope["query_string"]
        visible = await self._visible.now()
        known = self._known.get(query)
        if known is None or known.visible != visible:
            known = _Known(asked, visible, await self._make(asked))
            self._keep(query, known)
        else:
            self._known.move_to_end(query)
        return await answered(request, known.answer)

    def _keep(self, query: bytes, known: _Known[Asked]) -> None:
        self._drop(query)
        if len(query) > MAX_QUERY_BYTES or known.size() > MAX_BYTES // 4:
            return
        self._known[query] = known
        self._bytes += known.size()
        while self._bytes > MAX_BYTES or len(self._known) > MAX_QUERIES:
            self._drop(next(iter(self._known)))

    def _drop(self, query: bytes) -> None:
        dropped = self._known.pop(query, None)
        if dropped is not None:
            self._bytes -= dropped.size()


def keeping(
    answers_of: Callable[[Request], KeptAnswers[Any]],
) -> type[APIRoute]:
    """For APIRouter(route_class=…): the way around FastAPI's checks, half of a request."""

    class Route(APIRoute):
        def get_route_handler(self) -> Handler:
            check = super().get_route_handler()

            async def handle(request: Request) -> Response:
                answers = answers_of(request)
                asked = answers.known(request.scope["query_string"])
                if asked is None or not _takes_json(request):
                    return await check(request)
                return await answers.response(request, asked)

            return handle

    return Route


async def answered(request: Request, answer: Answer) -> Response:
    """Whole, compressed where the client takes that, or 304."""
    headers = {**_HEADERS, "ETag": answer.tag, **answer.headers}
    if _is_known(request.headers.get("if-none-match", ""), answer.tag):
        return Response(status_code=304, headers=headers)
    body = answer.body
    if _is_zipped(request, body):
        body = await answer.zipped()
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type="application/json", headers=headers)


def _is_zipped(request: Request, body: bytes) -> bool:
    return len(body) >= ZIPPED_FROM and _takes_gzip(
        request.headers.get("accept-encoding", "")
    )


def _is_known(tags: str, tag: str) -> bool:
    """Whether If-None-Match names a tag, weak or strong."""
    if not tags:
        return False
    own = tag.removeprefix("W/")
    given = [each.strip().removeprefix("W/") for each in tags.split(",")]
    return own in given or given == ["*"]


def _takes_json(request: Request) -> bool:
    """Whether nothing else is asked for than what is kept."""
    accepted = request.headers.getlist("accept") or ["*/*"]
    first = accepted[0].split(",")[0].strip()
    is_plain = len(accepted) == 1 and ";" not in accepted[0]
    return is_plain and first in ("*/*", "application/json")


def _takes_gzip(encodings: str) -> bool:
    """Whether Accept-Encoding allows gzip by its name."""
    for each in encodings.split(","):
        name, _, weight = each.partition(";")
        if name.strip().lower() in ("gzip", "x-gzip"):
            return weight.replace(" ", "").lower() not in (
                "q=0",
                "q=0.0",
                "q=0.00",
                "q=0.000",
            )
    return False
