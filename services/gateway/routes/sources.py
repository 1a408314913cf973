"""GET /sources, /sources/csv/inspect"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from services.gateway.dependencies import ApiKey, Bus, Db
from services.gateway.problems import ProblemError, documented
from services.gateway.queries.sources import states
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.schemas.sources import Inspection, SourceState
from services.gateway.settings import GatewaySettings
from shared.csvfile import folder, overrides
from shared.csvfile.profile import Profile, profile
from shared.csvfile.rows import Tried
from shared.errors import TaskError

MAX_BYTES = (
    32 * 1024 * 1024
)  # that are read; ingestion reads all of a file
MAX_TRIED = 2 * 1024 * 1024  # of these, rows are tried one by one
AT_ONCE = 2
SHOWN_ROWS = 5
router = APIRouter(
    tags=["sources"], dependencies=[Depends(check_parameters)]
)
_turns = asyncio.Semaphore(AT_ONCE)


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
    settings: GatewaySettings = request.app.state.settings
    return await states(database, bus.checkpoints, settings.csv_dir)


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
    settings: GatewaySettings = request.app.state.settings
    async with _turns:
        return await asyncio.to_thread(_inspected, settings, path)


def _inspected(settings: GatewaySettings, path: str) -> dict[str, Any]:
    try:
        file = folder.find(settings.csv_dir, path)
    except TaskError as error:
        raise ProblemError(404, error.message) from error
    answer: dict[str, Any] = {
        "path": path,
        "dataset": file.dataset,
        "stream": f"csv/{path}",
        "profile": None,
        "sample": [],
        "tried": None,
        "refused": None,
    }
    try:
        given = overrides.load(settings.csv_dir).overrides_for(path)
        found = profile(file, given, at_most=MAX_BYTES)
        if found is None:
            refused = _refusal("empty", f"{path} has no rows yet")
            return {**answer, "refused": refused}
        tried = found.try_file(file, MAX_TRIED)
    except TaskError as error:
        return {**answer, "refused": _refusal(error.code, error.message)}
    if given.ignore:
        ignored = "mapping.yaml says `ignore: true`"
        answer["refused"] = _refusal("ignored", f"{path}: {ignored}")
    return answer | _described(found, tried)


def _described(found: Profile, tried: Tried) -> dict[str, Any]:
    described = {
        "profile": found.described(),
        "sample": found.header.sample[:SHOWN_ROWS],
    }
    if found.refusal is not None:
        reason = found.refusal.reason
        described["refused"] = _refusal(reason, found.refusal.message)
        return described
    described["tried"] = {
        "rows": tried.rows,
        "refused": tried.refused,
        "examples": tried.examples,
    }
    if tried.are_nearly_all_refused():
        described["refused"] = _refusal("rows_refused", _summary(tried))
    return described


def _summary(tried: Tried) -> str:
    examples = [messages[0] for messages in tried.examples.values()]
    counts = (
        f"{tried.count()} of the first {tried.rows} rows would be refused"
    )
    return f"{counts}, such as: {'; '.join(examples)}"


def _refusal(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}
