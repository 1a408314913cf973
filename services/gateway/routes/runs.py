"""GET /stats, /runs/{run_id}, /compare-runs"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from services.gateway.command_bus import Broker
from services.gateway.database import AWAY, Database
from services.gateway.dependencies import ApiKey, Db, Kafka
from services.gateway.problems import ProblemError, documented
from services.gateway.queries import runs
from services.gateway.queries.comparison import compare
from services.gateway.schemas.runs import Comparison, Run, RunAccepted, RunDetail
from shared.messages.commands import RepairRun
from shared.messages.runs import RunStatus

router = APIRouter(tags=["runs"])
_NAME: dict[str, Any] = {
    "description": "A run's id, `latest` or `previous`",
    "json_schema_extra": {"pattern": "^(latest|previous|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"},
}
RunName = Annotated[str, Query(**_NAME)]
RunPath = Annotated[str, Path(**_NAME)]


@router.get("/runs", response_model=list[Run], responses=documented(401, 403, 422, 503), include_in_schema=False)
@router.get("/stats", response_model=list[Run], responses=documented(401, 403, 422, 503), summary="History of runs, newest first")
async def stats(
    _key: ApiKey, database: Db,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    skip: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    status: Annotated[RunStatus | None, Query(description="Only runs of this status")] = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Success or failure, items processed, and what became of them; per source too."""
    return await runs.history(database, limit=limit, skip=skip, status=status)


@router.get(
    "/runs/{run_id}", response_model=RunDetail, responses=documented(401, 403, 404, 422, 503), summary="One run with its tasks and errors"
)
async def read_run(_key: ApiKey, database: Db, broker: Kafka, run_id: RunPath) -> dict[str, Any]:
    """A run that was accepted a moment ago is known at once, also while the database is away."""
    name = checked(run_id, "path.run_id")
    found, resolved = None, name
    try:
        resolved = await runs.resolve(database, name)
        found = await runs.with_tasks(database, resolved)
    except AWAY:
        # Any gateway knows from the command log what was asked for; only if it does not, the database is missed.
        if await broker.commands.find(name) is None:
            raise
    if found is None and (queued := await broker.commands.find(resolved)):
        return {**runs.queued_view(queued), "ledger": runs.ledger([], is_balanced=False), "tasks": [], "rejections": []}
    if found is None:
        raise ProblemError(404, f"there is no run {run_id}")
    return found


@router.post(
    "/runs/{run_id}/repair",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Have what a run misses done again",
)
async def repair_run(response: Response, _key: ApiKey, database: Db, broker: Kafka, run_id: RunPath) -> RunAccepted:
    """Publishes the missing pages again, from the topic or else from the source, and takes up tasks that nobody works on.

    The loader does so by itself for a run in which nothing has moved for a minute. 409 when the run misses nothing.
    """
    resolved = await runs.resolve(database, checked(run_id, "path.run_id"))
    run = await runs.one(database, resolved)
    if run is None and await broker.commands.find(resolved) is None:
        raise ProblemError(404, f"there is no run {run_id}")
    if run is not None and RunStatus(run["status"]).is_balanced:
        raise ProblemError(409, f"the run is {run['status']} and its ledger is balanced: nothing is missing")
    await broker.tell(RepairRun(run_id=resolved, requested_at=datetime.now(UTC).isoformat()))
    return accepted(response, resolved, RunStatus(run["status"]) if run else RunStatus.QUEUED)


def accepted(response: Response, run_id: str, status: RunStatus) -> RunAccepted:
    """The 202 of whatever is done in a run, with where to follow it."""
    link = f"/api/v1/runs/{run_id}"
    response.headers["Location"] = link
    return RunAccepted(run_id=run_id, status=status, links={"self": link})


@router.get(
    "/compare-runs", response_model=Comparison, responses=documented(401, 403, 404, 422, 503), summary="The difference between two runs"
)
async def compare_runs(_key: ApiKey, database: Db, broker: Kafka, run_id_1: RunName, run_id_2: RunName) -> dict[str, Any]:
    """Items processed and what became of them, duration and throughput, per source too, and which errors are in which run."""
    names = (checked(run_id_1, "query.run_id_1"), checked(run_id_2, "query.run_id_2"))
    first, second = await asyncio.gather(*(_find(database, broker, name) for name in names))
    missing = [name for name, run in zip(names, (first, second), strict=True) if run is None]
    if first is None or second is None:
        raise ProblemError(404, f"there is no run {' and no run '.join(missing)}")
    links = {"diff": f"/api/v1/runs/{first['run_id']}/diff/{second['run_id']}"}
    return {"run_1": first, "run_2": second, "diff": compare(first, second), "links": links}


async def _find(database: Database, broker: Broker, name: str) -> dict[str, Any] | None:
    run_id = await runs.resolve(database, name)
    found = await runs.one(database, run_id)
    if found is None and (queued := await broker.commands.find(run_id)):
        return runs.queued_view(queued)
    return found


def checked(name: str, where: str) -> str:
    """An id in its usual form, or the name as it is. Raises ProblemError 422 for anything else."""
    if name in ("latest", "previous"):
        return name
    try:
        return str(uuid.UUID(name))
    except ValueError:
        raise ProblemError(
            422, f"{where}: not a run's id (a UUID), `latest` or `previous`", errors=[{"field": where, "message": "not a run's id"}]
        ) from None
