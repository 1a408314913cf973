"""GET /sources, /sources/csv/inspect"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from services.gateway.dependencies import ApiKey, Db, Kafka
from services.gateway.problems import ProblemError, documented
from services.gateway.queries import sources as sources_query
from services.gateway.schemas.sources import Inspection, SourceState
from services.gateway.settings import GatewaySettings
from shared.csvfile import folder, overrides
from shared.csvfile.profile import profile
from shared.errors import TaskError

MAX_BYTES = 32 * 1024 * 1024  # looked at; ingestion looks at all of a file
AT_ONCE = 2
router = APIRouter(tags=["sources"])
_turns = asyncio.Semaphore(AT_ONCE)


@router.get("/sources", response_model=list[SourceState], responses=documented(401, 403, 422, 503), summary="The sources, and how they do")
async def sources(_key: ApiKey, database: Db, broker: Kafka) -> list[SourceState]:
    """Every source with its streams as they ended last: how many there are, which fail and why, and the call budget where it has one."""
    return await sources_query.states(database, broker.checkpoints)


@router.get(
    "/sources/csv/inspect",
    response_model=Inspection,
    responses=documented(401, 403, 404, 422),
    summary="What a CSV file would be taken for",
)
async def inspect(
    request: Request,
    _key: ApiKey,
    path: Annotated[str, Query(min_length=1, max_length=1000, description="Below CSV_DIR, such as `sample/btc-usd.csv`")],
) -> dict[str, Any]:
    """Looks at the file and writes nothing. `refused` says why it could not be ingested, and what to do about it."""
    settings: GatewaySettings = request.app.state.settings
    async with _turns:
        return await asyncio.to_thread(_inspected, settings, path)


def _inspected(settings: GatewaySettings, path: str) -> dict[str, Any]:
    try:
        file = folder.find(settings.csv_dir, path)
    except TaskError as error:
        raise ProblemError(404, error.message) from error
    answer: dict[str, Any] = {
        "path": path,
        "dataset": file.dataset,
        "stream": f"csv/{path}",
        "profile": None,
        "sample": [],
        "refused": None,
    }
    try:
        found = profile(file, overrides.load(settings.csv_dir).hints_for(path), at_most=MAX_BYTES)
    except TaskError as error:
        return {**answer, "refused": {"code": error.code, "message": error.message}}
    if found is None:
        return {**answer, "refused": {"code": "empty", "message": f"{path} has no rows yet"}}
    refusal = found.refusal and {"code": found.refusal.reason, "message": found.refusal.message}
    return {**answer, "profile": found.described(), "sample": found.head.sample[:5], "refused": refusal}
