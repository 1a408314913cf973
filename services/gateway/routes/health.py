"""GET /health, /health/live, /health/ready. Open: no key."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from services.gateway.database import DATABASE_UNAVAILABLE
from services.gateway.dependencies import Bus, ProbesDb
from services.gateway.kafka.command_bus import CommandBus
from services.gateway.queries.health import (
    SourceWatch,
    budgets_of,
    reasons_of,
    recent,
)
from services.gateway.replica import Replica
from services.gateway.schemas.health import Health, Probe

router = APIRouter(tags=["health"])
_UNAVAILABLE: dict[int | str, dict[str, Any]] = {
    503: {"description": "The database is unavailable", "model": Health}
}
_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"description": "Not ready", "model": Probe}
}


@router.get(
    "/health",
    response_model=Health,
    responses=_UNAVAILABLE,
    summary="Database, Kafka, last run, lag",
)
async def health(
    request: Request, response: Response, database: ProbesDb, bus: Bus
) -> dict[str, Any]:
    """200 with `ok` or `degraded`; 503 when the database cannot be reached.

    `reasons` says what is wrong: kafka_away, database_away, disk_full, stuck, restarts, data_gap,
    budget_exhausted, stream_failing, source_stale, disk_nearly_full, standby_unused.
    """
    latency = await database.latency_ms()
    run = None
    gaps: list[dict[str, Any]] = []
    of_sources: list[str] = []
    if latency is not None:
        run, gaps = await recent(database)
        of_sources = await _of_sources(request, bus)
    budgets = budgets_of(bus.checkpoints)
    own = request.app.state.health_file.trouble
    reasons = [*reasons_of(bus, gaps, budgets, own), *of_sources]
    replica: Replica | None = request.app.state.replica
    if replica is not None and (unused := replica.reason()):
        reasons.append(unused)
    status = "degraded" if reasons else "ok"
    if latency is None:
        reasons.insert(0, "database_away: it cannot be reached")
        status = "unavailable"
        response.status_code = 503
    return {
        "status": status,
        "reasons": reasons,
        "database": {
            "connected": latency is not None,
            "latency_ms": latency,
        },
        "kafka": {"connected": bus.is_connected},
        "last_run": run,
        "last_run_time": _last_run_time(run),
        "data_gaps": gaps,
        "lag": bus.lag,
        "budgets": budgets,
    }


async def _of_sources(request: Request, bus: CommandBus) -> list[str]:
    watch: SourceWatch = request.app.state.source_watch
    try:
        return await watch.reasons(
            bus.checkpoints, bus.configuration.effective
        )
    except DATABASE_UNAVAILABLE:
        return []  # it went away just now


def _last_run_time(run: dict[str, Any] | None) -> datetime | None:
    if run is None:
        return None
    time: datetime | None = run["finished_at"] or run["requested_at"]
    return time


@router.get(
    "/health/live",
    response_model=Probe,
    summary="Whether the process answers",
)
async def live() -> dict[str, str]:
    """200 as long as it answers at all."""
    return {"status": "live"}


@router.get(
    "/health/ready",
    response_model=Probe,
    responses=_NOT_READY,
    summary="Whether requests can be served",
)
async def ready(
    response: Response, database: ProbesDb, bus: Bus
) -> dict[str, str]:
    """200 when both the database and Kafka can be reached."""
    missing = []
    if await database.latency_ms() is None:
        missing.append("database")
    if not bus.is_connected:
        missing.append("kafka")
    if missing:
        response.status_code = 503
        return {
            "status": f"not ready: {' and '.join(missing)} cannot be reached"
        }
    return {"status": "ready"}
