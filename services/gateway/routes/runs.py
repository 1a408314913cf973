"""GET /stats, /runs/{run_id}, /compare-runs; POST /runs/{run_id}/repair"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.database import DATABASE_UNAVAILABLE
from services.gateway.dependencies import ApiKey, Bus, Db
from services.gateway.known_runs import find_run, stored_or_pending
from services.gateway.problems import ProblemError, documented
from services.gateway.queries import runs
from services.gateway.queries.comparison import compare
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import cut, paged
from services.gateway.requests.parameters import (
    Limit,
    RunName,
    RunPath,
    Skip,
    accepted,
    checked,
)
from services.gateway.requests.times import now
from services.gateway.schemas.runs import (
    Comparison,
    Run,
    RunAccepted,
    RunDetail,
)
from shared.messages.commands import RepairRun
from shared.messages.runs import RunStatus

router = APIRouter(
    tags=["runs"], dependencies=[Depends(check_parameters)]
)
_HISTORY: dict[str, Any] = {
    "response_model": list[Run],
    "responses": paged(401, 403, 422, 503),
}


@router.get("/runs", **_HISTORY, include_in_schema=False)
@router.get("/stats", **_HISTORY, summary="History of runs, newest first")
async def stats(
    request: Request,
    response: Response,
    _key: ApiKey,
    database: Db,
    limit: Limit = 100,
    skip: Skip = 0,
    status: Annotated[
        RunStatus | None, Query(description="Only runs of this status")
    ] = None,
) -> list[dict[str, Any]]:
    """Success or failure, items processed, and what became of them; per source too."""
    found = await runs.history(
        database, limit=limit + 1, skip=skip, status=status
    )
    return cut(request, response, found, limit, skip)


@router.get(
    "/runs/{run_id}",
    response_model=RunDetail,
    responses=documented(401, 403, 404, 422, 503),
    summary="One run with its tasks and errors",
)
async def read_run(
    _key: ApiKey, database: Db, bus: Bus, run_id: RunPath
) -> dict[str, Any]:
    """A run that was accepted a moment ago is known at once, also without the database."""
    name = checked(run_id, "path.run_id")
    found = None
    resolved = name
    try:
        resolved = await runs.resolve(database, name)
        found = await runs.with_tasks(database, resolved)
    except DATABASE_UNAVAILABLE:
        # Any gateway knows from the command log what was asked for; only if it does not, the
        # database is missed.
        if await bus.find(name) is None:
            raise
    if found is not None:
        return found
    pending = await bus.find(resolved)
    if pending is None:
        raise ProblemError(404, f"there is no run {run_id}")
    return runs.queued_detail(pending)


@router.post(
    "/runs/{run_id}/repair",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Retry missing pages",
)
async def repair_run(
    response: Response,
    _key: ApiKey,
    database: Db,
    bus: Bus,
    run_id: RunPath,
) -> RunAccepted:
    """Publishes the missing pages again, and takes up tasks that nobody works on.

    From the topic, or else from the source. The loader does so by itself for a run in which nothing
    has moved for a minute. 409 when the run misses nothing.
    """
    found = await stored_or_pending(database, bus, run_id)
    if found.status.is_balanced:
        reason = "its ledger is balanced: nothing is missing"
        raise ProblemError(409, f"the run is {found.status} and {reason}")
    await bus.publish(RepairRun(run_id=found.run_id, requested_at=now()))
    return accepted(response, found.run_id, found.status)


@router.get(
    "/compare-runs",
    response_model=Comparison,
    responses=documented(401, 403, 404, 422, 503),
    summary="The difference between two runs",
)
async def compare_runs(
    _key: ApiKey,
    database: Db,
    bus: Bus,
    run_id_1: RunName,
    run_id_2: RunName,
) -> dict[str, Any]:
    """Items processed and what became of them, duration and throughput, per source too.

    And which errors are in which run.
    """
    name_1 = checked(run_id_1, "query.run_id_1")
    name_2 = checked(run_id_2, "query.run_id_2")
    first, second = await asyncio.gather(
        find_run(database, bus, name_1),
        find_run(database, bus, name_2),
    )
    if first is None or second is None:
        raise _unknown_runs([(name_1, first), (name_2, second)])
    path = f"/api/v1/runs/{first['run_id']}/diff/{second['run_id']}"
    compared = {"run_1": first, "run_2": second}
    diff = compare(first, second)
    return {**compared, "diff": diff, "links": {"diff": path}}


def _unknown_runs(
    found: list[tuple[str, dict[str, Any] | None]],
) -> ProblemError:
    missing = [name for name, run in found if run is None]
    return ProblemError(
        404, f"there is no run {' and no run '.join(missing)}"
    )
