"""GET /data"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from services.gateway.database import Database
from services.gateway.dependencies import ApiKey
from services.gateway.problems import ProblemError, documented
from services.gateway.queries.data import DataPages, Filters
from services.gateway.queries.raw_pages import (
    check_is_kept,
    pruned_before,
)
from services.gateway.requests.kept_answers import (
    ETAG,
    NOT_MODIFIED,
    Answer,
    KeptAnswers,
    Visible,
    keeping,
)
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import (
    CURSOR,
    LINK,
    PageToken,
    next_link,
    path_of_pages,
)
from services.gateway.requests.parameters import text_or_none
from services.gateway.requests.times import Time, span, utc
from services.gateway.requests.whole_numbers import InDigits
from services.gateway.schemas.data import DataPoint, Kind
from shared.messages.base import Source

_OFFSET = '+00:00"'
# A quote within a text stands behind a backslash.
_TIME = re.compile(
    r'"(?:timestamp|created_at|updated_at)":"[0-9T:.\-]{19,26}\Z'
)
_LONGEST_TIME = len('"created_at":"2024-01-01T00:00:00.000000')
_PRUNED: dict[str, Any] = {
    "X-Values-Pruned-Before": {
        "description": (
            "With `run_id`: values that were replaced before this time are not listed "
            "(REVISIONS_RETENTION)"
        ),
        "schema": {"type": "string"},
    },
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"headers": {**LINK, **ETAG, **_PRUNED}},
    **NOT_MODIFIED,
    **documented(401, 403, 410, 422, 503),
}


class DataQuery(BaseModel):
    """The parameters of GET /data.

    As one model, which FastAPI validates in less time than it takes for them one by one.
    """

    skip: Annotated[int, InDigits] = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="Skip this many; for deep paging use `cursor`",
    )
    limit: Annotated[int, InDigits] = Field(
        100, ge=1, le=1000, description="Return at most this many"
    )
    symbol: str | None = Field(
        None,
        min_length=1,
        max_length=50,
        pattern=r"^[^\x00]+$",
        description="Such as `btc`, in any case; news about the coin are found too",
    )
    source: Source | None = Field(
        None, description="Such as `coinpaprika`"
    )
    kind: Kind | None = Field(None, description="What a data point is")
    dataset: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00]+$",
        description=(
            "Whose figures: a feed's name, a folder or file of CSV_DIR; of CoinPaprika `live` or "
            "`daily`"
        ),
    )
    start: Time = Field(
        None,
        alias="from",
        description="Only points at or after this time (no zone means UTC)",
    )
    end: Time = Field(
        None, alias="to", description="Only points before this time"
    )
    as_of: Time = Field(
        None,
        description="The data as they were at this time (no zone means UTC)",
    )
    run_id: UUID | None = Field(
        None,
        description="What this run inserted or updated, with the values that it gave them",
    )
    cursor: str | None = Field(None, **CURSOR)

    def filters(self) -> Filters:
        """As the query takes them. Raises ProblemError 422."""
        position = None
        if self.cursor is not None:
            position = PageToken.decode(self.cursor)
        start, end = span(self.start, self.end)
        if self.as_of is not None and self.run_id is not None:
            raise ProblemError(
                422, "query: give either `as_of` or `run_id`"
            )
        return Filters(
            symbol=self.symbol,
            source=self.source,
            kind=self.kind,
            dataset=self.dataset,
            start=start,
            end=end,
            position=position,
            limit=self.limit,
            skip=self.skip,
            as_of=utc("as_of", self.as_of),
            run_id=text_or_none(self.run_id),
        )


@dataclass(frozen=True)
class Asked:
    """A query that was checked. `path`: with its parameters but those of pages."""

    filters: Filters
    path: str


def kept_answers(
    database: Database, visible: Visible
) -> KeptAnswers[Asked]:
    """The answers of this endpoint, of one gateway."""
    pages = DataPages(database)

    async def make(asked: Asked) -> Answer:
        filters = asked.filters
        if filters.as_of is not None:
            await check_is_kept(database, filters.as_of)
        page = await pages.page(filters)
        headers: dict[str, str] = {}
        if filters.run_id is not None:
            headers |= await _pruned(database)
        if page["count"] == filters.limit:
            last = PageToken(page["last_timestamp"], page["last_id"])
            headers |= next_link(asked.path, last.encode())
        return Answer(with_z(page["body"]).encode(), headers)

    return KeptAnswers(visible, make)


def _kept(request: Request) -> KeptAnswers[Asked]:
    answers: KeptAnswers[Asked] = request.app.state.data_answers
    return answers


router = APIRouter(
    tags=["data"],
    dependencies=[Depends(check_parameters)],
    route_class=keeping(_kept),
)


@router.get(
    "/data",
    response_model=list[DataPoint],
    responses=_RESPONSES,
    summary="Unified data points, newest first",
)
async def read_data(
    request: Request,
    _key: ApiKey,
    asked: Annotated[DataQuery, Query()],
) -> Response:
    """A JSON list in a stable order: by time, newest first, then by id.

    `Link: rel="next"` leads to the next page. 410 when `as_of` lies before what REVISIONS_RETENTION
    has kept.
    """
    known = Asked(asked.filters(), path_of_pages(request))
    return await _kept(request).response(request, known)


def with_z(body: str) -> str:
    """PostgreSQL writes UTC as +00:00. Cut there, which is faster than to search for times."""
    *parts, last = body.split(_OFFSET)
    return "".join([*map(_with_ending, parts), last])


def _with_ending(part: str) -> str:
    is_time = _TIME.search(part[-_LONGEST_TIME:])
    return part + ('Z"' if is_time else _OFFSET)


async def _pruned(database: Database) -> dict[str, str]:
    before = await pruned_before(database, "unified_revisions")
    return (
        {}
        if before is None
        else {"X-Values-Pruned-Before": before.isoformat()}
    )
