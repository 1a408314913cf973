"""POST /replay; what is done with a run: cancel, publish, discard; GET /runs/{run_id}/diff of a preview"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response

from services.gateway.database import Database
from services.gateway.dependencies import ApiKey, Db, Kafka
from services.gateway.problems import ProblemError, documented
from services.gateway.queries import diff, runs
from services.gateway.routes.ingest import IdempotencyKey
from services.gateway.routes.runs import RunPath, accepted, checked
from services.gateway.schemas.replay import PreviewDiff, PreviewKind, ReplayRequest
from services.gateway.schemas.runs import RunAccepted
from services.gateway.times import now
from shared.messages.base import Source
from shared.messages.commands import CancelRun, DiscardReplay, PublishReplay, StartReplay
from shared.messages.identity import new_run_id
from shared.messages.runs import PreviewState, RunKind, RunStatus
from shared.messages.serialization import encode

router = APIRouter(tags=["replay"])


@router.post(
    "/replay",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 409, 413, 422, 503),
    summary="Normalize raw pages again",
)
async def start_replay(
    response: Response,
    key: ApiKey,
    broker: Kafka,
    body: Annotated[ReplayRequest | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> RunAccepted:
    """A run of its own, in the background, with the mapping of today. It never overwrites newer facts; done twice it changes nothing."""
    wanted = body or ReplayRequest()
    command = StartReplay(
        run_id=new_run_id(key, idempotency_key), selection=wanted.selection(), origin=wanted.origin, mode=wanted.mode, requested_at=now()
    )
    await broker.send(command, is_named=idempotency_key is not None)
    return accepted(response, command.run_id, RunStatus.QUEUED)


@router.post(
    "/runs/{run_id}/cancel",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="End a run early",
)
async def cancel_run(response: Response, _key: ApiKey, database: Db, broker: Kafka, run_id: RunPath) -> RunAccepted:
    """Its tasks end with what they have published, which still loads. 409 when it has ended."""
    resolved = await runs.resolve(database, checked(run_id, "path.run_id"))
    run = await runs.one(database, resolved)
    if run is None and await broker.commands.find(resolved) is None:
        raise ProblemError(404, f"there is no run {run_id}")
    if run is not None and RunStatus(run["status"]).is_balanced:
        raise ProblemError(409, f"the run has ended: it is {run['status']}")
    if run is not None and run["kind"] not in (RunKind.INGEST, RunKind.REPLAY):
        raise ProblemError(409, f"a run of kind {run['kind']} is short and cannot be cancelled")
    await broker.tell(CancelRun(run_id=resolved, requested_at=now()))
    return accepted(response, resolved, RunStatus(run["status"]) if run else RunStatus.QUEUED)


@router.get(
    "/runs/{run_id}/diff",
    response_model=PreviewDiff,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="What publishing a preview would do",
)
async def read_preview(
    _key: ApiKey, database: Db, run_id: RunPath,
    kind: Annotated[PreviewKind | None, Query(description="Only these changes")] = None,
    source: Annotated[Source | None, Query(description="Only of this source")] = None,
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
    skip: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> Response:  # fmt: skip
    """Compared with the data as they are now: what would be added, changed (field, old, new) and retired, and which newer values would stay."""
    run = await _preview(database, run_id)
    if run["preview"] != PreviewState.OPEN:
        raise ProblemError(409, f"the preview was {run['preview']}: /runs/{{a}}/diff/{{b}} compares what runs made of the data")
    counts = await diff.preview_counts(database, run["run_id"])
    changes = await diff.preview_changes(database, run["run_id"], kind=kind, source=source and str(source), limit=limit, skip=skip)
    found = {"run_id": run["run_id"], "preview": run["preview"], **counts, "changes": changes}
    return Response(encode(found), media_type="application/json")


@router.post(
    "/runs/{run_id}/publish",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Publish a preview",
)
async def publish_preview(response: Response, _key: ApiKey, database: Db, broker: Kafka, run_id: RunPath) -> RunAccepted:
    """Writes what the preview keeps, all of it in one transaction, by the version rule: newer data that came meanwhile stay. Asked twice, it is done once."""
    run = await _ended_preview(database, run_id, PreviewState.PUBLISHED)
    await broker.tell(PublishReplay(run_id=run["run_id"], requested_at=now()))
    return accepted(response, run["run_id"], RunStatus(run["status"]))


@router.post(
    "/runs/{run_id}/discard",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Drop a preview",
)
async def discard_preview(response: Response, _key: ApiKey, database: Db, broker: Kafka, run_id: RunPath) -> RunAccepted:
    """Drops what the preview keeps; the run stays in the history."""
    run = await _ended_preview(database, run_id, PreviewState.DISCARDED)
    await broker.tell(DiscardReplay(run_id=run["run_id"], requested_at=now()))
    return accepted(response, run["run_id"], RunStatus(run["status"]))


async def _preview(database: Database, run_id: str) -> dict[str, Any]:
    run = await runs.one(database, await runs.resolve(database, checked(run_id, "path.run_id")))
    if run is None:
        raise ProblemError(404, f"there is no run {run_id}")
    if run["preview"] is None:
        raise ProblemError(
            409,
            'the run is no preview: those are started with POST /api/v1/replay {"mode": "preview"}; two runs are compared at /runs/{a}/diff/{b}',
        )
    return run


async def _ended_preview(database: Database, run_id: str, wanted: PreviewState) -> dict[str, Any]:
    run = await _preview(database, run_id)
    if not RunStatus(run["status"]).is_balanced:
        raise ProblemError(409, f"the preview is {run['status']}: wait until it has ended")
    if run["preview"] not in (PreviewState.OPEN, wanted):
        raise ProblemError(409, f"the preview was {run['preview']} before")
    return run
