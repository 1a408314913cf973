"""POST /replay; cancel and undo a run; see, publish and discard a preview"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from services.gateway.database import Database
from services.gateway.dependencies import ApiKey, Bus, Db
from services.gateway.known_runs import (
    KnownRun,
    known_run,
    stored_or_pending,
)
from services.gateway.problems import ProblemError, documented
from services.gateway.queries import previews
from services.gateway.requests.json_body import JsonBodyRoute
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import link_to_skip, paged
from services.gateway.requests.parameters import (
    IdempotencyKey,
    OfSource,
    RunPath,
    Skip,
    accepted,
    opened,
    text_or_none,
)
from services.gateway.requests.times import now
from services.gateway.schemas.replay import (
    PreviewDiff,
    PreviewKind,
    ReplayRequest,
)
from services.gateway.schemas.runs import RunAccepted
from shared.identity.ids import new_run_id
from shared.messages.commands import (
    CancelRun,
    DiscardReplay,
    PublishReplay,
    UndoRun,
)
from shared.messages.runs import PreviewState, RunKind
from shared.messages.serialization import encode

CANCELLABLE = (RunKind.INGEST, RunKind.REPLAY)
router = APIRouter(
    tags=["replay"],
    dependencies=[Depends(check_parameters)],
    route_class=JsonBodyRoute,
)


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
    bus: Bus,
    body: Annotated[ReplayRequest | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> RunAccepted:
    """A run of its own, in the background, with the mapping of today.

    It never overwrites newer facts; done twice it changes nothing.
    """
    run_id = new_run_id(key, idempotency_key)
    command = (body or ReplayRequest()).command(run_id)
    return await opened(response, bus, command, idempotency_key)


@router.post(
    "/runs/{run_id}/cancel",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="End a run early",
)
async def cancel_run(
    response: Response,
    _key: ApiKey,
    database: Db,
    bus: Bus,
    run_id: RunPath,
) -> RunAccepted:
    """Its tasks end with what they have published, which still loads. 409 when it has ended."""
    found = await stored_or_pending(database, bus, run_id)
    if found.status.is_balanced:
        raise ProblemError(
            409, f"the run has ended: it is {found.status}"
        )
    if found.kind not in CANCELLABLE:
        message = (
            f"a run of kind {found.kind} is short and cannot be cancelled"
        )
        raise ProblemError(409, message)
    await bus.publish(CancelRun(run_id=found.run_id, requested_at=now()))
    return accepted(response, found.run_id, found.status)


@router.get(
    "/runs/{run_id}/diff",
    response_model=PreviewDiff,
    responses=paged(401, 403, 404, 409, 422, 503),
    summary="What publishing a preview would do",
)
async def read_preview(
    request: Request,
    _key: ApiKey,
    database: Db,
    run_id: RunPath,
    kind: Annotated[
        PreviewKind | None, Query(description="Only these changes")
    ] = None,
    source: OfSource = None,
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
    skip: Skip = 0,
) -> Response:
    """Compared with the data as they are now.

    What would be added, changed (field, old, new) and retired, and which newer values would stay.
    """
    run = await _preview(database, run_id)
    if run["preview"] != PreviewState.OPEN:
        raise ProblemError(
            409,
            f"the preview was {run['preview']}: /runs/{{a}}/diff/{{b}} compares what runs made of "
            "the data",
        )
    resolved = run["run_id"]
    shown = previews.OF_KIND[RunKind(run["kind"])]
    counts = await shown.counts(database, resolved)
    changes = await shown.changes(
        database,
        resolved,
        kind=kind,
        source=text_or_none(source),
        limit=limit + 1,
        skip=skip,
    )
    headers = {}
    if 0 < limit < len(changes):
        headers = link_to_skip(request, skip + limit)
    found = {
        "run_id": resolved,
        "preview": run["preview"],
        **counts,
        "changes": changes[:limit],
    }
    return Response(
        encode(found), media_type="application/json", headers=headers
    )


@router.post(
    "/runs/{run_id}/publish",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Publish a preview",
)
async def publish_preview(
    response: Response,
    _key: ApiKey,
    database: Db,
    bus: Bus,
    run_id: RunPath,
) -> RunAccepted:
    """Writes what the preview keeps, in one transaction, by the version rule.

    Newer data that came meanwhile stay. Asked twice, it is done once.
    """
    run = await _ended_preview(database, run_id, PreviewState.PUBLISHED)
    command = PublishReplay(run_id=run.run_id, requested_at=now())
    return await _decided(response, bus, run, command)


@router.post(
    "/runs/{run_id}/discard",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Drop a preview",
)
async def discard_preview(
    response: Response,
    _key: ApiKey,
    database: Db,
    bus: Bus,
    run_id: RunPath,
) -> RunAccepted:
    """Drops what the preview keeps; the run stays in the history."""
    run = await _ended_preview(database, run_id, PreviewState.DISCARDED)
    command = DiscardReplay(run_id=run.run_id, requested_at=now())
    return await _decided(response, bus, run, command)


@router.post(
    "/runs/{run_id}/undo",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Bring back what a run has retired",
)
async def undo_run(
    response: Response,
    _key: ApiKey,
    database: Db,
    bus: Bus,
    run_id: RunPath,
) -> RunAccepted:
    """Of a run that retired series. What was read meanwhile stays as it is.

    The same run goes on, and its tasks say what was brought back. Asked twice, it is done once.
    """
    run = await known_run(database, run_id)
    found = KnownRun.of(run)
    if found.kind != RunKind.RETIRE:
        raise ProblemError(
            409,
            f"a run of kind {found.kind} cannot be undone: only those that DELETE /api/v1/series "
            "opens",
        )
    if run["preview"] not in (
        PreviewState.PUBLISHED,
        PreviewState.UNDONE,
    ):
        raise ProblemError(
            409, f"the preview is {run['preview']}: nothing was retired"
        )
    _check_has_ended(found, "run")
    command = UndoRun(run_id=found.run_id, requested_at=now())
    return await _decided(response, bus, found, command)


async def _decided(
    response: Response,
    bus: Bus,
    run: KnownRun,
    command: PublishReplay | DiscardReplay | UndoRun,
) -> RunAccepted:
    await bus.publish(command)
    return accepted(response, run.run_id, run.status)


async def _preview(database: Database, run_id: str) -> dict[str, Any]:
    run = await known_run(database, run_id)
    if run["preview"] is None:
        raise ProblemError(
            409,
            'the run is not a preview: those are started with POST /api/v1/replay {"mode": '
            '"preview"} or DELETE /api/v1/series/{number}?mode=preview; two runs are '
            "compared at /runs/{a}/diff/{b}",
        )
    return run


async def _ended_preview(
    database: Database, run_id: str, wanted: PreviewState
) -> KnownRun:
    run = await _preview(database, run_id)
    found = KnownRun.of(run)
    _check_has_ended(found, "preview")
    if run["preview"] not in (PreviewState.OPEN, wanted):
        raise ProblemError(
            409, f"the preview was {run['preview']} before"
        )
    return found


def _check_has_ended(run: KnownRun, name: str) -> None:
    """Raises ProblemError 409. `name`: what the run is called."""
    if not run.status.is_balanced:
        raise ProblemError(
            409, f"the {name} is {run.status}: wait until it has ended"
        )
