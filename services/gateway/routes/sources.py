"""GET /sources, /sources/csv/inspect"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from services.gateway.dependencies import ApiKey, Bus, Db
from services.gateway.files_there import FilesThere
from services.gateway.problems import ProblemError, documented
from services.gateway.queries.sources import states
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.schemas.sources import Inspection, SourceState
from shared.csvfile import folder, overrides
from shared.csvfile.folder import Root
from shared.csvfile.inspection import LIMITS, inspected, refusal
from shared.errors import TaskError
from shared.runtime.confined import Confined

router = APIRouter(
    tags=["sources"], dependencies=[Depends(check_parameters)]
)
_turn = asyncio.Lock()
_confined = Confined([inspected.__module__])
NOTHING: dict[str, Any] = {
    "profile": None,
    "sample": [],
    "tried": None,
    "refused": None,
}


@router.get(
    "/sources",
    response_model=list[SourceState],
    responses=documented(401, 403, 422, 503),
    summary="The sources and their state",
)
async def sources(
    request: Request, _key: ApiKey, database: Db, bus: Bus
) -> list[SourceState]:
    """Every source by the last task of each of its streams.

    How many streams are configured, which of them fail and why, which were read once and are
    configured no more, and the call budget where it has one.
    """
    there: FilesThere = request.app.state.files_there
    return await states(database, bus.checkpoints, there)


@router.get(
    "/sources/csv/inspect",
    response_model=Inspection,
    responses=documented(401, 403, 404, 422),
    summary="What a CSV file would be taken for",
)
async def inspect(
    request: Request,
    _key: ApiKey,
    path: Annotated[
        str,
        Query(
            min_length=1,
            max_length=1000,
            description="Below CSV_DIR, such as `made-up-sample/btc-usd.csv`",
        ),
    ],
) -> dict[str, Any]:
    """Reads the file and writes nothing.

    `tried`: what would become of its first rows. `refused`: why it could not be ingested, and what
    to do about it.
    """
    there: FilesThere = request.app.state.files_there
    async with _turn:
        return await asyncio.to_thread(_inspected, there.root, path)


def _inspected(root: Root, path: str) -> dict[str, Any]:
    try:
        file = folder.find(root, path)
    except TaskError as error:
        raise ProblemError(404, error.message) from error
    answer: dict[str, Any] = {
        **NOTHING,
        "path": path,
        "dataset": file.dataset,
        "stream": f"csv/{path}",
    }
    try:
        given = overrides.load(root).overrides_for(path)
        (found,) = _confined.run(path, LIMITS, inspected, file, given)
    except TaskError as error:
        return answer | {"refused": refusal(error.code, error.message)}
    return {**answer, **found}
