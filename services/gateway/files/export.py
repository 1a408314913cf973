"""A file that a child process writes, handed on as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Iterable,
)
from dataclasses import replace
from datetime import UTC, datetime

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.gateway.dependencies import side_of
from services.gateway.files.child import UNFIT, Query, Task
from services.gateway.files.columns import (
    COLUMNAR,
    DIGITS_BEFORE,
    DIGITS_BEHIND,
)
from services.gateway.files.formats import MEDIA_TYPES, FileFormat
from services.gateway.problems import (
    ProblemError,
    field_problem,
    unavailable,
)
from shared.runtime import logs

# At a time: those of rows take 55 MB each, those of columns 250.
MAX_OF_ROWS = 3
MAX_OF_COLUMNS = 1
CHUNK_BYTES = 256 * 1024
Parts = AsyncGenerator[bytes]
CLIENT_GONE = 499  # nobody reads it
MAX_ERROR = 500  # bytes of what a child says
_of_rows = asyncio.Semaphore(MAX_OF_ROWS)
_of_columns = asyncio.Semaphore(MAX_OF_COLUMNS)
log = logs.get(__name__)


class FileError(Exception):
    """A file that was begun and cannot be finished: the connection breaks."""


class UnfitError(FileError):
    """A value does not fit into the form."""


async def file_response(
    request: Request,
    name: str,
    form: FileFormat,
    columns: tuple[str, ...],
    queries: Iterable[Query],
    *,
    is_in_pieces: bool = False,
) -> Response:
    """What queries answer, at least one, of rows with these columns: one behind the other.

    `is_in_pieces`: many queries of few rows each. Raises ProblemError 422 for a value that the form
    cannot hold, 429 for too many at a time, 503 where nothing could be written.
    """
    if _turns(form).locked():
        raise _busy(form)
    headers = _headers(name, form)
    if request.scope.get("is_head"):
        return _head(form, headers)
    task = Task(form, columns, side_of(request).dsn, is_in_pieces)
    try:
        begun = await _begun(request, task, queries)
    except UnfitError:
        raise _unfit(form) from None
    except FileError as error:
        raise unavailable(
            f"the file cannot be written: {error}"
        ) from None
    if begun is None:
        return Response(status_code=CLIENT_GONE)
    return _FileResponse(*begun, form, headers)


async def _begun(
    request: Request, task: Task, queries: Iterable[Query]
) -> tuple[bytes, Parts] | None:
    """The first bytes and what follows; None where the client has left.

    What a standby cannot begin the primary is asked for.
    """
    parts = _parts(task, queries)
    try:
        first = await _unless_gone(request, anext(parts, b""))
    except FileError as error:
        own = request.app.state.primary.dsn
        if isinstance(error, UnfitError) or task.dsn == own:
            raise
        return await _begun(request, replace(task, dsn=own), queries)
    if first is None:
        await parts.aclose()
        return None
    return first, parts


def _head(form: FileFormat, headers: dict[str, str]) -> Response:
    """How long the file would be nobody knows."""
    response = Response(media_type=MEDIA_TYPES[form], headers=headers)
    del response.headers["content-length"]
    return response


async def _unless_gone(
    request: Request, first: Awaitable[bytes]
) -> bytes | None:
    """None where the client leaves before it comes."""
    coming = asyncio.ensure_future(first)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait(
            {coming, leaving}, return_when=asyncio.FIRST_COMPLETED
        )
        return await coming if coming.done() else None
    finally:
        for each in (coming, leaving):
            each.cancel()
        await asyncio.wait({coming, leaving})


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _unfit(form: FileFormat) -> ProblemError:
    return field_problem(
        "query.format",
        f"a number is too long for {form}, which holds {DIGITS_BEFORE} digits before the point and "
        f"{DIGITS_BEHIND} behind it: ask for csv or ndjson",
    )


def _headers(name: str, form: FileFormat) -> dict[str, str]:
    """So that a browser keeps it under a name."""
    at = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    return {
        "Content-Disposition": f'attachment; filename="{name}-{at}.{form}"',
        "Cache-Control": "no-store",
        "Vary": "Accept",
    }


def _turns(form: FileFormat) -> asyncio.Semaphore:
    return _of_columns if form in COLUMNAR else _of_rows


def _busy(form: FileFormat) -> ProblemError:
    return ProblemError(
        429,
        f"as many {form} files are being written as may: try again in a moment",
        headers={"Retry-After": "10"},
    )


class _FileResponse(StreamingResponse):
    """Ends its child whatever becomes of the client: one that does not read is dropped midway."""

    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes],
        form: FileFormat,
        headers: dict[str, str],
    ) -> None:
        super().__init__(
            _whole(first, rest),
            media_type=MEDIA_TYPES[form],
            headers=headers,
        )
        self._rest = rest

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._rest.aclose()


async def _whole(
    first: bytes, rest: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


async def _parts(
    task: Task, queries: Iterable[Query]
) -> AsyncGenerator[bytes]:
    """Raises FileError where the child fails, also in the midst."""
    async with _turns(task.form):
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.gateway.files.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=CHUNK_BYTES,
        )
        telling = asyncio.create_task(_tell(child, task, queries))
        try:
            async for part in _output(child):
                yield part
            await telling
        finally:
            telling.cancel()
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
            await child.wait()


async def _tell(
    child: asyncio.subprocess.Process,
    task: Task,
    queries: Iterable[Query],
) -> None:
    """What to write, as fast as the child takes it; None says that this was all."""
    if child.stdin is None:
        raise FileError("the child has no input")
    # The child says itself what it died of.
    with (
        contextlib.suppress(ConnectionError),
        contextlib.closing(child.stdin),
    ):
        child.stdin.write(pickle.dumps(task))
        rest = iter(queries)
        is_more = True
        while is_more:
            query = await asyncio.to_thread(next, rest, None)
            is_more = query is not None
            child.stdin.write(pickle.dumps(query))
            await child.stdin.drain()


async def _output(
    child: asyncio.subprocess.Process,
) -> AsyncIterator[bytes]:
    if child.stdout is None or child.stderr is None:
        raise FileError("the child has no output")
    while part := await child.stdout.read(CHUNK_BYTES):
        yield part
    said = await child.stderr.read(MAX_ERROR)
    if code := await child.wait():
        raise _broken(said, code)


def _broken(said: bytes, code: int) -> FileError:
    error = said.decode(errors="replace").strip()
    log.error("file_broken", error=error)
    kind = UnfitError if code == UNFIT else FileError
    return kind(error or "the child was killed")
