"""GET /events"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field

from services.gateway.database import Database
from services.gateway.dependencies import Asking, QuestionsDb
from services.gateway.kafka.key_log import KeyLog
from services.gateway.live import feed
from services.gateway.live.feed import NOW
from services.gateway.live.hub import Listener
from services.gateway.live.tokens import PATTERN, Place
from services.gateway.problems import documented
from services.gateway.requests.filters import SeriesFilter
from services.gateway.requests.known_parameters import check_parameters
from shared.runtime import logs

HEARTBEAT_S = 10.0
PAGE = 500  # changes that are read at a time
KINDS = ("change", "run", "task", "dead_letter", "source")
RETRY_MS = 1_000
log = logs.get(__name__)
router = APIRouter(
    tags=["data"], dependencies=[Depends(check_parameters)]
)


class EventsQuery(SeriesFilter):
    """The parameters of GET /events. The filters are those of changes."""

    types: str | None = Field(
        None,
        pattern=rf"^({'|'.join(KINDS)})(,({'|'.join(KINDS)}))*$",
        description=f"Only these, of {', '.join(KINDS)}",
    )
    since: str = Field(
        NOW,
        pattern=PATTERN,
        description="As of GET /changes; `Last-Event-ID` counts before it",
    )

    def kinds(self) -> frozenset[str]:
        return frozenset(self.types.split(",") if self.types else KINDS)


async def _begin(
    database: QuestionsDb,
    asked: Annotated[EventsQuery, Query()],
    last_event_id: Annotated[
        str | None,
        Header(description="The `id` of the last event that arrived"),
    ] = None,
) -> Place:
    """Where changes begin. Raises ProblemError 410, 422, before an answer begins."""
    since = asked.since
    field = "query.since"
    if last_event_id:
        since, field = last_event_id, "header.Last-Event-ID"
    if since in (NOW, feed.OLDEST):
        return await feed.begin(database, since)
    place = Place.decode(since, field)
    await feed.page(database, place, SeriesFilter(), 1)
    return place


async def _listen(
    request: Request, asked: Annotated[EventsQuery, Query()]
) -> AsyncIterator[Listener | None]:
    """A place among those who listen; HEAD needs none. Raises ProblemError 429."""
    if request.scope.get("is_head"):
        yield None
        return
    async with request.app.state.hub.listening(asked.kinds()) as listener:
        yield listener


@router.get(
    "/events",
    response_class=EventSourceResponse,
    responses=documented(401, 403, 410, 422, 429, 503),
    summary="What happens, live",
)
async def read_events(
    request: Request,
    asking: Asking,
    database: QuestionsDb,
    asked: Annotated[EventsQuery, Query()],
    place: Annotated[Place, Depends(_begin)],
    listener: Annotated[Listener | None, Depends(_listen)],
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: changes as GET /changes tells them, runs, tasks, dead letters, sources.

    `id` stands with changes and heartbeats: give the last one as `Last-Event-ID`, to any gateway,
    and each change comes once, in order. A client that does not read is dropped, and one whose key
    counts no more. `heartbeat` comes first, and when nothing else does.
    """
    if listener is None:
        return
    kinds = asked.kinds()
    yield _heartbeat(place, retry=RETRY_MS)
    while not listener.is_too_slow and asking.counts_still(
        _keys(request)
    ):
        for event in listener.take():
            yield ServerSentEvent(event=event.name, raw_data=event.text)
        if "change" in kinds:
            async for told in _changes(database, place, asked):
                place = told.next
                for each in told.changes:
                    yield ServerSentEvent(
                        event="change",
                        id=each.place.encode(),
                        raw_data=each.text,
                    )
        if not await _has_news(listener):
            yield _heartbeat(place)
    if listener.is_too_slow:
        log.warning("slow_listener_dropped")


def _keys(request: Request) -> KeyLog | None:
    return getattr(request.app.state, "keys", None)


def _heartbeat(place: Place, retry: int | None = None) -> ServerSentEvent:
    """It says where changes are told up to, also where none of them were wanted."""
    return ServerSentEvent(
        event="heartbeat", id=place.encode(), raw_data="{}", retry=retry
    )


async def _changes(
    database: Database, place: Place, asked: EventsQuery
) -> AsyncIterator[feed.Page]:
    """What became visible since a place."""
    while True:
        found = await feed.page(database, place, asked, PAGE)
        yield found
        place = found.next
        if found.is_last:
            return


async def _has_news(listener: Listener) -> bool:
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            await listener.news.wait()
    except TimeoutError:
        return False
    return True
