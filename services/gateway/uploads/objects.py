"""Files that come by the API and lie in an object storage.

What has arrived lies under hidden names, a part each, which say how large the whole file will be;
the last part makes an object of them all. A storage has no locks: of two who put a new file of the
same name at the same moment, the later one stands.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
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
from services.gateway.uploads.store import ABANDONED_S, HIDDEN, stem_of
from shared.csvfile import folder
from shared.csvfile.overrides import NAME
from shared.csvfile.places.bucket import Bucket, said
from shared.errors import TaskError

PART_BYTES = 5 << 20  # the least that a storage takes, but for the last
AT_ONCE = 2
JOINED_BYTES = 4 << 20  # of a part, in one request
_PART = re.compile(
    rf"{re.escape(HIDDEN)}/(?P<stem>[0-9a-f]{{64}})\.(?P<total>\d{{1,15}})/(?P<first>\d{{20}})"
)


@dataclass(frozen=True)
class _Arrived:
    """A part, and where in the file it begins."""

    path: str
    first: int
    size: int


@dataclass
class _Begun:
    """What has arrived of a file of `total` bytes, in order."""

    total: int
    parts: list[_Arrived] = field(default_factory=list)

    @property
    def end(self) -> int:
        return sum(each.size for each in self.parts)

    @property
    def received(self) -> int:
        """From where to go on: where all has arrived and is no object yet, by the last part."""
        whole = self.end >= self.total and self.parts
        return self.parts[-1].first if whole else self.end


class BucketUploads(Receiver):
    """Below a bucket."""

    def __init__(self, bucket: Bucket, quota: int) -> None:
        super().__init__(quota)
        self._bucket = bucket
        self._reserved: dict[str, int] = {}  # bytes that come right now

    async def state(self, path: str) -> Stored:
        _check(path)
        with _told_what_to_do():
            begun = await self._begun(path)
            size = await self._size(path)
        return Stored(path, begun.received if begun else 0, size)

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
            before = await self._before(path, part)
            stem = stem_of(path)
            async with self._room(stem, part):
                if part.first == 0 and part.is_last:
                    await self._put(path, _counted(body, part))
                    return Stored(path, 0, part.total)
                name = f"{HIDDEN}/{stem}.{part.total}/{part.first:020}"
                await self._put(name, _counted(body, part))
                received = part.first + part.length
                if not part.is_last:
                    return Stored(path, received, None)
                parts = [*before, _Arrived(name, part.first, part.length)]
                await self._put(path, self._joined(parts))
            await self._delete([each.path for each in parts])
        return Stored(path, 0, received)

    async def _before(self, path: str, part: Part) -> list[_Arrived]:
        """The parts before this one. Refuses what does not go on behind them.

        A last part may come again, where no object could be made of all.
        """
        begun = await self._begun(path)
        if begun is None or begun.total != part.total:
            if part.first:
                raise elsewhere(0)
            await self._forget(path)
            return []
        if part.first == 0:
            await self._forget(path)
            return []
        if part.first != begun.received:
            raise elsewhere(begun.received)
        return [each for each in begun.parts if each.first < part.first]

    @contextlib.asynccontextmanager
    async def _room(self, stem: str, part: Part) -> AsyncIterator[None]:
        """Kept while a part is written: others that come meanwhile find what is left.

        Each gateway counts what it writes; what another one writes counts when it has arrived.
        """
        held, begun = 0, dict(self._reserved)  # one may end meanwhile
        old = datetime.now(UTC) - timedelta(seconds=ABANDONED_S)
        abandoned: dict[str, list[str]] = {}
        for each in await self._listed(None):
            found = _PART.fullmatch(each["path"])
            if found is None:
                held += each["size"]
                continue
            of = found["stem"]
            begun[of] = int(found["total"])
            if each["last_modified"] < old and of != stem:
                abandoned.setdefault(of, []).append(each["path"])
            else:
                abandoned[of] = []  # a part of it is new
        for of, paths in abandoned.items():
            if paths:
                del begun[of]
                await self._delete(paths)
        begun |= self._reserved
        begun[stem] = part.total
        held += sum(begun.values())
        if held > self._quota:
            raise ProblemError(
                413,
                f"the files would take {held:,} bytes with what is being uploaded, more than"
                f" UPLOAD_QUOTA_MB ({self._quota:,} bytes)",
            )
        self._reserved[stem] = part.total
        try:
            yield
        finally:
            self._reserved.pop(stem, None)

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

    async def _joined(
        self, parts: list[_Arrived]
    ) -> AsyncIterator[bytes]:
        """By requests that each end soon, however slow the storage is."""
        for each in parts:
            for start in range(0, each.size, JOINED_BYTES):
                data = await obstore.get_range_async(
                    self._bucket.store,
                    each.path,
                    start=start,
                    length=min(JOINED_BYTES, each.size - start),
                )
                yield bytes(data)

    async def _begun(self, path: str) -> _Begun | None:
        """What has arrived of a file, as far as each part begins where the one before ends."""
        begun: _Begun | None = None
        listed = await self._listed(f"{HIDDEN}/")
        for each in sorted(listed, key=lambda each: str(each["path"])):
            found = _PART.fullmatch(each["path"])
            if found is None or found["stem"] != stem_of(path):
                continue
            if begun is None or begun.total != int(found["total"]):
                begun = _Begun(int(found["total"]))
            if int(found["first"]) == begun.end:
                begun.parts.append(
                    _Arrived(each["path"], begun.end, each["size"])
                )
        return begun

    async def _forget(self, path: str) -> None:
        """All parts of a file that is begun anew."""
        await self._delete(
            [
                each["path"]
                for each in await self._listed(f"{HIDDEN}/")
                if each["path"].startswith(f"{HIDDEN}/{stem_of(path)}.")
            ]
        )

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
    except (BaseError, FileNotFoundError) as error:
        raise ProblemError(
            503,
            f"the object storage of CSV_DIR cannot be used: {said(error)}; let the key read and"
            " write it, or set UPLOAD_QUOTA_MB=0",
        ) from error
    except TaskError as error:
        raise ProblemError(503, error.message) from error
