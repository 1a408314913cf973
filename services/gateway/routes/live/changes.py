"""GET /changes"""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.dependencies import ApiKey, QuestionsDb
from services.gateway.live import feed
from services.gateway.live.schema import Changes, ChangesQuery
from services.gateway.requests.answers import as_json
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import paged

router = APIRouter(
    tags=["data"], dependencies=[Depends(check_parameters)]
)


@router.get(
    "/changes",
    response_model=Changes,
    responses=paged(401, 403, 410, 422, 503),
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
    older than what CHANGES_RETENTION keeps, or of another database: never a silent jump.
    """
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
