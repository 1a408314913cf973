"""A folder of this machine. Nothing outside of it is ever opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from shared.csvfile.places.base import (
    MAX_PATH,
    TOO_LONG,
    OnClosed,
    StoredFile,
)
from shared.errors import TaskError

_A_LINK = "a folder that is a link: put the folder itself in its place"
_OPEN_FILES = Path("/proc/self/fd")  # of Linux; elsewhere it is not there


@dataclass(frozen=True)
class DiskFile:
    """`inside`: the folder that it must lie below."""

    path: str
    inside: Path
    version: str | None = None

    def open(self) -> BinaryIO:
        """One of which it is known where it lies, whatever its name led to a moment before."""
        handle = os.open(
            self.inside / self.path, os.O_RDONLY | os.O_NONBLOCK
        )
        file: BinaryIO = os.fdopen(handle, "rb")
        at = _OPEN_FILES / str(handle)
        if _OPEN_FILES.is_dir() and not at.readlink().is_relative_to(
            self.inside
        ):
            file.close()
            name = self.path.rpartition("/")[2]
            message = f"{name!r} is not a file below CSV_DIR"
            raise TaskError("outside_folder", message)
        return file


@dataclass(frozen=True)
class Disk:
    """The folder `root`, which need not be there yet."""

    root: Path

    @property
    def inside(self) -> Path:
        return self.root.resolve()

    def walk(
        self, on_closed: OnClosed | None = None
    ) -> Iterator[StoredFile]:
        """`on_closed`: also for a folder that is a link, or lies too deep for a short path."""
        inside = self.inside

        def closed(at: str, reason: str) -> None:
            if on_closed is not None:
                on_closed(os.path.relpath(at, inside), reason)

        for folder, folders, names in os.walk(
            inside,
            onerror=lambda error: closed(
                error.filename, str(error.strerror)
            ),
        ):
            if len(folder) - len(str(inside)) > MAX_PATH:
                folders.clear()
                closed(folder, TOO_LONG)
                continue
            folders[:] = sorted(
                name for name in folders if not name.startswith(".")
            )
            for at in filter(
                Path.is_symlink, map(Path(folder).joinpath, folders)
            ):
                closed(str(at), _A_LINK)
            for name in sorted(names):
                path = Path(folder, name).relative_to(inside).as_posix()
                if not name.startswith("."):
                    yield DiskFile(path, inside)

    def find(self, path: str) -> StoredFile | None:
        inside = self.inside
        if "\x00" in path or not _is_inside(inside / path, inside):
            return None
        return DiskFile(path, inside)

    def why_closed(self, path: str) -> str | None:
        """A link out of the folder, what is no file, a name that no message could carry."""
        inside = self.inside
        if _is_inside(inside / path, inside):
            return None
        if not _is_utf8(path):
            return "its name is not UTF-8: rename it"
        if _is_file(inside / path):
            return (
                "a link that leads out of CSV_DIR: copy the file instead"
            )
        return "it is no ordinary file: put a file with rows in its place"

    def text(self, name: str, at_most: int) -> bytes | None:
        """Of an ordinary file below the folder alone."""
        inside = self.inside
        try:
            path = (inside / name).resolve()
        except (OSError, RuntimeError):  # RuntimeError: a link to itself
            raise _leads_nowhere(name) from None
        if not path.is_relative_to(inside):
            message = f"{name} is a link that leads out of CSV_DIR: copy the file instead"
            raise TaskError("bad_mapping", message)
        try:
            return _bytes_of(path, at_most)
        except FileNotFoundError:
            if (inside / name).is_symlink():
                raise _leads_nowhere(name) from None
            return None
        except OSError as error:
            reason = error.strerror or "it is no ordinary file"
            message = f"{name} cannot be read: {reason}"
            raise TaskError("bad_mapping", message) from error


def _leads_nowhere(name: str) -> TaskError:
    message = f"{name} is a link to what is not there: put the file in its place"
    return TaskError("bad_mapping", message)


def _bytes_of(path: Path, at_most: int) -> bytes:
    """Does not follow a link, does not wait for a writer. Raises OSError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    handle = os.open(path, flags)
    with open(handle, "rb") as file:  # noqa: PTH123  of a handle
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError
        return file.read(at_most + 1)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a link to a name that is too long
        return False


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_inside(path: Path, root: Path) -> bool:
    """A link out of the folder is refused.

    So are names that are not UTF-8, which no message could carry.
    """
    try:
        str(path).encode()
        return (
            path.resolve(strict=True).is_relative_to(root)
            and path.is_file()
        )
    except (
        OSError,
        RuntimeError,
        ValueError,
    ):  # RuntimeError: a link to itself
        return False
