"""GET /runs/{run_a}/diff/{run_b}, /runs/{run_id}/digest"""

from __future__ import annotations

import csv
import io
import unicodedata
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.dependencies import ApiKey, Db
from services.gateway.known_runs import known_run
from services.gateway.problems import documented
from services.gateway.queries import diff as queries
from services.gateway.queries.diff import HEAD, Json, Wanted
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import next_link, path_of_pages
from services.gateway.requests.parameters import (
    OfSource,
    OfStream,
    RunPath,
    Skip,
    text_or_none,
)
from services.gateway.schemas.diff import DiffKind, Digest, RunDiff
from shared.messages.serialization import encode

router = APIRouter(
    tags=["runs"], dependencies=[Depends(check_parameters)]
)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {}, "application/x-ndjson": {}}},
    **documented(401, 403, 404, 422, 503),
}
_OF_FORMULAS = frozenset("=+-@\t\r\n")
MAX_BLANKS = 50  # before a sign that begins a formula
_WITHOUT_FIELD = {"field": "", "old": None, "new": None}


class Format(StrEnum):
    """How a difference is written. `csv` and `ndjson` are the list alone, an entry a line."""

    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"


@router.get(
    "/runs/{run_a}/diff/{run_b}",
    response_model=RunDiff,
    responses=_RESPONSES,
    summary="Two runs, data point by data point",
)
async def diff(
    request: Request,
    _key: ApiKey,
    database: Db,
    run_a: RunPath,
    run_b: RunPath,
    kind: Annotated[
        DiffKind | None,
        Query(description="Only these; absent: all but the unchanged"),
    ] = None,
    source: OfSource = None,
    stream: OfStream = None,
    form: Annotated[
        Format,
        Query(
            alias="format",
            description="csv and ndjson: the list alone, to download",
        ),
    ] = Format.JSON,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    skip: Skip = 0,
    cursor: Annotated[
        UUID | None,
        Query(description="Where a `Link` header said to go on"),
    ] = None,
) -> Response:
    """What each run made of every data point, whatever came later.

    Data points of one run only, those that changed with their fields, and how many are unchanged.
    """
    a = (await known_run(database, run_a))["run_id"]
    b = (await known_run(database, run_b))["run_id"]
    after = text_or_none(cursor)
    wanted = Wanted(
        kind, text_or_none(source), stream, after, limit, skip
    )
    found = await queries.differences(database, a, b, wanted)
    headers = {}
    if len(found) == limit:
        headers = next_link(path_of_pages(request), found[-1]["id"])
    match form:
        case Format.CSV:
            media_type = "text/csv; charset=utf-8"
            return Response(
                _as_csv(found), media_type=media_type, headers=headers
            )
        case Format.NDJSON:
            lines = b"".join(encode(each) + b"\n" for each in found)
            return Response(
                lines, media_type="application/x-ndjson", headers=headers
            )
        case Format.JSON:
            counts = await queries.counts(database, a, b)
            body = {
                "run_a": a,
                "run_b": b,
                **counts,
                "differences": found,
            }
            return Response(
                encode(body),
                media_type="application/json",
                headers=headers,
            )


@router.get(
    "/runs/{run_id}/digest",
    response_model=Digest,
    responses=documented(401, 403, 404, 422, 503),
    summary="A hash of what a run yielded",
)
async def read_digest(
    _key: ApiKey, database: Db, run_id: RunPath
) -> dict[str, Any]:
    """The same raw pages and the same mapping version give the same digest, on any machine."""
    run = await known_run(database, run_id)
    return await queries.digest(database, run["run_id"])


def _as_csv(found: list[Json]) -> str:
    """A line for each field that differs; one without a field for a data point of one run only."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*HEAD, "field", "old", "new"])
    for each in found:
        head = [each[name] for name in HEAD]
        for change in each["fields"] or [_WITHOUT_FIELD]:
            values = (_cell(change["old"]), _cell(change["new"]))
            writer.writerow([*head, change["field"], *values])
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return encode(value).decode()
    return f"'{value}" if _is_like_a_formula(value) else value


def _is_like_a_formula(value: str) -> bool:
    """Whether a spreadsheet may take a title for one; also by signs of full width."""
    return _first_sign(value) in _OF_FORMULAS


def _first_sign(value: str) -> str:
    plain = unicodedata.normalize("NFKC", value[:MAX_BLANKS])
    return plain.lstrip(" ")[:1]
