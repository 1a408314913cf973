"""POST /ingest"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Header, Response

from services.gateway.dependencies import ApiKey, Kafka
from services.gateway.problems import documented
from services.gateway.schemas.ingest import IngestAccepted, IngestRequest
from shared.messages.commands import StartIngestion
from shared.messages.identity import new_run_id
from shared.messages.runs import RunStatus

router = APIRouter(tags=["ingestion"])
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$", description="The same key and body again is the same run, for 30 days"),
]


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
    broker: Kafka,
    body: Annotated[IngestRequest | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> IngestAccepted:
    """Answers 202 once Kafka has the command, also while PostgreSQL is away. Follow the run at the `Location`."""
    wanted = body or IngestRequest()
    command = StartIngestion(
        run_id=new_run_id(key, idempotency_key), sources=None if wanted.sources is None else [str(source) for source in wanted.sources],
        streams=wanted.streams, full_refresh=wanted.full_refresh, requested_at=datetime.now(UTC).isoformat(),
        **({} if wanted.start is None else {"start": str(wanted.start), "end": str(wanted.end or datetime.now(UTC).date())}),
    )  # fmt: skip
    queued = await broker.send(command, is_named=idempotency_key is not None)
    link = f"/api/v1/runs/{command.run_id}"
    response.headers["Location"] = link
    return IngestAccepted(
        run_id=command.run_id, status=RunStatus.QUEUED, requested_at=queued.requested_at, sources=command.sources, streams=command.streams,
        full_refresh=command.full_refresh, links={"self": link},
    )  # fmt: skip
