"""GET /data/{data_id}/lineage, /raw, /raw/{page_id}"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from services.gateway.dependencies import ApiKey, Db
from services.gateway.pagination import Position
from services.gateway.problems import ProblemError, documented
from services.gateway.queries import lineage
from services.gateway.schemas.lineage import Lineage, RawPageFull, RawPages
from services.gateway.times import Time, utc
from shared.messages.base import Source
from shared.messages.serialization import encode

router = APIRouter(tags=["lineage"])


@router.get(
    "/data/{data_id}/lineage",
    response_model=Lineage,
    responses=documented(401, 403, 404, 422, 503),
    summary="Where a data point comes from",
)
async def read_lineage(_key: ApiKey, database: Db, data_id: Annotated[UUID, Path(description="The `id` of a data point")]) -> Response:
    """Every version that it had, each with the raw record, its page and fetch, its place in the topic, its run and mapping version."""
    found = await lineage.lineage(database, str(data_id))
    if found is None:
        raise ProblemError(404, f"there is no data point {data_id}")
    return _json(found)


@router.get("/raw", response_model=RawPages, responses=documented(401, 403, 422, 503), summary="Raw pages, newest first")
async def read_raw_pages(
    request: Request, _key: ApiKey, database: Db,
    source: Annotated[Source | None, Query(description="Only of this source")] = None,
    stream: Annotated[str | None, Query(max_length=300, pattern=r"^[^\x00]+$", description="Only of this stream")] = None,
    run_id: Annotated[UUID | None, Query(description="Only those that this run fetched")] = None,
    start: Annotated[Time, Query(alias="from", description="Published at or after this time (no zone means UTC)")] = None,
    end: Annotated[Time, Query(alias="to", description="Published before this time")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[
        str | None, Query(description="Where a `Link` header said to go on", json_schema_extra={"pattern": "^[A-Za-z0-9_-]{32}$"})
    ] = None,
) -> Response:  # fmt: skip
    """What was fetched, as it came: the audit trail. The records are in `/raw/{page_id}`. `pruned_before` says what retention has removed."""
    after = Position.decode(cursor) if cursor is not None else None
    pages = await lineage.raw_pages(
        database, source=source and str(source), stream=stream, run_id=str(run_id) if run_id else None, start=utc("from", start), end=utc("to", end),
        after=(after.timestamp, str(after.id)) if after else None, limit=limit,
    )  # fmt: skip
    headers = {}
    if len(pages) == limit:
        following = Position(pages[-1]["broker_time"], UUID(pages[-1]["page_id"])).encode()
        url = request.url.remove_query_params(["cursor"]).include_query_params(cursor=following)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return _json({"pages": pages, "pruned_before": await lineage.pruned_before(database, "raw_data")}, headers)


@router.get(
    "/raw/{page_id}", response_model=RawPageFull, responses=documented(401, 403, 404, 422, 503), summary="One raw page with its records"
)
async def read_raw_page(
    _key: ApiKey, database: Db, page_id: Annotated[UUID, Path(description="The `page_id` of a data point")]
) -> Response:
    """As it was fetched, with its origin, cursors and what was rejected while reading."""
    found = await lineage.raw_page(database, str(page_id))
    if found is None:
        raise ProblemError(404, f"there is no raw page {page_id}{_perhaps(await lineage.pruned_before(database, 'raw_data'))}")
    return _json(found)


def _perhaps(before: datetime | None) -> str:
    return f"; those before {before:%Y-%m-%dT%H:%M:%SZ} were pruned (RAW_RETENTION), it may have been one of them" if before else ""


def _json(found: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(encode(found), media_type="application/json", headers=headers)
