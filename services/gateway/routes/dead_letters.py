"""GET /dead-letters, /dead-letters/{id}; POST …/requeue, …/discard, one by one or by filter"""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response

from services.gateway.dependencies import ApiKey, Db, Kafka
from services.gateway.pagination import Position
from services.gateway.problems import ProblemError, documented
from services.gateway.queries import dead_letters
from services.gateway.routes.ingest import IdempotencyKey
from services.gateway.routes.runs import accepted
from services.gateway.schemas.dead_letters import (
    DeadLetter,
    DeadLetterDetail,
    Discard,
    DiscardAccepted,
    DiscardMany,
    LetterQuery,
    RequeueMany,
)
from services.gateway.schemas.runs import RunAccepted
from services.gateway.times import now
from shared.messages.base import Stage
from shared.messages.commands import DiscardDeadLetters, LetterFilter, RequeueDeadLetters
from shared.messages.identity import new_run_id, requeue_run_id
from shared.messages.runs import DeadLetterStatus, RunStatus

router = APIRouter(tags=["dead letters"])
LetterId = Annotated[uuid.UUID, Path(description="A dead letter's id")]
_NEXT: dict[int | str, dict[str, Any]] = {200: {"headers": {"Link": {"description": "The next page", "schema": {"type": "string"}}}}}


@router.get(
    "/dead-letters",
    response_model=list[DeadLetter],
    responses={**_NEXT, **documented(401, 403, 422, 503)},
    summary="What could not be processed, newest first",
)
async def read_letters(
    request: Request, response: Response, _key: ApiKey, database: Db, asked: Annotated[LetterQuery, Query()]
) -> list[dict[str, Any]]:
    """Records, pages and messages that were rejected, with stage, reason and origin; the payload is in `/dead-letters/{id}`."""
    found = await dead_letters.many(database, asked)
    if len(found) == asked.limit:
        last = Position(found[-1]["created_at"], uuid.UUID(found[-1]["id"])).encode()
        url = request.url.remove_query_params(["cursor"]).include_query_params(cursor=last)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return found


@router.post(
    "/dead-letters/requeue",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 409, 413, 422, 503),
    summary="Process all dead letters of a kind again",
)
async def requeue_letters(
    response: Response, key: ApiKey, broker: Kafka, body: Annotated[RequeueMany, Body()], idempotency_key: IdempotencyKey = None
) -> RunAccepted:
    """Every open dead letter that matches, as one run in the background."""
    command = RequeueDeadLetters(run_id=new_run_id(key, idempotency_key), letters=body.filter(), requested_at=now())
    await broker.send(command, is_named=idempotency_key is not None)
    return accepted(response, command.run_id, RunStatus.QUEUED)


@router.post(
    "/dead-letters/discard",
    status_code=202,
    response_model=DiscardAccepted,
    responses=documented(401, 403, 413, 422, 503),
    summary="Close all dead letters of a kind for good",
)
async def discard_letters(_key: ApiKey, broker: Kafka, body: Annotated[DiscardMany, Body()]) -> DiscardAccepted:
    """Every open dead letter that matches, in the background."""
    await broker.tell(DiscardDeadLetters(letters=body.filter(), note=body.note))
    return DiscardAccepted(note=body.note)


@router.get(
    "/dead-letters/{letter_id:uuid}",
    response_model=DeadLetterDetail,
    responses=documented(401, 403, 404, 422, 503),
    summary="One dead letter with its payload",
)
async def read_letter(_key: ApiKey, database: Db, letter_id: LetterId) -> dict[str, Any]:
    """The first 64 KiB of the payload, and the hash of all of it."""
    return await _found(database, letter_id)


@router.post(
    "/dead-letters/{letter_id:uuid}/requeue",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Process a dead letter again",
)
async def requeue_letter(response: Response, _key: ApiKey, database: Db, broker: Kafka, letter_id: LetterId) -> RunAccepted:
    """A run of its own, in the background. Asked twice, it is the same run. What fails again is a new dead letter of that run."""
    letter = await _found(database, letter_id)
    if letter["status"] == DeadLetterStatus.REQUEUED:
        return accepted(response, letter["requeued_run_id"], RunStatus.QUEUED)
    if letter["status"] == DeadLetterStatus.DISCARDED:
        raise ProblemError(409, f"the dead letter was discarded ({letter['note']})")
    if letter["stage"] == Stage.EXTRACT and letter["page_id"] is not None:
        raise ProblemError(
            409,
            "it was rejected where it comes from, so there is no record to process again: mend the source and ingest the stream with full_refresh",
        )
    command = RequeueDeadLetters(run_id=requeue_run_id(letter["id"]), letters=LetterFilter(ids=[letter["id"]]), requested_at=now())
    await broker.send(command, is_named=True)
    return accepted(response, command.run_id, RunStatus.QUEUED)


@router.post(
    "/dead-letters/{letter_id:uuid}/discard",
    status_code=202,
    response_model=DiscardAccepted,
    responses=documented(401, 403, 404, 409, 413, 422, 503),
    summary="Close a dead letter for good",
)
async def discard_letter(
    _key: ApiKey, database: Db, broker: Kafka, letter_id: LetterId, body: Annotated[Discard, Body()]
) -> DiscardAccepted:
    """In the background; the note says why. 409 when it was processed again."""
    letter = await _found(database, letter_id)
    if letter["status"] == DeadLetterStatus.REQUEUED:
        raise ProblemError(409, f"the dead letter was processed again in run {letter['requeued_run_id']}")
    if letter["status"] == DeadLetterStatus.OPEN:
        await broker.tell(DiscardDeadLetters(letters=LetterFilter(ids=[letter["id"]]), note=body.note))
    return DiscardAccepted(note=body.note)


async def _found(database: Db, letter_id: uuid.UUID) -> dict[str, Any]:
    letter = await dead_letters.one(database, str(letter_id))
    if letter is None:
        raise ProblemError(404, f"there is no dead letter {letter_id}")
    return letter
