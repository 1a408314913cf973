"""PUT, GET, DELETE /files/csv/{path}, POST /files/mapping"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, Field

from services.gateway.dependencies import ApiKey, Db
from services.gateway.files_there import FilesThere
from services.gateway.problems import ProblemError, documented
from services.gateway.queries.sources import last_tasks, read_by
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import cut, paged
from services.gateway.requests.parameters import Limit, Skip
from services.gateway.uploads import mapping
from services.gateway.uploads.parts import part_of
from services.gateway.uploads.receiver import Receiver, Stored
from shared.csvfile.folder import Root
from shared.csvfile.overrides import Overrides

router = APIRouter(
    tags=["sources"], dependencies=[Depends(check_parameters)]
)
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary"}
            }
        },
    }
}
_OFFSET: dict[str, Any] = {
    "Upload-Offset": {
        "description": "Bytes that have arrived of what is not whole yet",
        "schema": {"type": "integer"},
    }
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"headers": _OFFSET},
    **documented(401, 403, 409, 411, 413, 415, 422, 423, 503, 507),
}


class UploadedFile(BaseModel):
    """A file below CSV_DIR, and what has arrived of a new one."""

    path: str
    stream: str = Field(description="For `streams` of POST /ingest")
    received: int = Field(
        description="Bytes that have arrived of what is not whole yet"
    )
    size: int | None = Field(
        description="Of the file; null: there is none"
    )


class AddedEntry(BaseModel):
    """What was added to mapping.yaml."""

    lines: str


class CsvFileState(BaseModel):
    """A file below CSV_DIR that is read, and what became of it."""

    path: str
    stream: str = Field(description="For `streams` of POST /ingest")
    status: str = Field(
        description="Of the last task that read it; `new`: none did"
    )
    message: str | None = Field(description="Why that task failed")
    run_id: str | None
    finished_at: datetime | None
    is_corrected: bool = Field(
        description="mapping.yaml says something else about it since it was read: the next "
        "ingestion reads it anew"
    )


@router.get(
    "/files/csv",
    response_model=list[CsvFileState],
    responses=paged(401, 403, 422, 503),
    summary="The CSV files there are",
)
async def list_files(
    request: Request,
    response: Response,
    _key: ApiKey,
    database: Db,
    skip: Skip = 0,
    limit: Limit = 100,
) -> list[CsvFileState]:
    """Those that an ingestion reads, in the order of their paths, with the end of the last task."""
    there: FilesThere = request.app.state.files_there
    given = await there.given() or {}
    streams = sorted(given)[skip : skip + limit + 1]
    tasks = await last_tasks(database, streams)
    before = await read_by(database, streams)
    found = [
        _file_state(
            stream,
            tasks.get(stream),
            is_corrected=before.get(stream, given[stream])
            != given[stream],
        )
        for stream in streams
    ]
    return cut(request, response, found, limit, skip)


def _file_state(
    stream: str, task: dict[str, Any] | None, *, is_corrected: bool
) -> CsvFileState:
    path = stream.partition("/")[2]
    if task is None:
        return CsvFileState(
            path=path,
            stream=stream,
            status="new",
            message=None,
            run_id=None,
            finished_at=None,
            is_corrected=is_corrected,
        )
    error = json.loads(task["error"] or "null") or {}
    return CsvFileState(
        path=path,
        stream=stream,
        status=task["status"],
        message=error.get("message"),
        run_id=task["run_id"],
        finished_at=task["finished_at"],
        is_corrected=is_corrected,
    )


@router.put(
    "/files/csv/{path:path}",
    response_model=UploadedFile,
    responses=_RESPONSES,
    openapi_extra=_BODY,
    summary="Put a CSV file below CSV_DIR",
)
async def put_file(
    request: Request,
    response: Response,
    _key: ApiKey,
    path: str,
    *,
    replace: Annotated[
        bool, Query(description="Whether a file of this name may go")
    ] = False,
    content_range: Annotated[
        str | None,
        Header(description="Of a part, such as `bytes 0-1023/4096`"),
    ] = None,
) -> UploadedFile:
    """The body is the file, as it is, or a part of it, in order, with `Content-Range`.

    Readers see it once it is whole. After a broken connection HEAD tells how far it came
    (`Upload-Offset`). UPLOAD_QUOTA_MB bounds what CSV_DIR holds.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ProblemError(
            415, "send the file as it is, without Content-Encoding"
        )
    part = part_of(content_range, request.headers.get("content-length"))
    stored = await _uploads(request).receive(
        path, part, request.stream(), is_replaced=replace
    )
    return _shown(stored, response)


@router.get(
    "/files/csv/{path:path}",
    response_model=UploadedFile,
    responses={
        200: {"headers": _OFFSET},
        **documented(401, 403, 409, 422),
    },
    summary="How far an upload has come",
)
async def read_file_state(
    request: Request, response: Response, _key: ApiKey, path: str
) -> UploadedFile:
    """And the size of the file, where there is one."""
    uploads = _uploads(request)
    uploads.check_is_on()
    return _shown(await uploads.state(path), response)


@router.delete(
    "/files/csv/{path:path}",
    status_code=204,
    responses=documented(401, 403, 404, 409, 422, 503),
    summary="Delete a CSV file below CSV_DIR",
)
async def delete_file(request: Request, _key: ApiKey, path: str) -> None:
    """What was read of it stays, and its stream is `gone`."""
    await _uploads(request).remove(path)


@router.post(
    "/files/mapping",
    response_model=AddedEntry,
    responses=documented(401, 403, 409, 413, 422, 503),
    summary="Say about a file what it does not say itself",
)
async def add_to_mapping(
    request: Request, _key: ApiKey, entry: Overrides
) -> AddedEntry:
    """Adds an entry to CSV_DIR/mapping.yaml, whose own lines and comments stay.

    The whole file is checked before: what would be wrong is refused, and nothing changes.
    """
    _uploads(request).check_is_on()
    lines = await asyncio.to_thread(
        mapping.append, _csv_dir(request), entry
    )
    return AddedEntry(lines=lines)


def _csv_dir(request: Request) -> Root:
    there: FilesThere = request.app.state.files_there
    return there.root


def _uploads(request: Request) -> Receiver:
    uploads: Receiver = request.app.state.uploads
    return uploads


def _shown(stored: Stored, response: Response) -> UploadedFile:
    response.headers["Upload-Offset"] = str(stored.received)
    return UploadedFile(
        path=stored.path,
        stream=f"csv/{stored.path}",
        received=stored.received,
        size=stored.size,
    )
