"""Files that come by the API and lie in an object storage.

What has arrived lies under hidden names, a part each, which say how large the whole file will be;
the last part makes an object of them all. A storage has no locks: of two who put a new file of the
same name at the same moment, the later one stands.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError, PreconditionError
from starlette.requests import ClientDisconnect

from services.gateway.problems import ProblemError
from services.gateway.uploads.parts import Part
from services.gateway.uploads.receiver import (
    Receiver,
    Stored,
    elsewhere,
    exists,
)
from services.gateway.uploads.store import ABANDONED_S, HIDDEN
from shared.csvfile import folder
from shared.csvfile.overrides import NAME
from shared.csvfile.places.bucket import Bucket
from shared.errors import TaskError

PART_BYTES = 5 << 20  # the least that a storage takes, but for the last
AT_ONCE = 2


class BucketUploads(Receiver):
    """Below a bucket."""

    def __init__(self, bucket: Bucket, quota: int) -> None:
        super().__init__(quota)
        self._bucket = bucket

    async def state(self, path: str) -> Stored:
        _check(path)
        with _told_what_to_do():
            parts = await self._parts(path)
            return Stored(
                path, sum(_sizes(parts)), await self._size(path)
            )

    async def remove(self, path: str) -> None:
        self.check_is_on()
        _check(path)
        with _told_what_to_do():
            if await self._size(path) is None:
                raise ProblemError(404, f"there is no file {path}")
            await obstore.delete_async(self._bucket.store, path)

    async def _receive(
        self,
        path: str,
        part: Part,
        body: AsyncIterator[bytes],
        *,
        is_replaced: bool,
    ) -> Stored:
        """A part of which the connection broke is not kept: it is sent again."""
        _check(path)
        with _told_what_to_do():
            if not is_replaced and await self._size(path) is not None:
                raise exists(path)
            before = await self._reserved(path, part)
            if part.first == 0 and part.is_last:
                await self._put(path, _counted(body, part))
                return Stored(path, 0, part.total)
            name = f"{HIDDEN}/{_stem(path)}.{part.total}/{part.first:020}"
            await self._put(name, _counted(body, part))
            received = part.first + part.length
            if not part.is_last:
                return Stored(path, received, None)
            parts = [*before, name]
            await self._put(path, self._joined(parts))
            await self._delete(parts)
        return Stored(path, 0, received)

    async def _reserved(self, path: str, part: Part) -> list[str]:
        """The parts before this one. Refuses what does not go on behind them, or has no room."""
        begun = await self._parts(path)
        mine = f"{HIDDEN}/{_stem(path)}.{part.total}/"
        before = [each for each in begun if each["path"].startswith(mine)]
        if part.first and len(before) < len(begun):
            raise elsewhere(0)
        received = sum(_sizes(before))
        if part.first not in (0, received):
            raise elsewhere(received)
        if not part.first:
            await self._delete([each["path"] for each in begun])
            before = []
        await self._check_room(part, mine)
        return [each["path"] for each in before]

    async def _check_room(self, part: Part, mine: str) -> None:
        """Of the quota, with all that was begun and this file."""
        held, begun = 0, {mine: part.total}
        old = datetime.now(UTC) - timedelta(seconds=ABANDONED_S)
        abandoned = []
        for each in await self._listed(None):
            path: str = each["path"]
            if not path.startswith(f"{HIDDEN}/"):
                held += each["size"]
            elif each["last_modified"] < old:
                abandoned.append(path)
            else:
                stem = f"{path.rpartition('/')[0]}/"
                begun[stem] = int(stem.rstrip("/").rpartition(".")[2])
        await self._delete(abandoned)
        held += sum(begun.values())
        if held > self._quota:
            raise ProblemError(
                413,
                f"the files would take {held:,} bytes with what is being uploaded, more than"
                f" UPLOAD_QUOTA_MB ({self._quota:,} bytes)",
            )

    async def _put(
        self, path: str, content: AsyncIterator[bytes]
    ) -> None:
        await obstore.put_async(
            self._bucket.store,
            path,
            content,
            use_multipart=True,
            chunk_size=PART_BYTES,
            max_concurrency=AT_ONCE,
        )

    async def _joined(self, parts: list[str]) -> AsyncIterator[bytes]:
        for path in parts:
            found = await obstore.get_async(self._bucket.store, path)
            async for chunk in found.stream(min_chunk_size=1 << 20):
                yield bytes(chunk)

    async def _parts(self, path: str) -> list[Any]:
        """What has arrived of a file, in order."""
        found = [
            each
            for each in await self._listed(HIDDEN)
            if each["path"].startswith(f"{HIDDEN}/{_stem(path)}.")
        ]
        return sorted(found, key=lambda each: str(each["path"]))

    async def _listed(self, prefix: str | None) -> list[Any]:
        store = self._bucket.store
        return [
            each
            async for page in obstore.list(store, prefix)
            for each in page
        ]

    async def _delete(self, paths: list[str]) -> None:
        if paths:
            await obstore.delete_async(self._bucket.store, paths)

    async def _size(self, path: str) -> int | None:
        try:
            found = await obstore.head_async(self._bucket.store, path)
        except FileNotFoundError:
            return None
        return found["size"]


def replace_mapping(bucket: Bucket, before: str, text: str) -> None:
    """Only where nobody has changed it meanwhile. Raises ProblemError 409, 503."""
    store = bucket.store
    with _told_what_to_do():
        try:
            found = obstore.get(store, NAME)
            is_changed = bytes(found.bytes()).decode() != before
            mode: Any = {"e_tag": found.meta["e_tag"]}
        except FileNotFoundError:
            is_changed, mode = bool(before), "create"
        try:
            if not is_changed:
                data = text.encode()
                obstore.put(
                    store, NAME, data, mode=mode, use_multipart=False
                )
                return
        except (PreconditionError, FileExistsError):
            pass
    raise ProblemError(
        409, f"{NAME} was changed by somebody else: send it again"
    )


def _check(path: str) -> None:
    try:
        folder.check_place_for(path)
    except TaskError as error:
        raise ProblemError(422, error.message) from error


def _sizes(found: list[Any]) -> Iterator[int]:
    return (each["size"] for each in found)


def _stem(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()


async def _counted(
    body: AsyncIterator[bytes], part: Part
) -> AsyncIterator[bytes]:
    """The body, which must be as long as was said. Raises ProblemError."""
    written = 0
    try:
        async for chunk in body:
            written += len(chunk)
            if written > part.length:
                raise ProblemError(
                    413, f"the body has more than {part.length:,} bytes"
                )
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise ProblemError(400, "the client went away") from None
    if written < part.length:
        raise ProblemError(
            422,
            f"only {written:,} of {part.length:,} bytes have arrived: send this part again",
        )


@contextlib.contextmanager
def _told_what_to_do() -> Iterator[None]:
    """What the storage says, as a problem."""
    try:
        yield
    except BaseError as error:
        reason = str(error).partition("\n")[0][:300]
        raise ProblemError(
            503,
            f"the object storage of CSV_DIR cannot be written: {reason}; let the key write it, or"
            " set UPLOAD_QUOTA_MB=0",
        ) from error
