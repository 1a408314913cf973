"""GET /changes"""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.database import Database
from services.gateway.dependencies import ApiKey, QuestionsDb
from services.gateway.files.export import file_response
from services.gateway.files.formats import CONTENT, FileFormat
from services.gateway.files.wanted import refuse_pages, wanted_format
from services.gateway.live import feed
from services.gateway.live.schema import Changes, ChangesQuery
from services.gateway.requests.answers import as_json
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import paged

_NEXT = {
    "X-Next": {
        "description": "Of a file: give it as `since` to go on",
        "schema": {"type": "string"},
    }
}
router = APIRouter(
    tags=["data"], dependencies=[Depends(check_parameters)]
)


@router.get(
    "/changes",
    response_model=Changes,
    responses=paged(
        401, 403, 406, 410, 422, 503, content=CONTENT, headers=_NEXT
    ),
    summary="What changed since last time",
)
async def read_changes(
    request: Request,
    _key: ApiKey,
    database: QuestionsDb,
    asked: Annotated[ChangesQuery, Query()],
) -> Response:
    """Every data point that was inserted, updated, retired or restored, in order, each once.

    The order is that in which changes became visible, whoever wrote them. 410 for a token that is
    older than what CHANGES_RETENTION keeps, or of another database: never a silent jump. A file has
    all up to the moment at which it was asked for; its header `X-Next` is the token to go on with.
    """
    form = wanted_format(request, asked.format)
    if form != FileFormat.JSON:
        return await _file(request, database, asked, form)
    page = await feed.page(database, asked.place(), asked, asked.limit)
    token = page.next.encode()
    body = {
        "changes": [
            msgspec.Raw(each.text.encode()) for each in page.changes
        ],
        "next": token,
        "is_last": page.is_last,
    }
    headers = {}
    if not page.is_last:
        url = request.url.include_query_params(since=token)
        headers = {"Link": f'<{url.path}?{url.query}>; rel="next"'}
    return as_json(body, headers)


async def _file(
    request: Request,
    database: Database,
    asked: ChangesQuery,
    form: FileFormat,
) -> Response:
    """Raises ProblemError 410, 422, 429, 503."""
    refuse_pages(asked, "limit")
    query, arguments, past = await feed.file_query(
        database, asked.place(), asked, form
    )
    response = await file_response(
        request, "changes", form, feed.FILE_COLUMNS, [(query, arguments)]
    )
    response.headers["X-Next"] = past.encode()
    return response
