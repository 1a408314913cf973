"""Where files that come by the API lie while they are not whole, and how they get their names.

What has arrived lies in a hidden folder of CSV_DIR, under a name that says how large the whole file
will be, so that a reader meets a file whole or not at all, and the room for it is kept. One request
at a time writes a file, also where several gateways share the folder. No link is followed: every
folder is opened by the one above it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

from starlette.requests import ClientDisconnect

from services.gateway.problems import ProblemError
from services.gateway.uploads.parts import Part
from services.gateway.uploads.receiver import (
    Receiver,
    Stored,
    elsewhere,
    exists,
)
from shared.csvfile import folder
from shared.errors import TaskError

HIDDEN = ".uploads"
LOCK = "lock"
ABANDONED_S = 86_400  # what was begun and left so long is removed
SPARE_BYTES = 1 << 30  # that stay free on the disk
BLOCK_BYTES = 1 << 20
FILE_MODE, FOLDER_MODE = 0o644, 0o755  # extractors may be other users
_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Uploads(Receiver):
    """Below a folder of this machine."""

    def __init__(self, root: Path, quota: int) -> None:
        super().__init__(quota)
        self._root = root

    async def state(self, path: str) -> Stored:
        return await asyncio.to_thread(self._state, path)

    def _state(self, path: str) -> Stored:
        target = self._target(path)
        received = 0
        with (
            contextlib.suppress(OSError),
            hidden_folder(self._root) as at,
        ):
            for name in _begun(at, path):
                received = os.stat(name, dir_fd=at).st_size
        return Stored(path, received, _size(target))

    async def remove(self, path: str) -> None:
        self.check_is_on()
        await asyncio.to_thread(self._remove, path)

    def _remove(self, path: str) -> None:
        if _size(self._target(path)) is None:
            raise ProblemError(404, f"there is no file {path}")
        *folders, last = path.split("/")
        with (
            _told_what_to_do(),
            _folder_of(self._root, folders) as at,
        ):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(last, dir_fd=at)
            os.fsync(at)

    async def _receive(
        self,
        path: str,
        part: Part,
        body: AsyncIterator[bytes],
        *,
        is_replaced: bool,
    ) -> Stored:
        """What had arrived before a connection broke stays: the next part goes on from there."""
        target = self._target(path)
        with _told_what_to_do():
            _check_is_free(path, target, is_replaced=is_replaced)
            with hidden_folder(self._root) as at:
                name = await asyncio.to_thread(
                    self._reserved, at, path, part
                )
                received = await _written(at, name, part, body)
                if not part.is_last:
                    return Stored(path, received, None)
                await asyncio.to_thread(
                    self._name,
                    at,
                    name,
                    path,
                    is_replaced=is_replaced,
                )
        return Stored(path, 0, received)

    def _reserved(self, at: int, path: str, part: Part) -> str:
        """The name of what has arrived; the room for the whole file is kept by it."""
        name = f"{stem_of(path)}.{part.total}"
        with locked(at):
            others = [each for each in _begun(at, path) if each != name]
            if part.first and others:
                raise ProblemError(
                    409,
                    "it was begun with another size: begin anew with byte 0",
                    headers={"Upload-Offset": "0"},
                )
            for each in others:
                os.unlink(each, dir_fd=at)
            _remove_abandoned(at)
            self._check_room(at, name, part)
            handle = os.open(name, _FILE, FILE_MODE, dir_fd=at)
            os.close(handle)
        return name

    def _check_room(self, at: int, name: str, part: Part) -> None:
        """Of the quota, and of the disk, with all that was begun and this file."""
        begun = {
            each: int(each.rpartition(".")[2]) for each in _parts(at)
        }
        begun[name] = part.total
        held = sum(begun.values()) + sum(_sizes(self._root))
        if held > self._quota:
            raise ProblemError(
                413,
                f"the folder of files would hold {held:,} bytes with what is being uploaded, more"
                f" than UPLOAD_QUOTA_MB ({self._quota:,} bytes)",
            )
        free = shutil.disk_usage(self._root).free
        if free - sum(begun.values()) < SPARE_BYTES:
            raise ProblemError(507, "the disk is nearly full")

    def _name(
        self, at: int, name: str, path: str, *, is_replaced: bool
    ) -> None:
        """The whole file under its name, for good."""
        *folders, last = path.split("/")
        with _folder_of(self._root, folders) as to:
            if is_replaced:
                os.replace(name, last, src_dir_fd=at, dst_dir_fd=to)
            else:
                try:
                    os.link(name, last, src_dir_fd=at, dst_dir_fd=to)
                except FileExistsError:
                    raise exists(path) from None
                os.unlink(name, dir_fd=at)
            os.fsync(to)

    def _target(self, path: str) -> Path:
        try:
            return folder.place_for(self._root, path)
        except TaskError as error:
            raise ProblemError(422, error.message) from error


async def _written(
    at: int, name: str, part: Part, body: AsyncIterator[bytes]
) -> int:
    """The size of what is there now, on the disk."""
    with _held(at, name) as file:
        begun = os.fstat(file.fileno()).st_size
        if part.first not in (0, begun):
            raise elsewhere(begun)
        file.truncate(part.first)
        file.seek(part.first)
        written = 0
        try:
            async for chunk in body:
                written += len(chunk)
                if written > part.length:
                    raise ProblemError(
                        413,
                        f"the body has more than {part.length:,} bytes",
                    )
                await asyncio.to_thread(file.write, chunk)
        except ClientDisconnect:
            raise ProblemError(400, "the client went away") from None
        finally:
            await asyncio.to_thread(file.flush)
        if written < part.length:
            raise ProblemError(
                422,
                f"only {written:,} of {part.length:,} bytes have arrived: go on from there",
            )
        if part.is_last:
            await asyncio.to_thread(os.fsync, file.fileno())
    return part.first + written


@contextlib.contextmanager
def _held(at: int, name: str) -> Iterator[BinaryIO]:
    """The file of what has arrived, for this request alone."""
    handle = os.open(name, _FILE, FILE_MODE, dir_fd=at)
    with open(handle, "r+b", buffering=BLOCK_BYTES) as file:  # noqa: PTH123  of a handle
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _under_way() from None
        os.fchmod(handle, FILE_MODE)
        own = os.fstat(handle)
        # Another request may have given it its name meanwhile, or died while it did.
        if own.st_nlink != 1 or not _is_at(at, name, own.st_ino):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=at)
            raise _under_way()
        yield file


def _is_at(at: int, name: str, inode: int) -> bool:
    try:
        return os.stat(name, dir_fd=at).st_ino == inode
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def hidden_folder(root: Path) -> Iterator[int]:
    """A handle of the folder of what is not whole. Raises OSError for a link in its place."""
    with _folder_of(root, [HIDDEN]) as at:
        yield at


@contextlib.contextmanager
def locked(at: int) -> Iterator[None]:
    """Alone among all gateways that share the folder, for a moment."""
    handle = os.open(LOCK, _FILE, FILE_MODE, dir_fd=at)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _folder_of(root: Path, names: list[str]) -> Iterator[int]:
    """A handle of a folder below the root, made where it is not there."""
    root.mkdir(parents=True, exist_ok=True)
    at = os.open(root.resolve(), _FOLDER)
    try:
        for name in names:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, FOLDER_MODE, dir_fd=at)
                os.chmod(name, FOLDER_MODE, dir_fd=at)
            below = os.open(name, _FOLDER, dir_fd=at)
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)


def stem_of(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()


def _parts(at: int) -> list[str]:
    return [
        name
        for name in os.listdir(at)
        if name.rpartition(".")[2].isdigit()
    ]


def _begun(at: int, path: str) -> list[str]:
    """What has arrived of a file; one name, unless it was begun with two sizes."""
    stem = stem_of(path)
    return [name for name in _parts(at) if name.startswith(f"{stem}.")]


def _remove_abandoned(at: int) -> None:
    old = time.time() - ABANDONED_S
    for name in _parts(at):
        if os.stat(name, dir_fd=at).st_mtime < old:
            os.unlink(name, dir_fd=at)


def _check_is_free(path: str, target: Path, *, is_replaced: bool) -> None:
    """Raises ProblemError where something stands in a file's place."""
    try:
        found = target.lstat()
    except OSError:
        return
    if stat.S_ISDIR(found.st_mode):
        raise ProblemError(409, f"{path} is a folder: give another name")
    if not is_replaced:
        raise exists(path)


def _size(path: Path) -> int | None:
    """Of an ordinary file alone; a link tells nothing of what it leads to."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _sizes(root: Path) -> Iterator[int]:
    """Of all that lies there, but for what was begun."""
    for at, folders, names in os.walk(root):
        if HIDDEN in folders:
            folders.remove(HIDDEN)
        for name in names:
            yield _size(Path(at, name)) or 0


def _under_way() -> ProblemError:
    return ProblemError(
        423, "this file is being uploaded by another request"
    )


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
            f"the folder of files cannot be written: {reason}; let the gateway write CSV_DIR, put"
            " folders in the place of links, or set UPLOAD_QUOTA_MB=0",
        ) from error
