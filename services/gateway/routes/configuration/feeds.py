"""GET /sources/rss/feeds; PUT and DELETE /sources/rss/feeds/{name}; OPML"""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from services.gateway.dependencies import Asking, Bus
from services.gateway.kafka.command_bus import CommandBus
from services.gateway.problems import ProblemError, documented
from services.gateway.requests.json_body import JsonBodyRoute
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.parameters import opened
from services.gateway.requests.times import now
from services.gateway.routes.configuration import opml
from services.gateway.routes.configuration.schema import (
    NAME,
    FeedState,
    NewFeed,
    Opml,
)
from services.gateway.routes.configuration.shown import (
    origin_of,
    refuse_too_many,
)
from services.gateway.schemas.runs import RunAccepted
from shared.configuration.settings import Feed, Kind, Removed
from shared.messages.base import Source
from shared.messages.commands import FindFeeds
from shared.values.urls import without_secrets

MAX_FEEDS = 2_000
FeedName = Annotated[str, Path(pattern=NAME)]
OPML_TYPE = "text/x-opml"
_OPML = {
    "content": {OPML_TYPE: {"schema": {"type": "string"}}},
    "description": "Outlines with `xmlUrl`",
}
router = APIRouter(
    tags=["configuration"],
    dependencies=[Depends(check_parameters)],
    route_class=JsonBodyRoute,
)


@router.get(
    "/sources/rss/feeds",
    response_model=list[FeedState],
    responses=documented(401, 403, 422, 503),
    summary="The feeds that are read",
)
async def list_feeds(_asking: Asking, bus: Bus) -> list[FeedState]:
    """By name, with where each is configured."""
    await bus.configuration.catch_up()
    return [_shown(bus, name) for name in _names(bus)]


@router.put(
    "/sources/rss/feeds/{name}",
    response_model=FeedState,
    responses=documented(401, 403, 409, 422, 503),
    summary="Read a feed, or read it at another address",
)
async def put_feed(
    asking: Asking,
    bus: Bus,
    name: FeedName,
    body: Annotated[NewFeed, Body()],
) -> FeedState:
    """From the next run on, in all instances, until it is taken out or reset."""
    await bus.configuration.catch_up()
    names = bus.configuration.effective.feeds()
    refuse_too_many(names, name, MAX_FEEDS, "feeds")
    await bus.configuration.change(
        Kind.FEED.named(name), Feed(url=body.url), asking.key_id
    )
    return _shown(bus, name)


@router.delete(
    "/sources/rss/feeds/{name}",
    status_code=204,
    responses=documented(401, 403, 404, 422, 503),
    summary="Read a feed no more",
)
async def delete_feed(asking: Asking, bus: Bus, name: FeedName) -> None:
    """What was read of it stays.

    One of `.env` comes back with DELETE /configuration/feed/{name}.
    """
    await bus.configuration.catch_up()
    effective = bus.configuration.effective
    if name not in effective.feeds():
        raise ProblemError(
            404,
            f"there is no feed {name}: GET /api/v1/sources/rss/feeds lists them",
        )
    value = Removed() if name in effective.first.feeds else None
    await bus.configuration.change(
        Kind.FEED.named(name), value, asking.key_id
    )


@router.post(
    "/sources/rss/find",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 409, 413, 422, 503),
    summary="Look which feeds an address leads to",
)
async def find_feeds(
    response: Response,
    _asking: Asking,
    bus: Bus,
    body: Annotated[NewFeed, Body()],
) -> RunAccepted:
    """Of a feed, or of a site whose pages name its feeds. A run of its own, which stores nothing.

    Its task's `profile` holds `feeds`: address, title, entries, newest, and some titles of each.
    """
    run_id = str(uuid.uuid4())
    command = FindFeeds(run_id=run_id, url=body.url, requested_at=now())
    return await opened(response, bus, command, None)


@router.get(
    "/sources/rss/opml",
    response_class=Response,
    responses={200: _OPML, **documented(401, 403, 422, 503)},
    summary="The feeds as OPML, for other readers",
)
async def export_opml(_asking: Asking, bus: Bus) -> Response:
    """Addresses without secrets."""
    await bus.configuration.catch_up()
    return Response(opml.written(_public(bus)), media_type=OPML_TYPE)


@router.post(
    "/sources/rss/opml",
    response_model=Opml,
    responses=documented(401, 403, 409, 413, 422, 503),
    openapi_extra={"requestBody": {"required": True, **_OPML}},
    summary="Read the feeds of an OPML file of another reader",
)
async def import_opml(request: Request, asking: Asking, bus: Bus) -> Opml:
    """Adds those whose address is not read yet, named after their titles."""
    found = opml.read(await request.body())
    await bus.configuration.catch_up()
    feeds = bus.configuration.effective.feeds()
    plan = opml.planned(found, feeds, MAX_FEEDS)
    for name, url in plan.added.items():
        await bus.configuration.change(
            Kind.FEED.named(name), Feed(url=url), asking.key_id
        )
    return Opml(
        added=list(plan.added), known=plan.known, refused=plan.refused
    )


def _public(bus: CommandBus) -> dict[str, str]:
    feeds = bus.configuration.effective.feeds()
    return {name: without_secrets(url) for name, url in feeds.items()}


def _names(bus: CommandBus) -> list[str]:
    return sorted(bus.configuration.effective.feeds())


def _shown(bus: CommandBus, name: str) -> FeedState:
    effective = bus.configuration.effective
    stream = f"{Source.RSS}/{name}"
    return FeedState(
        name=name,
        stream=stream,
        url=without_secrets(effective.feeds()[name]),
        paused=effective.why_paused(stream),
        **origin_of(effective, Kind.FEED.named(name)),
    )
