"""GET /checkpoints; DELETE and PUT /checkpoints/{stream}"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response

from services.gateway.command_bus import Broker
from services.gateway.database import Database
from services.gateway.dependencies import ApiKey, Db, Kafka
from services.gateway.problems import ProblemError, documented, unavailable
from services.gateway.routes.ingest import IdempotencyKey
from services.gateway.routes.runs import accepted
from services.gateway.schemas.checkpoints import CheckpointState, NewCursor
from services.gateway.schemas.runs import RunAccepted
from services.gateway.times import now
from shared.errors import TransientError
from shared.kafka.checkpoint_log import is_stream
from shared.messages.base import Source
from shared.messages.checkpoints import Checkpoint
from shared.messages.commands import MoveCheckpoint
from shared.messages.identity import new_run_id
from shared.messages.runs import RunStatus
from shared.messages.serialization import encode, plain

MAX_CURSOR_BYTES = 262_144
router = APIRouter(tags=["checkpoints"])
StreamPath = Annotated[str, Path(min_length=3, max_length=300, pattern=r"^[^\x00-\x1f]+$", description="Such as `rss/coindesk`")]
_LOADED = 'SELECT stream, raw_partition AS "partition", raw_offset AS "offset", loaded_at FROM stream_state WHERE stream = ANY($1::text[])'


@router.get(
    "/checkpoints", response_model=list[CheckpointState], responses=documented(401, 403, 422, 503), summary="Where every stream stands"
)
async def checkpoints(
    _key: ApiKey, database: Db, broker: Kafka,
    source: Annotated[Source | None, Query(description="Only of this source")] = None,
    stream: Annotated[str | None, Query(max_length=300, pattern=r"^[^\x00]+$", description="Only this stream")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    skip: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """By name. Checkpoints are kept in Kafka: what is published lies there, what is loaded in PostgreSQL; the difference is under way."""
    await _caught_up(broker)
    found = [
        each
        for each in broker.checkpoints.all()
        if is_stream(each.stream) and (source is None or each.stream.startswith(f"{source}/")) and stream in (None, each.stream)
    ][skip : skip + limit]
    return await _states(database, broker, found)


@router.delete(
    "/checkpoints/{stream:path}",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Have a stream read from its start",
)
async def forget_checkpoint(
    response: Response, key: ApiKey, broker: Kafka, stream: StreamPath, idempotency_key: IdempotencyKey = None
) -> RunAccepted:
    """A run of its own moves the checkpoint, in turn with what reads the stream; the next ingestion reads everything, which doubles nothing."""
    await _known(broker, stream)
    return await _move(response, broker, MoveCheckpoint(run_id=new_run_id(key, idempotency_key), stream=stream, requested_at=now()), idempotency_key)  # fmt: skip


@router.put(
    "/checkpoints/{stream:path}",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 413, 422, 503),
    summary="Have a stream read from a given cursor",
)
async def set_checkpoint(
    response: Response,
    key: ApiKey,
    broker: Kafka,
    stream: StreamPath,
    body: Annotated[NewCursor, Body()],
    idempotency_key: IdempotencyKey = None,
) -> RunAccepted:
    """As DELETE, to a cursor such as `GET /checkpoints` showed before. It must have the fields that the stream's cursor has now."""
    stands = await _known(broker, stream)
    cursor = encode(body.cursor)
    if len(cursor) > MAX_CURSOR_BYTES:
        raise ProblemError(422, f"body.cursor: {len(cursor)} bytes, and at most {MAX_CURSOR_BYTES} are kept")
    _check(body.cursor, plain(stands.cursor))
    command = MoveCheckpoint(run_id=new_run_id(key, idempotency_key), stream=stream, cursor=cursor.decode(), requested_at=now())
    return await _move(response, broker, command, idempotency_key)


async def _move(response: Response, broker: Broker, command: MoveCheckpoint, idempotency_key: str | None) -> RunAccepted:
    await broker.send(command, is_named=idempotency_key is not None)
    return accepted(response, command.run_id, RunStatus.QUEUED)


async def _caught_up(broker: Broker) -> None:
    """So that a checkpoint that a run has moved is seen. Raises ProblemError 503 while Kafka is away."""
    try:
        await broker.checkpoints.follower.catch_up(timeout_s=3)
    except TransientError as error:
        raise unavailable("Kafka cannot be reached, and checkpoints are kept there: try again in a moment") from error


async def _known(broker: Broker, stream: str) -> Checkpoint:
    await _caught_up(broker)
    found = broker.checkpoints.get(stream) if is_stream(stream) else None
    if found is None:
        raise ProblemError(404, f"no stream {stream!r} has a checkpoint: GET /api/v1/checkpoints lists those that have one")
    return found


def _check(cursor: dict[str, Any], now: Any) -> None:
    """Raises ProblemError 422 for a cursor that is not like the one that the stream has."""
    if not isinstance(now, dict):
        return
    wrong = [f"{name} is unknown" for name in cursor if name not in now]
    wrong += [
        f"{name} must be {_kind(now[name])}, not {_kind(value)}"
        for name, value in cursor.items()
        if name in now and None not in (value, now[name]) and _kind(value) != _kind(now[name])
    ]
    if wrong:
        raise ProblemError(
            422,
            f"body.cursor: {'; '.join(wrong[:5])}. A cursor of this stream has {', '.join(now) or 'no fields'}",
            errors=[{"field": "body.cursor", "message": message} for message in wrong[:20]],
        )


def _kind(value: Any) -> str:
    names = {bool: "a boolean", str: "a text", dict: "an object", list: "a list"}
    return names.get(type(value), "a number")


async def _states(database: Database, broker: Broker, found: list[Checkpoint]) -> list[dict[str, Any]]:
    rows = {row["stream"]: row for row in await database.rows(_LOADED, [each.stream for each in found])}
    now = datetime.now(UTC)
    return [_state(each, rows.get(each.stream), broker.checkpoints.moved_at(each.stream), now) for each in found]


def _state(each: Checkpoint, loaded: Any, moved_at: datetime | None, now: datetime) -> dict[str, Any]:
    return {
        "stream": each.stream,
        "source": each.stream.partition("/")[0],
        "cursor": plain(each.cursor),
        "published": {"partition": each.raw_partition, "offset": each.raw_offset},
        "loaded": None if loaded is None else {"partition": loaded["partition"], "offset": loaded["offset"]},
        "loaded_at": None if loaded is None else loaded["loaded_at"],
        "moved_at": moved_at,
        "age_seconds": round((now - moved_at).total_seconds(), 1) if moved_at else None,
        "run_id": each.current.run_id if each.current else None,
    }
