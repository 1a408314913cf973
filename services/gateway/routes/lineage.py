"""GET /data/{data_id}/lineage, /raw, /raw/{page_id}"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.gateway.dependencies import ApiKey, Db
from services.gateway.problems import ProblemError, documented
from services.gateway.queries import lineage, raw_pages
from services.gateway.queries.raw_pages import Wanted, pruned_before
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import (
    CURSOR,
    PageToken,
    next_link,
    path_of_pages,
)
from services.gateway.requests.parameters import (
    Limit,
    OfSource,
    OfStream,
    text_or_none,
)
from services.gateway.requests.times import Time, span, to_seconds
from services.gateway.schemas.lineage import (
    Lineage,
    RawPageFull,
    RawPages,
)
from shared.messages.serialization import encode

router = APIRouter(
    tags=["lineage"], dependencies=[Depends(check_parameters)]
)


@router.get(
    "/data/{data_id}/lineage",
    response_model=Lineage,
    responses=documented(401, 403, 404, 422, 503),
    summary="Where a data point comes from",
)
async def read_lineage(
    _key: ApiKey,
    database: Db,
    data_id: Annotated[
        UUID, Path(description="The `id` of a data point")
    ],
) -> Response:
    """Every version that it had.

    Each with the raw record, its page and fetch, its place in the topic, its run and mapping
    version.
    """
    found = await lineage.lineage(database, str(data_id))
    if found is None:
        raise ProblemError(404, f"there is no data point {data_id}")
    return _json(found)


@router.get(
    "/raw",
    response_model=RawPages,
    responses=documented(401, 403, 422, 503),
    summary="Raw pages, newest first",
)
async def read_raw_pages(
    request: Request,
    _key: ApiKey,
    database: Db,
    source: OfSource = None,
    stream: OfStream = None,
    run_id: Annotated[
        UUID | None, Query(description="Only those that this run fetched")
    ] = None,
    start: Annotated[
        Time,
        Query(
            alias="from",
            description="Published at or after this time (no zone means UTC)",
        ),
    ] = None,
    end: Annotated[
        Time, Query(alias="to", description="Published before this time")
    ] = None,
    limit: Limit = 100,
    cursor: Annotated[str | None, Query(**CURSOR)] = None,
) -> Response:
    """What was fetched, as it came: the audit trail. The records are in `/raw/{page_id}`.

    `pruned_before` tells what retention has removed.
    """
    after = None if cursor is None else PageToken.decode(cursor)
    begin, until = span(start, end)
    wanted = Wanted(
        source=text_or_none(source),
        stream=stream,
        run_id=text_or_none(run_id),
        start=begin,
        end=until,
        after=after,
        limit=limit,
    )
    pages = await raw_pages.many(database, wanted)
    headers = {}
    if len(pages) == limit:
        last = PageToken(
            pages[-1]["broker_time"], UUID(pages[-1]["page_id"])
        )
        headers = next_link(path_of_pages(request), last.encode())
    before = await pruned_before(database, "raw_data")
    return _json({"pages": pages, "pruned_before": before}, headers)


@router.get(
    "/raw/{page_id}",
    response_model=RawPageFull,
    responses=documented(401, 403, 404, 422, 503),
    summary="One raw page with its records",
)
async def read_raw_page(
    _key: ApiKey,
    database: Db,
    page_id: Annotated[
        UUID, Path(description="The `page_id` of a data point")
    ],
) -> Response:
    """As it was fetched, with its origin, cursors and what was rejected while reading."""
    found = await raw_pages.one(database, str(page_id))
    if found is None:
        before = await pruned_before(database, "raw_data")
        detail = f"there is no raw page {page_id}"
        if before is not None:
            detail += (
                f"; those before {to_seconds(before)} were pruned (RAW_RETENTION), it may have "
                "been one of them"
            )
        raise ProblemError(404, detail)
    columns = await asyncio.to_thread(raw_pages.read_as, found)
    return _json({**found, "read_as": columns})


def _json(
    found: dict[str, Any], headers: dict[str, str] | None = None
) -> Response:
    return Response(
        encode(found), media_type="application/json", headers=headers
    )
