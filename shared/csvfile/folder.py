"""The files below CSV_DIR: which there are, and where one of them lies.

Nothing outside the folder is ever opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from shared.csvfile.content import SUFFIXES, Content, members, open_content
from shared.errors import TaskError

_BY_LENGTH = sorted(SUFFIXES, key=len, reverse=True)
_SUFFIX = re.compile(
    "|".join(map(re.escape, _BY_LENGTH)) + "$", re.IGNORECASE
)
Opened = Callable[[], AbstractContextManager[Content]]


@dataclass(frozen=True)
class CsvFile:
    """A file. `path`: below CSV_DIR, as streams and API name it.

    Of a zip with several files the path goes on with the member's name.
    """

    path: str
    dataset: str
    opened: Opened


def find(root: Path, path: str) -> CsvFile:
    """One file. Raises TaskError `outside_folder`, `unreadable_file`, `bad_archive`."""
    inside = root.resolve()
    archive, _, member = path.partition(".zip/")
    file = inside / (f"{archive}.zip" if member else path)
    if "\x00" in path or not _is_inside(file, inside):
        message = f"{path!r} is not a file below CSV_DIR"
        raise TaskError("outside_folder", message)
    _check_name(file, path)
    if member:
        _check_member(file, archive, member)
    return _file(path, partial(open_content, file, member or None))


def _check_name(file: Path, path: str) -> None:
    if not _is_wanted(file.name):
        endings = ", ".join(SUFFIXES)
        message = f"{path!r} is not a CSV file: names end in {endings}"
        raise TaskError("unreadable_file", message)


def _check_member(file: Path, archive: str, member: str) -> None:
    if member not in members(file):
        message = f"{archive}.zip has no file {member!r}"
        raise TaskError("unreadable_file", message)


def listed(root: Path) -> Iterator[CsvFile]:
    """All CSV files, in the order of their names.

    An archive that cannot be read is listed: its task reports why.
    """
    inside = root.resolve()
    for folder, folders, names in os.walk(inside):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".")
        )
        for name in sorted(names):
            file = Path(folder, name)
            if _is_wanted(name) and _is_inside(file, inside):
                path = file.relative_to(inside).as_posix()
                for part, member in _parts(file, path):
                    yield _file(part, partial(open_content, file, member))


def _parts(file: Path, path: str) -> list[tuple[str, str | None]]:
    """(path, member) of each CSV that a file holds."""
    if not path.lower().endswith(".zip"):
        return [(path, None)]
    try:
        found = members(file)
    except TaskError:
        found = []
    if len(found) <= 1:
        return [(path, None)]
    return [(f"{path}/{member}", member) for member in found]


def _file(path: str, opened: Opened) -> CsvFile:
    return CsvFile(path, _dataset(path), opened)


def _dataset(path: str) -> str:
    """The first folder, or the stem of a file or archive in the root."""
    first, *rest = PurePosixPath(path).parts
    if rest and not first.lower().endswith(".zip"):
        return first
    return _SUFFIX.sub("", first)


def _is_wanted(name: str) -> bool:
    return not name.startswith(".") and _SUFFIX.search(name) is not None


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
