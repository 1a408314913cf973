"""The files below CSV_DIR: which there are, and where one of them lies. Nothing outside the folder is ever opened."""

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

_SUFFIX = re.compile("|".join(re.escape(suffix) for suffix in sorted(SUFFIXES, key=len, reverse=True)) + "$", re.IGNORECASE)


@dataclass(frozen=True)
class CsvFile:
    """`path` below CSV_DIR, as streams and API name it; of a zip with several files it goes on with the member's name."""

    path: str
    dataset: str
    opened: Callable[[], AbstractContextManager[Content]]


def find(root: Path, path: str) -> CsvFile:
    """One file. Raises TaskError `outside_folder`, `unreadable_file`, `bad_archive`."""
    inside = root.resolve()
    archive, _, member = path.partition(".zip/")
    file = inside / (f"{archive}.zip" if member else path)
    if "\x00" in path or not _is_inside(file, inside):
        raise TaskError("outside_folder", f"{path!r} is no file below CSV_DIR")
    if not _is_wanted(file.name):
        raise TaskError("unreadable_file", f"{path!r} is no CSV file: names end in {', '.join(SUFFIXES)}")
    if member and member not in members(file):
        raise TaskError("unreadable_file", f"{archive}.zip has no file {member!r}")
    return _file(path, partial(open_content, file, member or None))


def listed(root: Path) -> Iterator[CsvFile]:
    """All CSV files, in the order of their names. An archive that cannot be read is listed, its task will say why."""
    inside = root.resolve()
    for folder, folders, names in os.walk(inside):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder, name)
            if _is_wanted(name) and _is_inside(file, inside):
                path = file.relative_to(inside).as_posix()
                for each, member in _parts(file, path):
                    yield _file(each, partial(open_content, file, member))


def _parts(file: Path, path: str) -> list[tuple[str, str | None]]:
    if not path.lower().endswith(".zip"):
        return [(path, None)]
    try:
        found = members(file)
    except TaskError:
        found = []
    return [(f"{path}/{member}", member) for member in found] if len(found) > 1 else [(path, None)]


def _file(path: str, opened: Callable[[], AbstractContextManager[Content]]) -> CsvFile:
    first, *rest = PurePosixPath(path).parts
    return CsvFile(path, _SUFFIX.sub("", first) if not rest or first.lower().endswith(".zip") else first, opened)


def _is_wanted(name: str) -> bool:
    return not name.startswith(".") and _SUFFIX.search(name) is not None


def _is_inside(path: Path, root: Path) -> bool:
    """A link out of the folder is refused; so are names that are not UTF-8, which no message could carry."""
    try:
        str(path).encode()
        return path.resolve(strict=True).is_relative_to(root) and path.is_file()
    except (OSError, RuntimeError, ValueError):  # RuntimeError: a link to itself
        return False
