"""GET /data"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from services.gateway.database import Database
from services.gateway.dependencies import ApiKey, side_of
from services.gateway.files.columns import shown
from services.gateway.files.export import file_response
from services.gateway.files.formats import CONTENT, FileFormat
from services.gateway.files.wanted import (
    Format,
    refuse_pages,
    wanted_format,
)
from services.gateway.problems import (
    ProblemError,
    documented,
    field_problem,
)
from services.gateway.queries.data import FIELDS, DataPages, Filters
from services.gateway.queries.raw_pages import (
    check_is_kept,
    pruned_before,
)
from services.gateway.requests.filters import SeriesFilter
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
from services.gateway.requests.times import (
    Time,
    span,
    to_seconds,
    utc,
    with_z,
)
from services.gateway.requests.whole_numbers import InDigits
from services.gateway.schemas.data import DataPoint
from shared.names import meant

_PRUNED: dict[str, Any] = {
    "X-Values-Pruned-Before": {
        "description": (
            "With `run_id`: values that were replaced before this time are not listed "
            "(REVISIONS_RETENTION)"
        ),
        "schema": {"type": "string"},
    },
}
_COUNT: dict[str, Any] = {
    "X-Total-Count": {
        "description": "With `count=true`: how many there are on all pages",
        "schema": {"type": "integer"},
    },
}
MAX_CHANGED = 200_000  # data points since a time
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {**LINK, **ETAG, **_COUNT, **_PRUNED},
        "content": CONTENT,
    },
    **NOT_MODIFIED,
    **documented(401, 403, 406, 410, 422, 503),
}


class DataQuery(SeriesFilter):
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
    updated_since: Time = Field(
        None,
        description="Only what was inserted or updated at this time or later, and still stands",
    )
    order: Literal["asc", "desc"] = Field(
        "desc", description="By time: the newest first, or the oldest"
    )
    fields: str | None = Field(
        None,
        min_length=1,
        max_length=1_000,
        pattern=r"^[a-z_]+(,[a-z_]+)*$",
        description="Only these fields, such as `timestamp,close`",
    )
    count: bool = Field(
        default=False,
        description="Whether `X-Total-Count` says how many there are on all pages",
    )
    cursor: str | None = Field(None, **CURSOR)
    format: Format = None

    def filters(self) -> Filters:
        """As the query takes them. Raises ProblemError 422."""
        position = None
        if self.cursor is not None:
            position = PageToken.decode(self.cursor)
        start, end = span(self.start, self.end)
        self._refuse_both()
        return Filters(
            of=self,
            start=start,
            end=end,
            position=position,
            limit=self.limit,
            skip=self.skip,
            as_of=utc("as_of", self.as_of),
            run_id=text_or_none(self.run_id),
            updated_since=utc("updated_since", self.updated_since),
            is_ascending=self.order == "asc",
            fields=self._fields(),
        )

    def _refuse_both(self) -> None:
        """Raises ProblemError 422."""
        given = [
            name
            for name in ("as_of", "run_id", "updated_since")
            if getattr(self, name) is not None
        ]
        if len(given) > 1:
            either = " or ".join(f"`{name}`" for name in given)
            raise ProblemError(422, f"query: give either {either}")

    def _fields(self) -> tuple[str, ...] | None:
        """Raises ProblemError 422."""
        if self.fields is None:
            return None
        names = tuple(dict.fromkeys(self.fields.split(",")))
        for name in names:
            if name not in FIELDS:
                raise field_problem(
                    "query.fields",
                    f"there is no field {name!r}{meant(name, FIELDS)}",
                )
        return names


@dataclass(frozen=True)
class Asked:
    """A query that was checked. `path`: with its parameters but those of pages."""

    filters: Filters
    path: str
    is_counted: bool


def kept_answers(
    database: Database, visible: Visible
) -> KeptAnswers[Asked]:
    """The answers of this endpoint, of one gateway."""
    pages = DataPages(database)

    async def make(asked: Asked) -> Answer:
        filters = asked.filters
        if filters.as_of is not None:
            await check_is_kept(database, filters.as_of)
        if filters.updated_since is not None:
            await _refuse_much(pages, filters.updated_since)
        page = await pages.page(filters)
        headers: dict[str, str] = {}
        if asked.is_counted:
            headers["X-Total-Count"] = str(await pages.count(filters))
        if filters.run_id is not None:
            headers |= await _pruned(database)
        if page["count"] == filters.limit:
            last = PageToken(page["last_timestamp"], page["last_id"])
            headers |= next_link(asked.path, last.encode())
        return Answer(with_z(page["body"]).encode(), headers)

    return KeptAnswers(visible, make)


def _kept(request: Request) -> KeptAnswers[Asked]:
    return side_of(request).data_answers


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
    """A JSON list in a stable order: by time, newest first or as `order` says, then by id.

    `Link: rel="next"` leads to the next page. 410 when `as_of` lies before what REVISIONS_RETENTION
    has kept.
    """
    form = wanted_format(request, asked.format)
    if form != FileFormat.JSON:
        return await _file(request, asked, form)
    known = Asked(asked.filters(), path_of_pages(request), asked.count)
    return await _kept(request).response(request, known)


async def _file(
    request: Request, asked: DataQuery, form: FileFormat
) -> Response:
    """Raises ProblemError 422, 429, 503."""
    refuse_pages(asked, "skip", "limit", "cursor", "count", "order")
    database = side_of(request).questions
    filters = replace(asked.filters(), is_ascending=True)
    if filters.as_of is not None:
        await check_is_kept(database, filters.as_of)
    pages = DataPages(database)
    if filters.updated_since is not None:
        await _refuse_much(pages, filters.updated_since)
    names = filters.fields or FIELDS
    query = await pages.file_query(filters, shown(names, form))
    return await file_response(request, "data", form, names, [query])


async def _refuse_much(pages: DataPages, since: datetime) -> None:
    """Raises ProblemError 422."""
    changed = await pages.changed_since(since)
    if changed > MAX_CHANGED:
        raise field_problem(
            "query.updated_since",
            f"about {changed:,} data points were written since then, at most {MAX_CHANGED:,} are"
            " looked at: give a later time",
        )


async def _pruned(database: Database) -> dict[str, str]:
    before = await pruned_before(database, "unified_revisions")
    return (
        {}
        if before is None
        else {"X-Values-Pruned-Before": to_seconds(before)}
    )
