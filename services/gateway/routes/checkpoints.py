"""GET /checkpoints; DELETE and PUT /checkpoints/{stream}"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response

from services.gateway.dependencies import ApiKey, Bus, Db
from services.gateway.kafka.command_bus import CommandBus
from services.gateway.problems import (
    ProblemError,
    documented,
    field_problem,
    unavailable,
)
from services.gateway.queries.checkpoints import states
from services.gateway.requests.json_body import JsonBodyRoute
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import cut, paged
from services.gateway.requests.parameters import (
    IdempotencyKey,
    Limit,
    OfSource,
    OfStream,
    Skip,
    StreamPath,
    opened,
)
from services.gateway.requests.times import now
from services.gateway.schemas.checkpoints import (
    CheckpointState,
    NewCursor,
)
from services.gateway.schemas.runs import RunAccepted
from shared.errors import TransientError
from shared.identity.ids import new_run_id
from shared.kafka.checkpoint_log import is_stream
from shared.messages.checkpoints import Checkpoint
from shared.messages.commands import MoveCheckpoint
from shared.messages.runs import MAX_DEPTH, TOO_DEEP, depth_of
from shared.messages.serialization import encode, to_python

MAX_CURSOR_BYTES = 262_144
CATCH_UP_S = 3.0
WHERE_LISTED = "GET /api/v1/checkpoints lists those that have one"
MAX_SHOWN = 5  # faults of a cursor, in a sentence
MAX_LISTED = 20
_TYPES = {
    bool: "a boolean",
    str: "a text",
    dict: "an object",
    list: "a list",
}
router = APIRouter(
    tags=["checkpoints"],
    dependencies=[Depends(check_parameters)],
    route_class=JsonBodyRoute,
)


@router.get(
    "/checkpoints",
    response_model=list[CheckpointState],
    responses=paged(401, 403, 422, 503),
    summary="The position of every stream",
)
async def checkpoints(
    request: Request,
    response: Response,
    _key: ApiKey,
    database: Db,
    bus: Bus,
    source: OfSource = None,
    stream: OfStream = None,
    limit: Limit = 100,
    skip: Skip = 0,
) -> list[dict[str, Any]]:
    """By name. What is published comes from Kafka, what is loaded from PostgreSQL.

    The difference is on its way.
    """
    await _catch_up(bus)
    prefix = f"{source}/" if source is not None else ""
    found = [
        checkpoint
        for checkpoint in bus.checkpoints.all()
        if is_stream(checkpoint.stream)
        and checkpoint.stream.startswith(prefix)
        and stream in (None, checkpoint.stream)
    ]
    page = cut(
        request, response, found[skip : skip + limit + 1], limit, skip
    )
    return await states(database, bus.checkpoints, page)


@router.delete(
    "/checkpoints/{stream:path}",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Read a stream from its start again",
)
async def forget_checkpoint(
    response: Response,
    key: ApiKey,
    bus: Bus,
    stream: StreamPath,
    idempotency_key: IdempotencyKey = None,
) -> RunAccepted:
    """A run of its own moves the checkpoint, in turn with the tasks that read the stream.

    The next ingestion reads everything, which doubles nothing.
    """
    await _known(bus, stream)
    run_id = new_run_id(key, idempotency_key)
    command = MoveCheckpoint(
        run_id=run_id, stream=stream, requested_at=now()
    )
    return await opened(response, bus, command, idempotency_key)


@router.put(
    "/checkpoints/{stream:path}",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 413, 422, 503),
    summary="Read a stream from a given cursor",
)
async def set_checkpoint(
    response: Response,
    key: ApiKey,
    bus: Bus,
    stream: StreamPath,
    body: Annotated[NewCursor, Body()],
    idempotency_key: IdempotencyKey = None,
) -> RunAccepted:
    """As DELETE, to a cursor such as `GET /checkpoints` showed before.

    It must have the fields that the stream's cursor has now. What a file is taken for (`dialect`)
    and the address of a feed (`moved`) are found out again, whatever the cursor says.
    """
    checkpoint = await _known(bus, stream)
    cursor = encode(body.cursor)
    if len(cursor) > MAX_CURSOR_BYTES:
        message = f"{len(cursor)} bytes, and at most {MAX_CURSOR_BYTES} are kept"
        raise field_problem("body.cursor", message)
    if depth_of(body.cursor) > MAX_DEPTH:
        raise field_problem("body.cursor", TOO_DEEP)
    _check(body.cursor, to_python(checkpoint.cursor))
    run_id = new_run_id(key, idempotency_key)
    command = MoveCheckpoint(
        run_id=run_id,
        stream=stream,
        cursor=cursor.decode(),
        requested_at=now(),
    )
    return await opened(response, bus, command, idempotency_key)


async def _catch_up(bus: CommandBus) -> None:
    """So that a checkpoint that a run has moved is seen. Raises ProblemError 503."""
    try:
        await bus.checkpoints.follower.catch_up(timeout_s=CATCH_UP_S)
    except TransientError as error:
        detail = "Kafka cannot be reached, and checkpoints are kept there: try again in a moment"
        raise unavailable(detail) from error


async def _known(bus: CommandBus, stream: str) -> Checkpoint:
    await _catch_up(bus)
    found = bus.checkpoints.get(stream) if is_stream(stream) else None
    if found is None:
        message = f"no stream {stream!r} has a checkpoint"
        raise ProblemError(404, f"{message}: {WHERE_LISTED}")
    return found


def _check(cursor: dict[str, Any], present: Any) -> None:
    """Raises ProblemError 422 for a cursor that is not like the present one of the stream."""
    if not isinstance(present, dict):
        return
    faults = [
        _fault(name, value, present) for name, value in cursor.items()
    ]
    wrong = [fault for fault in faults if fault is not None]
    if wrong:
        fields = ", ".join(present) or "no fields"
        raise ProblemError(
            422,
            f"body.cursor: {'; '.join(wrong[:MAX_SHOWN])}. A cursor of this stream has {fields}",
            errors=[
                {"field": "body.cursor", "message": fault}
                for fault in wrong[:MAX_LISTED]
            ],
        )


def _fault(name: str, value: Any, present: dict[str, Any]) -> str | None:
    if name not in present:
        return f"{name} is unknown"
    expected = _type(present[name])
    given = _type(value)
    if None in (value, present[name]) or given == expected:
        return None
    return f"{name} must be {expected}, not {given}"


def _type(value: Any) -> str:
    return _TYPES.get(type(value), "a number")
