"""GET /schedules; PUT and DELETE /schedules/{name}"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Path

from services.gateway.database import DATABASE_UNAVAILABLE, Database
from services.gateway.dependencies import Asking, Bus, Db
from services.gateway.kafka.command_bus import CommandBus
from services.gateway.problems import (
    ProblemError,
    documented,
    field_problem,
)
from services.gateway.requests.json_body import JsonBodyRoute
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.routes.configuration.schema import (
    NAME,
    Forecast,
    LastRun,
    NewSchedule,
    ScheduleState,
)
from services.gateway.routes.configuration.shown import (
    forecast,
    origin_of,
    refuse_too_many,
)
from shared.configuration.effective import DEFAULT_SCHEDULE
from shared.configuration.schedules import (
    refuse_wrong,
    times_after,
    times_until,
)
from shared.configuration.settings import Kind, Removed, Schedule
from shared.identity.ids import scheduled_run_id

SHOWN = 3  # times to come
MAX_SCHEDULES = 200
LOOKED_BACK = 200  # times, for the newest run
_LAST = """
SELECT run_id::text, status, requested_at FROM runs WHERE run_id = ANY($1::uuid[])
ORDER BY requested_at DESC NULLS LAST LIMIT 1
"""
ScheduleName = Annotated[str, Path(pattern=NAME)]
router = APIRouter(
    tags=["configuration"],
    dependencies=[Depends(check_parameters)],
    route_class=JsonBodyRoute,
)


@router.get(
    "/schedules",
    response_model=list[ScheduleState],
    responses=documented(401, 403, 422, 503),
    summary="When what is ingested",
)
async def list_schedules(
    _asking: Asking, bus: Bus, database: Db
) -> list[ScheduleState]:
    """By name. The one of INGEST_EVERY_S is `default`."""
    await bus.configuration.catch_up()
    names = sorted(bus.configuration.effective.schedules())
    whole = await asyncio.to_thread(forecast, bus)
    return [await _shown(bus, database, name, whole) for name in names]


@router.put(
    "/schedules/{name}",
    response_model=ScheduleState,
    responses=documented(401, 403, 409, 422, 503),
    summary="Ingest by a schedule",
)
async def put_schedule(
    asking: Asking,
    bus: Bus,
    database: Db,
    name: ScheduleName,
    body: Annotated[NewSchedule, Body()],
) -> ScheduleState:
    """From now on. Never two runs of one schedule at once: what is due meanwhile is left out.

    `forecast` says whether all schedules together stay within CoinPaprika's budget.
    """
    schedule = msgspec.convert(body.model_dump(), Schedule)
    try:
        refuse_wrong(schedule)
    except ValueError as error:
        raise field_problem("body", str(error)) from error
    await bus.configuration.catch_up()
    names = bus.configuration.effective.schedules()
    refuse_too_many(names, name, MAX_SCHEDULES, "schedules")
    await bus.configuration.change(
        Kind.SCHEDULE.named(name), schedule, asking.key_id
    )
    whole = await asyncio.to_thread(forecast, bus)
    return await _shown(bus, database, name, whole)


@router.delete(
    "/schedules/{name}",
    status_code=204,
    responses=documented(401, 403, 404, 422, 503),
    summary="Ingest by a schedule no more",
)
async def delete_schedule(
    asking: Asking, bus: Bus, name: ScheduleName
) -> None:
    """Runs of it that are at work go on.

    That of INGEST_EVERY_S comes back with DELETE /configuration/schedule/default.
    """
    await bus.configuration.catch_up()
    effective = bus.configuration.effective
    if name not in effective.schedules():
        raise ProblemError(
            404,
            f"there is no schedule {name}: GET /api/v1/schedules lists them",
        )
    is_first = name == DEFAULT_SCHEDULE and effective.first.every_s
    await bus.configuration.change(
        Kind.SCHEDULE.named(name),
        Removed() if is_first else None,
        asking.key_id,
    )


async def _shown(
    bus: CommandBus, database: Database, name: str, whole: Forecast
) -> ScheduleState:
    effective = bus.configuration.effective
    schedule = effective.schedules()[name]
    setting = Kind.SCHEDULE.named(name)
    now = datetime.now(UTC)
    return ScheduleState(
        name=name,
        **msgspec.structs.asdict(schedule),
        next=list(islice(times_after(schedule, now), SHOWN)),
        paused=effective.why_paused(setting),
        last_run=await _last_run(database, name, schedule, now),
        forecast=whole,
        **origin_of(effective, setting),
    )


async def _last_run(
    database: Database, name: str, schedule: Schedule, now: datetime
) -> LastRun | None:
    """Among its last times. None also while the database is unavailable."""
    ids = [
        scheduled_run_id(name, moment.isoformat())
        for moment in islice(times_until(schedule, now), LOOKED_BACK)
    ]
    try:
        row: Any = await database.row(_LAST, ids)
    except DATABASE_UNAVAILABLE:
        return None
    return LastRun(**dict(row)) if row else None
