"""A file that a child process writes, handed on as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import sys
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse

from services.gateway.files.child import Task
from services.gateway.files.formats import (
    MEDIA_TYPES,
    FileFormat,
    headers_of,
)
from services.gateway.problems import ProblemError, unavailable
from shared.runtime import logs

# At a time: those of rows take 55 MB each, those of columns 250.
MAX_OF_ROWS = 3
MAX_OF_COLUMNS = 1
CHUNK_BYTES = 256 * 1024
MAX_ERROR = 500  # bytes of what a child says
_of_rows = asyncio.Semaphore(MAX_OF_ROWS)
_of_columns = asyncio.Semaphore(MAX_OF_COLUMNS)
log = logs.get(__name__)


class FileError(Exception):
    """A file that was begun and cannot be finished: the connection breaks."""


async def file_response(name: str, task: Task) -> StreamingResponse:
    """Raises ProblemError 429 for too many at a time, 503 where nothing could be written."""
    if _turns(task.form).locked():
        raise _busy(task.form)
    parts = _parts(task)
    try:
        first = await anext(parts, b"")
    except FileError as error:
        raise unavailable(
            f"the file cannot be written: {error}"
        ) from None
    return StreamingResponse(
        _whole(first, parts),
        media_type=MEDIA_TYPES[task.form],
        headers=headers_of(name, task.form),
    )


def _turns(form: FileFormat) -> asyncio.Semaphore:
    is_of_rows = form in (FileFormat.CSV, FileFormat.NDJSON)
    return _of_rows if is_of_rows else _of_columns


def _busy(form: FileFormat) -> ProblemError:
    return ProblemError(
        429,
        f"as many {form} files are being written as may: try again in a moment",
        headers={"Retry-After": "10"},
    )


async def _whole(
    first: bytes, rest: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


async def _parts(task: Task) -> AsyncIterator[bytes]:
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
        try:
            async for part in _output(child, task):
                yield part
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
            await child.wait()


async def _output(
    child: asyncio.subprocess.Process, task: Task
) -> AsyncIterator[bytes]:
    if (
        child.stdin is None
        or child.stdout is None
        or child.stderr is None
    ):
        raise FileError("the child has no pipes")
    child.stdin.write(pickle.dumps(task))
    await child.stdin.drain()
    child.stdin.close()
    while part := await child.stdout.read(CHUNK_BYTES):
        yield part
    said = await child.stderr.read(MAX_ERROR)
    if await child.wait():
        raise _broken(said)


def _broken(said: bytes) -> FileError:
    error = said.decode(errors="replace").strip()
    log.error("file_broken", error=error)
    return FileError(error or "the child was killed")
