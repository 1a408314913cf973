"""Places in ordered lists, as opaque texts, and the links that carry them."""

from __future__ import annotations

import base64
import struct
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import Request, Response

from services.gateway.problems import documented, field_problem
from services.gateway.requests.times import to_seconds

TOKEN_BYTES = 24
# The parameters of pages but for `limit`, which a link keeps.
PAGE_PARAMETERS = ("skip", "cursor")
CURSOR: dict[str, Any] = {
    "description": "Where a `Link` header said to go on",
    "json_schema_extra": {"pattern": "^[A-Za-z0-9_-]{32}$"},
}
LINK: dict[str, Any] = {
    "Link": {
        "description": '`rel="next"`: the next page, where there is one',
        "schema": {"type": "string"},
    }
}


def paged(
    *statuses: int,
    content: dict[str, Any] | None = None,
    headers: dict[str, Any] | None = None,
) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route whose answer leads on: these statuses answer with a problem.

    `content`: other forms of the answer, by media type. `headers`: beside `Link`.
    """
    found: dict[str, Any] = {"headers": {**LINK, **(headers or {})}}
    if content is not None:
        found["content"] = content
    return {200: found, **documented(*statuses)}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class PageToken:
    """A place in the order (timestamp DESC, id DESC). As text it is opaque to users.

    `timestamp`: that of the place, see shared/identity/point_ids.py.
    """

    timestamp: datetime
    id: uuid.UUID

    def encode(self) -> str:
        place = struct.pack(">q", _micros(self.timestamp))
        return base64.urlsafe_b64encode(place + self.id.bytes).decode()

    @classmethod
    def decode(cls, text: str) -> PageToken:
        """Raises ProblemError 422 for what no `encode` has written."""
        try:
            raw = base64.b64decode(text, altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        if len(raw) != TOKEN_BYTES:
            raise field_problem(
                "query.cursor",
                "not a cursor of this API: take it from a Link header",
            )
        (micros,) = struct.unpack(">q", raw[:8])
        return cls(_moment(micros), uuid.UUID(bytes=raw[8:]))


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    """A time from microseconds; a forged one beyond all years is the first or the last."""
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return _LAST if micros > 0 else _FIRST


def path_of_pages(request: Request) -> str:
    """The path with its parameters but those that say which page is meant."""
    url = request.url.remove_query_params(PAGE_PARAMETERS)
    return f"{url.path}?{url.query}&" if url.query else f"{url.path}?"


def next_link(path: str, cursor: str) -> dict[str, str]:
    """The header that leads to the page after `cursor`. `path`: as `path_of_pages` gives it."""
    return {"Link": f'<{path}cursor={cursor}>; rel="next"'}


def cut(
    request: Request,
    response: Response,
    found: list[Any],
    limit: int,
    skip: int,
) -> list[Any]:
    """A page, of a list that was read one further, with the header that leads on."""
    if len(found) > limit:
        response.headers.update(link_to_skip(request, skip + limit))
    return found[:limit]


def link_to_skip(request: Request, skip: int) -> dict[str, str]:
    """The header that leads on in a list that is paged by `skip`."""
    return {"Link": f'<{path_of_pages(request)}skip={skip}>; rel="next"'}


def link_to_times(
    request: Request, start: datetime, end: datetime
) -> dict[str, str]:
    """The header that leads on in a list that is paged by `from` and `to`."""
    url = request.url.remove_query_params(("from", "to"))
    times = f"from={to_seconds(start)}&to={to_seconds(end)}"
    return {"Link": f'<{url.path}?{url.query}&{times}>; rel="next"'}
