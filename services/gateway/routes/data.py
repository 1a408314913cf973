"""GET /data"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from services.gateway.database import Database
from services.gateway.dependencies import ApiKey, Db
from services.gateway.pagination import Position
from services.gateway.problems import ProblemError, documented
from services.gateway.queries import data
from services.gateway.queries.data import Filters
from services.gateway.queries.lineage import pruned_before
from services.gateway.schemas.data import DataPoint, Kind
from services.gateway.times import Time, utc
from shared.messages.base import Source

router = APIRouter(tags=["data"])
_DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "Link": {"description": '`rel="next"`: the next page, where there is one', "schema": {"type": "string"}},
            "X-Values-Pruned-Before": {
                "description": "With `run_id`: values that were replaced before this time are not listed (REVISIONS_RETENTION)",
                "schema": {"type": "string"},
            },
        }
    }
}


class DataQuery(BaseModel):
    """The parameters as one model, which FastAPI validates in less time than it takes for them one by one."""

    skip: int = Field(0, ge=0, le=2**31 - 1, description="Leave out so many; for deep paging use `cursor`")
    limit: int = Field(100, ge=1, le=1000, description="At most so many")
    symbol: str | None = Field(
        None,
        min_length=1,
        max_length=50,
        pattern=r"^[^\x00]+$",
        description="Such as `btc`, in any case; news about the coin are found too",
    )
    source: Source | None = Field(None, description="Such as `coinpaprika`")
    kind: Kind | None = Field(None, description="What a data point is")
    dataset: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00]+$",
        description="Whose figures: a feed's name, a folder or file of CSV_DIR; of CoinPaprika `live` or `daily`",
    )
    start: Time = Field(None, alias="from", description="Only points at or after this time (no zone means UTC)")
    end: Time = Field(None, alias="to", description="Only points before this time")
    as_of: Time = Field(None, description="The data as they were at this time (no zone means UTC)")
    run_id: UUID | None = Field(None, description="What this run inserted or updated, with the values that it gave them")
    cursor: str | None = Field(
        None, description="Where a `Link` header said to go on", json_schema_extra={"pattern": "^[A-Za-z0-9_-]{32}$"}
    )

    def filters(self) -> Filters:
        position = Position.decode(self.cursor) if self.cursor is not None else None
        start, end = utc("from", self.start), utc("to", self.end)
        if self.as_of is not None and self.run_id is not None:
            raise ProblemError(422, "query: give either `as_of` or `run_id`")
        return Filters(
            self.symbol, self.source, self.kind, self.dataset, start, end, position, self.limit, self.skip, utc("as_of", self.as_of),
            str(self.run_id) if self.run_id else None,
        )  # fmt: skip


@router.get(
    "/data",
    response_model=list[DataPoint],
    responses={**_DOCUMENTED, **documented(401, 403, 410, 422, 503)},
    summary="Unified data points, newest first",
)
async def read_data(request: Request, _key: ApiKey, database: Db, asked: Annotated[DataQuery, Query()]) -> Response:
    """A JSON list in a stable order: by time, newest first, then by id. `Link: rel="next"` leads to the next page.

    410 when `as_of` lies before what REVISIONS_RETENTION has kept.
    """
    filters = asked.filters()
    if filters.as_of is not None:
        await _is_kept(database, filters.as_of)
    query, arguments = data.build(filters)
    (row,) = await database.rows(query, *arguments)
    headers = {}
    if filters.run_id is not None and (before := await pruned_before(database, "unified_revisions")) is not None:
        headers["X-Values-Pruned-Before"] = before.isoformat()
    if row["count"] == asked.limit:
        following = Position(row["last_timestamp"], row["last_id"]).encode()
        url = request.url.remove_query_params(["skip", "cursor"]).include_query_params(cursor=following)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return Response(row["body"], media_type="application/json", headers=headers)


async def _is_kept(database: Database, as_of: datetime) -> None:
    before = await pruned_before(database, "unified_revisions")
    if before is not None and as_of < before:
        raise ProblemError(
            410, f"revisions before {before:%Y-%m-%dT%H:%M:%SZ} were pruned (REVISIONS_RETENTION): `as_of` can be that or later"
        )
