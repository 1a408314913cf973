"""GET /health, /health/live, /health/ready. Open: no key."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from services.gateway.database import AWAY
from services.gateway.dependencies import Db, Kafka
from services.gateway.schemas.health import Health, Probe

router = APIRouter(tags=["health"])
_LAST_RUN = "SELECT run_id::text, status, requested_at, finished_at FROM runs WHERE requested_at IS NOT NULL ORDER BY requested_at DESC, run_id DESC LIMIT 1"
_GAPS = """
SELECT topic, partition, first_missing, first_available, "group", reason, noticed_at, closed_at FROM data_gaps
ORDER BY closed_at IS NULL DESC, noticed_at DESC, id LIMIT 10
"""
_UNAVAILABLE: dict[int | str, dict[str, Any]] = {503: {"description": "The database is away", "model": Health}}
_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"description": "Not ready", "model": Probe}}


@router.get("/health", response_model=Health, responses=_UNAVAILABLE, summary="Database, Kafka, last run, lag")
async def health(response: Response, database: Db, broker: Kafka) -> dict[str, Any]:
    """200 with `ok` or `degraded`; 503 when the database cannot be reached."""
    latency = await database.latency_ms()
    last, gaps = await _recent(database) if latency is not None else (None, [])
    if latency is None:
        response.status_code = 503
    is_whole = broker.connected and all(gap["closed_at"] for gap in gaps)
    return {
        "status": "unavailable" if latency is None else "ok" if is_whole else "degraded",
        "database": {"connected": latency is not None, "latency_ms": latency},
        "kafka": {"connected": broker.connected},
        "last_run": last, "last_run_time": (last["finished_at"] or last["requested_at"]) if last else None,
        "data_gaps": gaps, "lag": broker.lag,
    }  # fmt: skip


async def _recent(database: Db) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The newest run and the last gaps."""
    try:
        row = await database.row(_LAST_RUN)
        return (dict(row) if row else None), [dict(gap) for gap in await database.rows(_GAPS)]
    except AWAY:
        return None, []


@router.get("/health/live", response_model=Probe, summary="Whether the process answers")
async def live() -> dict[str, str]:
    """200 as long as it answers at all."""
    return {"status": "live"}


@router.get("/health/ready", response_model=Probe, responses=_NOT_READY, summary="Whether requests can be served")
async def ready(response: Response, database: Db, broker: Kafka) -> dict[str, str]:
    """200 when both the database and Kafka can be reached."""
    missing = [name for name, up in (("database", await database.latency_ms() is not None), ("kafka", broker.connected)) if not up]
    if missing:
        response.status_code = 503
        return {"status": f"not ready: {' and '.join(missing)} away"}
    return {"status": "ready"}
