"""Where files that come by the API lie while they are not whole, and how they get their names.

What has arrived lies in a hidden folder of CSV_DIR, so that a reader meets a file whole or not at
all. One gateway at a time writes a file, also where several share the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.requests import ClientDisconnect

from services.gateway.problems import ProblemError
from services.gateway.uploads.parts import Part
from shared.csvfile import folder
from shared.errors import TaskError

HIDDEN = ".uploads"
MAX_AT_ONCE = 4
ABANDONED_S = 86_400  # what was begun and left so long is removed
SPARE_BYTES = 1 << 30  # that stay free on the disk
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Stored:
    """`received`: bytes of what is not whole yet. `size`: of the file, None where there is none."""

    path: str
    received: int
    size: int | None


class Uploads:
    """Of one gateway. Raises ProblemError throughout."""

    def __init__(self, root: Path, quota: int) -> None:
        """`quota`: bytes that CSV_DIR may hold with what is uploaded; 0: nothing may be."""
        self._root = root
        self._quota = quota
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)

    def check_is_on(self) -> None:
        if not self._quota:
            raise ProblemError(
                403, "uploads are off: set UPLOAD_QUOTA_MB"
            )

    async def state(self, path: str) -> Stored:
        return await asyncio.to_thread(self._state, path)

    def _state(self, path: str) -> Stored:
        target = self._target(path)
        received = _size(self._hidden(path)) or 0
        return Stored(path, received, _size(target))

    async def receive(
        self,
        path: str,
        part: Part,
        body: AsyncIterator[bytes],
        *,
        is_replaced: bool,
    ) -> Stored:
        """Keep a part of a file, and give it its name once it is whole.

        What had arrived before a connection broke stays: the next part goes on from there.
        """
        self.check_is_on()
        if self._turns.locked():
            raise ProblemError(
                429,
                f"{MAX_AT_ONCE} files are being uploaded: try again in a moment",
                headers={"Retry-After": "5"},
            )
        target = self._target(path)
        async with self._turns:
            with _told_what_to_do():
                await asyncio.to_thread(self._check_room, part)
                return await self._kept(
                    path, target, part, body, is_replaced=is_replaced
                )

    async def _kept(
        self,
        path: str,
        target: Path,
        part: Part,
        body: AsyncIterator[bytes],
        *,
        is_replaced: bool,
    ) -> Stored:
        if not is_replaced and _size(target) is not None:
            raise _exists(path)
        hidden = self._hidden(path)
        with _held(hidden) as file:
            begun = os.fstat(file.fileno()).st_size
            if part.first not in (0, begun):
                raise _elsewhere(begun)
            file.truncate(part.first)
            file.seek(part.first)
            received = await self._write(file, part, body)
            if part.is_last:
                await asyncio.to_thread(os.fsync, file.fileno())
                _name(hidden, target, is_replaced=is_replaced)
                return Stored(path, 0, received)
        return Stored(path, received, None)

    async def _write(
        self, file: BinaryIO, part: Part, body: AsyncIterator[bytes]
    ) -> int:
        """The size of what is there now."""
        most = part.length if part.length is not None else self._quota
        written = 0
        try:
            async for chunk in body:
                written += len(chunk)
                if written > most:
                    raise ProblemError(
                        413, f"the body has more than {most:,} bytes"
                    )
                await asyncio.to_thread(file.write, chunk)
        except ClientDisconnect:
            raise ProblemError(400, "the client went away") from None
        finally:
            await asyncio.to_thread(file.flush)
        if part.length is not None and written < part.length:
            raise ProblemError(
                422,
                f"only {written:,} of {part.length:,} bytes have arrived: go on from there",
            )
        return part.first + written

    def _check_room(self, part: Part) -> None:
        """Of the quota, and of the disk."""
        self._root.joinpath(HIDDEN).mkdir(parents=True, exist_ok=True)
        wanted = part.total or 0
        if part.first == 0:
            self._remove_abandoned()
            used = sum(_sizes(self._root))
            if used + wanted > self._quota:
                raise ProblemError(
                    413,
                    f"the folder of files holds {used:,} bytes, and {wanted:,} more are above"
                    f" UPLOAD_QUOTA_MB ({self._quota:,} bytes)",
                )
        free = shutil.disk_usage(self._root).free
        if free - (wanted - part.first) < SPARE_BYTES:
            raise ProblemError(507, "the disk is nearly full")

    def _remove_abandoned(self) -> None:
        old = time.time() - ABANDONED_S
        for each in self._root.joinpath(HIDDEN).iterdir():
            if each.stat().st_mtime < old:
                each.unlink(missing_ok=True)

    def _hidden(self, path: str) -> Path:
        name = hashlib.sha256(path.encode()).hexdigest()
        return self._root / HIDDEN / name

    def _target(self, path: str) -> Path:
        try:
            return folder.place_for(self._root, path)
        except TaskError as error:
            raise ProblemError(422, error.message) from error


@contextlib.contextmanager
def _held(hidden: Path) -> Iterator[BinaryIO]:
    """The file of what has arrived, for this request alone."""
    handle = os.open(
        hidden, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644
    )
    with open(handle, "r+b", buffering=BLOCK_BYTES) as file:  # noqa: PTH123  of a handle
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _under_way() from None
        # Meanwhile another request may have given it its name: it is no longer ours to write.
        if _inode(hidden) != os.fstat(handle).st_ino:
            raise _under_way()
        yield file


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _under_way() -> ProblemError:
    return ProblemError(
        409, "this file is being uploaded by another request"
    )


def _name(hidden: Path, target: Path, *, is_replaced: bool) -> None:
    """The whole file under its name, for good."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_replaced:
        hidden.replace(target)
    else:
        try:
            os.link(hidden, target)
        except FileExistsError:
            raise _exists(target.name) from None
        hidden.unlink()
    at = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(at)
    finally:
        os.close(at)


def _exists(path: str) -> ProblemError:
    return ProblemError(
        409,
        f"{path} is there already: give `replace=true`, or another name",
    )


def _elsewhere(begun: int) -> ProblemError:
    return ProblemError(
        409,
        f"{begun:,} bytes have arrived: go on from there, or begin anew with byte 0",
        headers={"Upload-Offset": str(begun)},
    )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _sizes(root: Path) -> Iterator[int]:
    for at, _, names in os.walk(root):
        for name in names:
            yield _size(Path(at, name)) or 0


@contextlib.contextmanager
def _told_what_to_do() -> Iterator[None]:
    """What the file system says, as a problem."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ProblemError(507, "the disk is full") from error
        reason = error.strerror or "it cannot be written"
        raise ProblemError(
            503,
            f"the folder of files cannot be written: {reason}; let the gateway write CSV_DIR, or"
            " set UPLOAD_QUOTA_MB=0",
        ) from error
