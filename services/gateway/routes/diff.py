"""GET /runs/{run_a}/diff/{run_b}, /runs/{run_id}/digest"""

from __future__ import annotations

import csv
import io
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.gateway.database import Database
from services.gateway.dependencies import ApiKey, Db
from services.gateway.problems import ProblemError, documented
from services.gateway.queries import diff as diff_query
from services.gateway.queries import runs as runs_query
from services.gateway.routes.runs import RunPath, checked
from services.gateway.schemas.diff import DiffKind, Digest, RunDiff
from shared.messages.base import Source
from shared.messages.serialization import encode

router = APIRouter(tags=["runs"])


class Format(StrEnum):
    """How a difference is written. Of the list alone, for other programs: a line each."""

    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"


@router.get(
    "/runs/{run_a}/diff/{run_b}",
    response_model=RunDiff,
    responses={200: {"content": {"text/csv": {}, "application/x-ndjson": {}}}, **documented(401, 403, 404, 422, 503)},
    summary="Two runs, data point by data point",
)
async def diff(
    request: Request, _key: ApiKey, database: Db, run_a: RunPath, run_b: RunPath,
    kind: Annotated[DiffKind | None, Query(description="Only these; absent: all but the unchanged")] = None,
    source: Annotated[Source | None, Query(description="Only of this source")] = None,
    stream: Annotated[str | None, Query(max_length=300, pattern=r"^[^\x00]+$", description="Only of this stream")] = None,
    form: Annotated[Format, Query(alias="format", description="csv and ndjson: the list alone, to download")] = Format.JSON,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    skip: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    cursor: Annotated[UUID | None, Query(description="Where a `Link` header said to go on")] = None,
) -> Response:  # fmt: skip
    """What each run made of every data point, whatever came later: only in one, changed with its fields, and how many are unchanged."""
    a, b = await _known(database, run_a), await _known(database, run_b)
    found = await diff_query.run_differences(
        database,
        a,
        b,
        kind=kind,
        source=source and str(source),
        stream=stream,
        after=str(cursor) if cursor else None,
        limit=limit,
        skip=skip,
    )
    headers = {}
    if len(found) == limit:
        url = request.url.remove_query_params(["skip", "cursor"]).include_query_params(cursor=found[-1]["id"])
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    if form == Format.CSV:
        return Response(_as_csv(found), media_type="text/csv; charset=utf-8", headers=headers)
    if form == Format.NDJSON:
        return Response(b"".join(encode(each) + b"\n" for each in found), media_type="application/x-ndjson", headers=headers)
    counts = await diff_query.run_counts(database, a, b)
    return Response(encode({"run_a": a, "run_b": b, **counts, "differences": found}), media_type="application/json", headers=headers)


@router.get(
    "/runs/{run_id}/digest", response_model=Digest, responses=documented(401, 403, 404, 422, 503), summary="A hash of what a run yielded"
)
async def read_digest(_key: ApiKey, database: Db, run_id: RunPath) -> dict[str, Any]:
    """The same raw pages and the same mapping version give the same digest, on any machine and however often."""
    return await diff_query.digest(database, await _known(database, run_id))


async def _known(database: Database, name: str) -> str:
    run = await runs_query.one(database, await runs_query.resolve(database, checked(name, "path.run_id")))
    if run is None:
        raise ProblemError(404, f"there is no run {name}")
    return str(run["run_id"])


def _as_csv(found: list[dict[str, Any]]) -> str:
    """A line for each field that differs; one without a field for a data point that is in one run only."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "kind", "source", "stream", "field", "old", "new"])
    for each in found:
        head = [each[name] for name in ("id", "kind", "source", "stream")]
        for change in each["fields"] or [{"field": "", "old": None, "new": None}]:
            writer.writerow([*head, change["field"], *(_cell(change[name]) for name in ("old", "new"))])
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else encode(value).decode()
    # A spreadsheet must not take a title for a formula.
    return f"'{text}" if isinstance(value, str) and text[:1] in "=+-@\t\r" else text
