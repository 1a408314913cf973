"""GET /dead-letters, /dead-letters/{id}; POST …/requeue, …/discard, one by one or by filter"""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import (
    APIRouter,
    Body,
    Depends,
    Path,
    Query,
    Request,
    Response,
)

from services.gateway.database import Database
from services.gateway.dependencies import ApiKey, Bus, Db
from services.gateway.problems import ProblemError, documented
from services.gateway.queries import dead_letters
from services.gateway.requests.json_body import JsonBodyRoute
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import (
    LINK,
    PageToken,
    next_link,
    path_of_pages,
)
from services.gateway.requests.parameters import (
    IdempotencyKey,
    accepted,
    opened,
)
from services.gateway.requests.times import now
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
from shared.identity.ids import new_run_id, requeue_run_id
from shared.messages.base import Stage
from shared.messages.commands import (
    DeadLetterFilter,
    DiscardDeadLetters,
    RequeueDeadLetters,
)
from shared.messages.runs import DeadLetterStatus

router = APIRouter(
    tags=["dead letters"],
    dependencies=[Depends(check_parameters)],
    route_class=JsonBodyRoute,
)
DeadLetterId = Annotated[
    uuid.UUID, Path(description="A dead letter's id")
]


@router.get(
    "/dead-letters",
    response_model=list[DeadLetter],
    responses={200: {"headers": LINK}, **documented(401, 403, 422, 503)},
    summary="What could not be processed, newest first",
)
async def read_letters(
    request: Request,
    response: Response,
    _key: ApiKey,
    database: Db,
    asked: Annotated[LetterQuery, Query()],
) -> list[dict[str, Any]]:
    """Records, pages and messages that were rejected, with stage, reason and origin.

    The payload is in `/dead-letters/{id}`.
    """
    found = await dead_letters.many(database, asked)
    if len(found) == asked.limit:
        last = PageToken(
            found[-1]["created_at"], uuid.UUID(found[-1]["id"])
        )
        response.headers.update(
            next_link(path_of_pages(request), last.encode())
        )
    return found


@router.post(
    "/dead-letters/requeue",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 409, 413, 422, 503),
    summary="Process all dead letters of a kind again",
)
async def requeue_letters(
    response: Response,
    key: ApiKey,
    bus: Bus,
    body: Annotated[RequeueMany, Body()],
    idempotency_key: IdempotencyKey = None,
) -> RunAccepted:
    """Every open dead letter that matches, as one run in the background."""
    run_id = new_run_id(key, idempotency_key)
    command = RequeueDeadLetters(
        run_id=run_id, letters=body.filter(), requested_at=now()
    )
    return await opened(response, bus, command, idempotency_key)


@router.post(
    "/dead-letters/discard",
    status_code=202,
    response_model=DiscardAccepted,
    responses=documented(401, 403, 413, 422, 503),
    summary="Close all dead letters of a kind for good",
)
async def discard_letters(
    _key: ApiKey, bus: Bus, body: Annotated[DiscardMany, Body()]
) -> DiscardAccepted:
    """Every open dead letter that matches, in the background."""
    await bus.publish(
        DiscardDeadLetters(letters=body.filter(), note=body.note)
    )
    return DiscardAccepted(note=body.note)


@router.get(
    "/dead-letters/{letter_id:uuid}",
    response_model=DeadLetterDetail,
    responses=documented(401, 403, 404, 422, 503),
    summary="One dead letter with its payload",
)
async def read_letter(
    _key: ApiKey, database: Db, letter_id: DeadLetterId
) -> dict[str, Any]:
    """The first 64 KiB of the payload, and the hash of all of it."""
    return await _found(database, letter_id)


@router.post(
    "/dead-letters/{letter_id:uuid}/requeue",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Process a dead letter again",
)
async def requeue_letter(
    response: Response,
    _key: ApiKey,
    database: Db,
    bus: Bus,
    letter_id: DeadLetterId,
) -> RunAccepted:
    """A run of its own, in the background. Asked twice, it is the same run.

    What fails again is a new dead letter of that run.
    """
    found = await _found(database, letter_id)
    if found["status"] == DeadLetterStatus.REQUEUED:
        return accepted(response, found["requeued_run_id"])
    if found["status"] == DeadLetterStatus.DISCARDED:
        raise ProblemError(
            409, f"the dead letter was discarded ({found['note']})"
        )
    if found["stage"] == Stage.EXTRACT and found["page_id"] is not None:
        raise ProblemError(
            409,
            "it was rejected at its source, so there is no record to process again: fix the "
            "source and ingest the stream with full_refresh",
        )
    run_id = requeue_run_id(found["id"], found["run_id"])
    wanted = DeadLetterFilter(ids=[found["id"]])
    command = RequeueDeadLetters(
        run_id=run_id, letters=wanted, requested_at=now()
    )
    await bus.open_run(command, is_named=True)
    return accepted(response, run_id)


@router.post(
    "/dead-letters/{letter_id:uuid}/discard",
    status_code=202,
    response_model=DiscardAccepted,
    responses=documented(401, 403, 404, 409, 413, 422, 503),
    summary="Close a dead letter for good",
)
async def discard_letter(
    _key: ApiKey,
    database: Db,
    bus: Bus,
    letter_id: DeadLetterId,
    body: Annotated[Discard, Body()],
) -> DiscardAccepted:
    """In the background, with a note that gives the reason. 409 when it was processed again."""
    found = await _found(database, letter_id)
    if found["status"] == DeadLetterStatus.REQUEUED:
        run_id = found["requeued_run_id"]
        raise ProblemError(
            409, f"the dead letter was processed again in run {run_id}"
        )
    if found["status"] == DeadLetterStatus.OPEN:
        wanted = DeadLetterFilter(ids=[found["id"]])
        await bus.publish(
            DiscardDeadLetters(letters=wanted, note=body.note)
        )
    return DiscardAccepted(note=body.note)


async def _found(
    database: Database, dead_letter_id: uuid.UUID
) -> dict[str, Any]:
    found = await dead_letters.one(database, str(dead_letter_id))
    if found is None:
        raise ProblemError(
            404, f"there is no dead letter {dead_letter_id}"
        )
    return found
