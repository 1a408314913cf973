"""GET /configuration, DELETE /configuration/{name}; GET /audit"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.gateway.dependencies import (
    Administrator,
    Asking,
    Bus,
    Db,
)
from services.gateway.problems import ProblemError, documented
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import cut, paged
from services.gateway.requests.parameters import Limit, Skip
from services.gateway.routes.configuration.schema import (
    AuditEntry,
    ConfiguredItem,
)
from services.gateway.routes.configuration.shown import origin_of
from shared.configuration.effective import (
    DEFAULT_SCHEDULE,
    VARIABLES,
    Effective,
)
from shared.configuration.settings import Kind
from shared.values.urls import without_secrets

router = APIRouter(
    tags=["configuration"], dependencies=[Depends(check_parameters)]
)
_AUDIT = """
SELECT id, at, asked_by, action, subject, before::text AS before, after::text AS after FROM audit
WHERE ($1::text IS NULL OR subject = $1) AND ($2::text IS NULL OR asked_by = $2)
ORDER BY id DESC LIMIT $3 OFFSET $4
"""
Text = Annotated[
    str | None, Query(max_length=1_000, pattern=r"^[^\x00-\x1f]+$")
]


@router.get(
    "/configuration",
    response_model=list[ConfiguredItem],
    responses=documented(401, 403, 422, 503),
    summary="What is configured, and where",
)
async def read_configuration(
    _asking: Asking, bus: Bus
) -> list[ConfiguredItem]:
    """Everything that can be changed at run time, as it counts now; `.env` says the rest."""
    await bus.configuration.catch_up()
    effective = bus.configuration.effective
    return [_item(effective, name) for name in _names(effective)]


@router.delete(
    "/configuration/{name:path}",
    status_code=204,
    responses=documented(401, 403, 404, 422, 503),
    summary="Take what `.env` says again",
)
async def reset(
    asking: Asking,
    bus: Bus,
    name: Annotated[
        str, Path(max_length=1_000, pattern=r"^[^\x00-\x1f]+$")
    ],
) -> None:
    """By its name in GET /configuration, such as `coins/coinpaprika`."""
    await bus.configuration.catch_up()
    setting = bus.configuration.settings.get(name)
    if setting is None or setting.value is None:
        raise ProblemError(404, f"{name} was not set at run time")
    await bus.configuration.change(name, None, asking.key_id)


@router.get(
    "/audit",
    response_model=list[AuditEntry],
    responses=paged(401, 403, 422, 503),
    summary="Who asked for what",
)
async def read_audit(
    request: Request,
    response: Response,
    _asking: Administrator,
    database: Db,
    *,
    subject: Text = None,
    asked_by: Text = None,
    limit: Limit = 100,
    skip: Skip = 0,
) -> list[dict[str, Any]]:
    """Every command and every change of what is configured, newest first. Needs `admin`."""
    rows = await database.rows(_AUDIT, subject, asked_by, limit + 1, skip)
    found = [
        {
            **dict(row),
            "before": json.loads(row["before"] or "null"),
            "after": json.loads(row["after"] or "null"),
        }
        for row in rows
    ]
    return cut(request, response, found, limit, skip)


def _names(effective: Effective) -> Iterator[str]:
    """Of what `.env` says and of what was set at run time."""
    first = effective.first
    yield from map(Kind.COINS.named, VARIABLES)
    yield from _feeds(effective)
    for name, _ in effective.settings.of(Kind.PAUSE):
        yield Kind.PAUSE.named(name)
    for name, _ in effective.settings.of(Kind.WEBHOOK):
        yield Kind.WEBHOOK.named(name)
    schedules = {name for name, _ in effective.settings.of(Kind.SCHEDULE)}
    if first.every_s:
        schedules.add(DEFAULT_SCHEDULE)
    for name in sorted(schedules):
        yield Kind.SCHEDULE.named(name)


def _feeds(effective: Effective) -> Iterator[str]:
    set_here = {name for name, _ in effective.settings.of(Kind.FEED)}
    names = effective.first.feeds.keys() | set_here
    yield from map(Kind.FEED.named, sorted(names))


def _item(effective: Effective, name: str) -> ConfiguredItem:
    kind, _, rest = name.partition("/")
    first = _first(effective, kind, rest)
    value = effective.settings.value(name)
    shown = first if value is None else _without_secrets(value)
    return ConfiguredItem(
        name=name,
        value=shown,
        env_value=first,
        **origin_of(effective, name),
    )


def _first(effective: Effective, kind: str, rest: str) -> Any:
    """What `.env` says, in the form of a value that was set; None: nothing."""
    first = effective.first
    match kind:
        case Kind.COINS:
            return {"type": "Coins", "ids": first.coins.get(rest, [])}
        case Kind.FEED if rest in first.feeds:
            return {"type": "Feed", "url": first.feeds[rest]}
        case Kind.SCHEDULE if rest == DEFAULT_SCHEDULE and first.every_s:
            return {"type": "Schedule", "every_s": first.every_s}
        case _:
            return None


def _without_secrets(value: Any) -> Any:
    found = msgspec.to_builtins(value)
    if "url" in found:
        found["url"] = without_secrets(found["url"])
    found.pop("salt", None)
    return found
