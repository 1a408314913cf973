"""GET /pauses; PUT and DELETE /pauses/{what}"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path

from services.gateway.dependencies import Asking, Bus
from services.gateway.kafka.command_bus import CommandBus
from services.gateway.problems import (
    ProblemError,
    documented,
)
from services.gateway.requests.json_body import JsonBodyRoute
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.routes.configuration.schema import (
    NewPause,
    PauseState,
)
from services.gateway.routes.configuration.shown import origin_of
from shared.configuration.settings import Kind, Pause
from shared.messages.base import Source

SOURCES = "|".join(Source)
What = Annotated[
    str,
    Path(
        min_length=1,
        max_length=980,
        pattern=rf"^(\*|({SOURCES})(/[^\x00-\x1f]+)?|schedule/.+)$",
        description="`*` for everything, a source, a stream, or `schedule/<name>`",
    ),
]
MAX_PAUSES = 2_000
router = APIRouter(
    tags=["configuration"],
    dependencies=[Depends(check_parameters)],
    route_class=JsonBodyRoute,
)


@router.get(
    "/pauses",
    response_model=list[PauseState],
    responses=documented(401, 403, 422, 503),
    summary="What is paused",
)
async def list_pauses(_asking: Asking, bus: Bus) -> list[PauseState]:
    """By what it is."""
    await bus.configuration.catch_up()
    pauses = bus.configuration.effective.pauses()
    return [_shown(bus, what) for what in pauses]


@router.put(
    "/pauses/{what:path}",
    response_model=PauseState,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Pause a stream, a source, a schedule, or everything",
)
async def pause(
    asking: Asking,
    bus: Bus,
    what: What,
    body: Annotated[NewPause | None, Body()] = None,
) -> PauseState:
    """Runs leave it out and say so; who asks for a paused stream by its name is told an error.

    Tasks that are at work go on to their end.
    """
    await bus.configuration.catch_up()
    pauses = bus.configuration.effective.pauses()
    if what not in pauses:
        _refuse_unknown(bus, what)
        if len(pauses) >= MAX_PAUSES:
            raise ProblemError(
                409, f"{MAX_PAUSES} pauses are there already"
            )
    value = Pause(note=body.note if body else "")
    await bus.configuration.change(
        Kind.PAUSE.named(what), value, asking.key_id
    )
    return _shown(bus, what)


@router.delete(
    "/pauses/{what:path}",
    status_code=204,
    responses=documented(401, 403, 404, 422, 503),
    summary="Resume",
)
async def resume(asking: Asking, bus: Bus, what: What) -> None:
    """What was published meanwhile is read by the next run."""
    await bus.configuration.catch_up()
    if what not in bus.configuration.effective.pauses():
        raise ProblemError(
            404, f"{what} is not paused: GET /api/v1/pauses lists what is"
        )
    await bus.configuration.change(
        Kind.PAUSE.named(what), None, asking.key_id
    )


def _refuse_unknown(bus: CommandBus, what: str) -> None:
    """Raises ProblemError 404: a typo would pause nothing, silently."""
    first, _, rest = what.partition("/")
    names = bus.configuration.effective.schedules()
    if first == Kind.SCHEDULE and rest not in names:
        shown = ", ".join(names) or "none"
        raise ProblemError(
            404, f"there is no schedule {rest}; known are: {shown}"
        )


def _shown(bus: CommandBus, what: str) -> PauseState:
    effective = bus.configuration.effective
    return PauseState(
        what=what,
        note=effective.pauses()[what].note,
        **origin_of(effective, Kind.PAUSE.named(what)),
    )
