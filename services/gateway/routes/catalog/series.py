"""GET and DELETE /series; GET /series/{id}, /series/{id}/asked; DELETE /series/{id}"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.gateway.database import Database
from services.gateway.dependencies import ApiKey, Bus, Db
from services.gateway.kafka.command_bus import CommandBus
from services.gateway.problems import ProblemError, documented
from services.gateway.queries import series
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import cut, paged
from services.gateway.requests.parameters import (
    IdempotencyKey,
    Limit,
    Skip,
    opened,
)
from services.gateway.requests.times import now
from services.gateway.requests.whole_numbers import InDigits
from services.gateway.schemas.runs import RunAccepted
from services.gateway.schemas.series import (
    AskedRange,
    Series,
    SeriesQuery,
)
from shared.identity.ids import new_run_id
from shared.messages.base import Source
from shared.messages.commands import ReplayMode, RetireSeries

router = APIRouter(
    tags=["series"], dependencies=[Depends(check_parameters)]
)
SeriesNumber = Annotated[
    int,
    Path(ge=1, le=2**31 - 1, description="As `GET /series` shows it"),
    InDigits,
]
Mode = Annotated[
    ReplayMode,
    Query(
        description="`preview` changes nothing before `POST /runs/{run_id}/publish`"
    ),
]


@router.get(
    "/series",
    response_model=list[Series],
    responses=paged(401, 403, 422, 503),
    summary="What there is: every series, with its extent",
)
async def read_many(
    request: Request,
    response: Response,
    _key: ApiKey,
    database: Db,
    wanted: Annotated[SeriesQuery, Query()],
) -> list[dict[str, Any]]:
    """By number, or as `sort` says. Kept by the loader in the transactions that write data points.

    Completeness is by the interval of candles, from the first to the last.
    """
    found = await series.many(database, wanted)
    return cut(request, response, found, wanted.limit, wanted.skip)


@router.get(
    "/series/{number}",
    response_model=Series,
    responses=documented(401, 403, 404, 422, 503),
    summary="One series",
)
async def read_one(
    _key: ApiKey, database: Db, number: SeriesNumber
) -> dict[str, Any]:
    """With how many data points there are, from when to when."""
    return await _found(database, number)


@router.get(
    "/series/{number}/asked",
    response_model=list[AskedRange],
    responses=paged(401, 403, 404, 422, 503),
    summary="What the source of a series was asked for",
)
async def read_asked(
    request: Request,
    response: Response,
    _key: ApiKey,
    database: Db,
    number: SeriesNumber,
    limit: Limit = 100,
    skip: Skip = 0,
) -> list[dict[str, Any]]:
    """Times of its stream, latest first, also those for which there was nothing.

    Of a file all from its first time to its last. Kept for good.
    """
    await _found(database, number)
    found = await series.asked(database, number, limit + 1, skip)
    return cut(request, response, found, limit, skip)


@router.delete(
    "/series/{number}",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Retire a series",
)
async def retire_one(
    response: Response,
    key: ApiKey,
    database: Db,
    bus: Bus,
    number: SeriesNumber,
    mode: Mode = ReplayMode.APPLY,
    idempotency_key: IdempotencyKey = None,
) -> RunAccepted:
    """All its data points are taken out of sight, as a run; `POST /runs/{run_id}/undo` undoes it.

    What was read before stays so, also when it is replayed; what is read later counts again.
    """
    await _found(database, number)
    return await _retired(
        response, bus, key, [number], idempotency_key, mode
    )


@router.delete(
    "/series",
    status_code=202,
    response_model=RunAccepted,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Retire all series of a dataset",
)
async def retire_dataset(
    response: Response,
    key: ApiKey,
    database: Db,
    bus: Bus,
    source: Annotated[Source, Query(description="Such as `csv`")],
    dataset: Annotated[
        str,
        Query(
            min_length=1,
            max_length=500,
            pattern=r"^[^\x00]+$",
            description="Such as the name of a file's folder",
        ),
    ],
    mode: Mode = ReplayMode.APPLY,
    idempotency_key: IdempotencyKey = None,
) -> RunAccepted:
    """As `DELETE /series/{number}`, in one run. Such as a folder of files that were wrong."""
    numbers = await series.numbers(database, str(source), dataset)
    if not numbers:
        message = f"no series is of the source {source} and the dataset {dataset!r}"
        raise ProblemError(
            404, f"{message}: GET /api/v1/series lists them"
        )
    if len(numbers) > series.MAX_RETIRED:
        raise ProblemError(
            409,
            f"more than {series.MAX_RETIRED} series are of this dataset: retire them one by one",
        )
    return await _retired(
        response, bus, key, numbers, idempotency_key, mode
    )


async def _retired(
    response: Response,
    bus: CommandBus,
    key: str,
    numbers: list[int],
    idempotency_key: str | None,
    mode: ReplayMode,
) -> RunAccepted:
    command = RetireSeries(
        run_id=new_run_id(key, idempotency_key),
        series=numbers,
        mode=mode,
        requested_at=now(),
    )
    return await opened(response, bus, command, idempotency_key)


async def _found(database: Database, number: int) -> dict[str, Any]:
    found = await series.one(database, number)
    if found is None:
        raise ProblemError(
            404,
            f"there is no series {number}: GET /api/v1/series lists them",
        )
    return found
