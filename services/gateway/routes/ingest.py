"""POST /ingest"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Response

from services.gateway.dependencies import ApiKey, Bus
from services.gateway.problems import documented
from services.gateway.requests.json_body import JsonBodyRoute
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.parameters import IdempotencyKey, accepted
from services.gateway.requests.times import now
from services.gateway.schemas.ingest import IngestAccepted, IngestRequest
from shared.identity.ids import new_run_id
from shared.messages.commands import StartIngestion

router = APIRouter(
    tags=["ingestion"],
    dependencies=[Depends(check_parameters)],
    route_class=JsonBodyRoute,
)


@router.post(
    "/ingest",
    status_code=202,
    response_model=IngestAccepted,
    responses=documented(401, 403, 409, 413, 422, 503),
    summary="Start an ingestion in the background",
)
async def start_ingestion(
    response: Response,
    key: ApiKey,
    bus: Bus,
    body: Annotated[IngestRequest | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> IngestAccepted:
    """Answers 202 once Kafka has the command, also while PostgreSQL is unavailable.

    Follow the run at the `Location`.
    """
    run_id = new_run_id(key, idempotency_key)
    command = _command(run_id, body or IngestRequest())
    pending = await bus.open_run(
        command, is_named=idempotency_key is not None
    )
    run = accepted(response, run_id)
    return IngestAccepted(
        run_id=run_id,
        status=run.status,
        requested_at=pending.requested_at,
        sources=command.sources,
        streams=command.streams,
        full_refresh=command.full_refresh,
        links=run.links,
    )


def _command(run_id: str, wanted: IngestRequest) -> StartIngestion:
    start = None
    end = None
    if wanted.start is not None:
        start = str(wanted.start)
        end = str(wanted.end or datetime.now(UTC).date())
    return StartIngestion(
        run_id=run_id,
        sources=None
        if wanted.sources is None
        else [str(source) for source in wanted.sources],
        streams=wanted.streams,
        full_refresh=wanted.full_refresh,
        requested_at=now(),
        start=start,
        end=end,
    )
