"""GET /webhooks; PUT, DELETE /webhooks/{name}; POST …/test, GET …/deliveries"""

from __future__ import annotations

import json
import secrets
import uuid
from typing import Annotated, Any

import msgspec
from fastapi import (
    APIRouter,
    Body,
    Depends,
    Path,
    Query,
    Request,
    Response,
)

from services.gateway.dependencies import Asking, Bus, Db
from services.gateway.kafka.command_bus import CommandBus
from services.gateway.problems import (
    ProblemError,
    documented,
    field_problem,
)
from services.gateway.requests.json_body import JsonBodyRoute
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import cut, paged
from services.gateway.requests.parameters import Limit, Skip
from services.gateway.routes.configuration.schema import NAME
from services.gateway.routes.configuration.shown import (
    origin_of,
    refuse_too_many,
)
from services.gateway.routes.configuration.webhook_schema import (
    Delivery,
    MadeWebhook,
    NewWebhook,
    TrialSent,
    WebhookState,
)
from services.gateway.settings import GatewaySettings
from shared.access.webhook_secrets import secret_of
from shared.configuration.settings import Kind, Webhook
from shared.http.notifications import Notification
from shared.values.times import now_ms
from shared.values.urls import without_secrets

MAX_WEBHOOKS = 200
_DELIVERIES = """
SELECT id::text, type, url, data::text AS data, created_at, attempts, status, error, tried_at,
       delivered_at, given_up_at
FROM deliveries WHERE webhook = $1 AND ($2::boolean IS NULL OR (given_up_at IS NOT NULL) = $2)
ORDER BY created_at DESC, id LIMIT $3 OFFSET $4
"""
WebhookName = Annotated[str, Path(pattern=NAME)]
router = APIRouter(
    tags=["webhooks"],
    dependencies=[Depends(check_parameters)],
    route_class=JsonBodyRoute,
)


@router.get(
    "/webhooks",
    response_model=list[WebhookState],
    responses=documented(401, 403, 422, 503),
    summary="Who is told what",
)
async def list_webhooks(_asking: Asking, bus: Bus) -> list[WebhookState]:
    """By name, without their secrets."""
    await bus.configuration.catch_up()
    return [_shown(bus, name) for name in sorted(_webhooks(bus))]


@router.put(
    "/webhooks/{name}",
    response_model=MadeWebhook,
    responses=documented(401, 403, 409, 422, 503),
    summary="Tell an address what happens",
)
async def put_webhook(
    request: Request,
    response: Response,
    asking: Asking,
    bus: Bus,
    name: WebhookName,
    body: Annotated[NewWebhook, Body()],
) -> MadeWebhook:
    """What happens from now on. The answer holds the secret of its signatures, this once.

    It stays the same when the webhook is changed, unless `rotate`.
    """
    await bus.configuration.catch_up()
    known = _webhooks(bus)
    refuse_too_many(known, name, MAX_WEBHOOKS, "webhooks")
    salt = _salt(known.get(name), body)
    given = body.model_dump(mode="json", exclude={"rotate"})
    try:
        value = msgspec.convert({**given, "salt": salt}, Webhook)
    except msgspec.ValidationError as error:
        raise field_problem("body", str(error)) from error
    await bus.configuration.change(
        Kind.WEBHOOK.named(name), value, asking.key_id
    )
    response.headers["Cache-Control"] = "no-store"
    settings: GatewaySettings = request.app.state.settings
    return MadeWebhook(
        **_shown(bus, name).model_dump(),
        secret=secret_of(settings.signing_secret(), name, salt),
    )


@router.delete(
    "/webhooks/{name}",
    status_code=204,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Tell an address no more",
)
async def delete_webhook(
    asking: Asking, bus: Bus, name: WebhookName
) -> None:
    """Also what waits to be told again."""
    await _known(bus, name)
    await bus.configuration.change(
        Kind.WEBHOOK.named(name), None, asking.key_id
    )


@router.post(
    "/webhooks/{name}/test",
    status_code=202,
    response_model=TrialSent,
    responses=documented(401, 403, 404, 422, 503),
    summary="Tell an address something, to see that it arrives",
)
async def send_test(
    _asking: Asking, bus: Bus, name: WebhookName
) -> TrialSent:
    """Of the type `test`. The deliveries say what came of it."""
    await _known(bus, name)
    notification = _trial(name)
    await bus.publish_notification(notification)
    return TrialSent(id=notification.id)


@router.get(
    "/webhooks/{name}/deliveries",
    response_model=list[Delivery],
    responses=paged(401, 403, 422, 503),
    summary="What an address was told, and what came of it",
)
async def list_deliveries(
    request: Request,
    response: Response,
    _asking: Asking,
    database: Db,
    name: WebhookName,
    *,
    given_up: Annotated[
        bool | None, Query(description="Only those that never arrived")
    ] = None,
    limit: Limit = 100,
    skip: Skip = 0,
) -> list[dict[str, Any]]:
    """Newest first. What never arrived is a dead letter of the stage `notify`: requeue it."""
    rows = await database.rows(
        _DELIVERIES, name, given_up, limit + 1, skip
    )
    found = [
        {**dict(row), "data": json.loads(row["data"])} for row in rows
    ]
    return cut(request, response, found, limit, skip)


def _trial(name: str) -> Notification:
    return Notification(
        id=str(uuid.uuid4()),
        webhook=name,
        event="test",
        at=now_ms(),
        data={"webhook": name},
    )


def _salt(known: Webhook | None, body: NewWebhook) -> str:
    if known is None or body.rotate:
        return secrets.token_hex(16)
    return known.salt


def _webhooks(bus: CommandBus) -> dict[str, Webhook]:
    return {
        name: setting.value
        for name, setting in bus.configuration.settings.of(Kind.WEBHOOK)
        if isinstance(setting.value, Webhook)
    }


async def _known(bus: CommandBus, name: str) -> Webhook:
    """Raises ProblemError 404, 503."""
    await bus.configuration.catch_up()
    found = _webhooks(bus).get(name)
    if found is None:
        raise ProblemError(
            404,
            f"there is no webhook {name}: GET /api/v1/webhooks lists them",
        )
    return found


def _shown(bus: CommandBus, name: str) -> WebhookState:
    value = _webhooks(bus)[name]
    fields = msgspec.to_builtins(value)
    return WebhookState(
        name=name,
        url=without_secrets(value.url),
        events=value.events,
        conditions=fields.get("conditions", []),
        sources=value.sources,
        note=value.note,
        **origin_of(
            bus.configuration.effective, Kind.WEBHOOK.named(name)
        ),
    )
