"""The files below CSV_DIR: which there are, and where one of them lies.

Nothing outside of it is ever opened.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath

from shared.csvfile.content import (
    SUFFIXES,
    Content,
    members,
    open_content,
)
from shared.csvfile.places.base import (
    MAX_PATH,
    TOO_LONG,
    Place,
    StoredFile,
)
from shared.csvfile.places.disk import Disk
from shared.errors import TaskError

_BY_LENGTH = sorted(SUFFIXES, key=len, reverse=True)
_SUFFIX = re.compile(
    f"(?:{'|'.join(map(re.escape, _BY_LENGTH))})$", re.IGNORECASE
)
MAX_SHOWN = 200  # characters of a path in a message
MAX_NAME_BYTES = 255
MAX_OTHERS = 20  # of an archive
_IN_ARCHIVE = "of an archive only .csv and .tsv are read: unpack it"
_OURS = frozenset(
    {"mapping.yaml", "README", "README.md", "LICENSE", "Thumbs.db"}
)
_AS_CSV = "save it as CSV"
_ADVICE = {
    ".xlsx": _AS_CSV,
    ".xls": _AS_CSV,
    ".xlsm": _AS_CSV,
    ".ods": _AS_CSV,
    ".numbers": _AS_CSV,
    ".parquet": _AS_CSV,
    ".json": _AS_CSV,
    ".yml": "the mapping file is called mapping.yaml",
    ".yaml": "the mapping file is called mapping.yaml, and lies in CSV_DIR itself",
    ".part": "it seems to be downloading still",
    ".crdownload": "it seems to be downloading still",
    ".tmp": "it seems to be written still",
    ".rar": "pack it as .zip, or unpack it",
    ".7z": "pack it as .zip, or unpack it",
    ".tar": "pack it as .zip, or unpack it",
    ".tgz": "pack it as .zip, or unpack it",
    ".bz2": "pack it as .gz, .zst or .zip, or unpack it",
    ".xz": "pack it as .gz, .zst or .zip, or unpack it",
}
_OTHER_ENDING = f"only names that end in {', '.join(SUFFIXES)} are read: rename it if it is a table"
Opened = Callable[[], AbstractContextManager[Content]]
Root = Path | Place  # a folder of this machine by its path


@dataclass(frozen=True)
class CsvFile:
    """A file. `path`: below CSV_DIR, as streams and API name it.

    Of a zip with several files the path goes on with the member's name; `member`: that of the only
    file in a zip, whose name says more than the zip's. `version`: another one with every change,
    where the place tells.
    """

    path: str
    dataset: str
    opened: Opened
    member: str | None = None
    version: str | None = None


def place_of(root: Root) -> Place:
    return Disk(root) if isinstance(root, Path) else root


def find(root: Root, path: str) -> CsvFile:
    """One file. Raises TaskError `outside_folder`, `unreadable_file`, `bad_archive`."""
    archive, _, member = path.partition(".zip/")
    name = f"{archive}.zip" if member else path
    file = place_of(root).find(name)
    if file is None:
        message = f"{path!r} is not a file below CSV_DIR"
        raise TaskError("outside_folder", message)
    _check_name(name, path)
    if member:
        _check_member(file, archive, member)
        return _file(path, file, partial(open_content, file, member))
    return _whole(file, _members(file))


def check_place_for(path: str) -> None:
    """Whether a new file may be there. Raises TaskError `outside_folder`, `unreadable_file`."""
    if not _is_path(path.split("/")):
        raise no_path(path)
    if len(path) > MAX_PATH:
        raise TaskError("outside_folder", TOO_LONG)
    _check_name(path, path)


def place_for(root: Path, path: str) -> Path:
    """Where a new file goes. Raises TaskError `outside_folder`, `unreadable_file`."""
    check_place_for(path)
    inside = root.resolve()
    file = inside.joinpath(*path.split("/"))
    if not _lies_in(file.parent, inside):
        raise no_path(path)
    return file


def no_path(path: str) -> TaskError:
    message = (
        f"{path[:MAX_SHOWN]!r} is no path of a file below CSV_DIR: write it as"
        " `folder/name.csv`, without a leading dot, `*`, `?` or `\\`"
    )
    return TaskError("outside_folder", message)


def _is_path(parts: list[str]) -> bool:
    """Whether everybody reads its parts alike, and no folder looks like an archive."""
    return all(map(_is_plain, parts)) and not any(
        part.lower().endswith(".zip") for part in parts[:-1]
    )


def _is_plain(name: str) -> bool:
    """Whether a part of a path means a file or folder, whoever reads it."""
    return (
        0 < len(name.encode("utf-8", "replace")) <= MAX_NAME_BYTES
        and not name.startswith(".")
        and name.isprintable()
        and unicodedata.is_normalized("NFC", name)
        and not set(name) & set('*?\\<>|":\ufffd')
        and name == name.strip()
    )


def _lies_in(parent: Path, inside: Path) -> bool:
    """Whether no folder on the way is a link, or no folder."""
    while parent != inside:
        if parent.is_symlink() or (
            parent.exists() and not parent.is_dir()
        ):
            return False
        parent = parent.parent
    return True


def _check_name(name: str, path: str) -> None:
    if not _is_wanted(_last(name)):
        endings = ", ".join(SUFFIXES)
        message = f"{path!r} is not a CSV file: names end in {endings}"
        raise TaskError("unreadable_file", message)


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _check_member(file: StoredFile, archive: str, member: str) -> None:
    if member not in members(file)[0]:
        message = f"{archive}.zip has no file {member!r}"
        raise TaskError("unreadable_file", message)


def listed(root: Root) -> Iterator[CsvFile]:
    """All CSV files, in the order of their names.

    An archive that cannot be read is listed: its task reports why.
    """
    place = place_of(root)
    for file in place.walk():
        if (
            _is_wanted(_last(file.path))
            and len(file.path) <= MAX_PATH
            and place.why_closed(file.path) is None
        ):
            yield from _parts(file)


def _parts(file: StoredFile) -> Iterator[CsvFile]:
    """Each CSV that a file holds."""
    found = _members(file)
    if len(found) <= 1:
        yield _whole(file, found)
        return
    for member in found:
        opened = partial(open_content, file, member)
        yield _file(f"{file.path}/{member}", file, opened)


def _members(file: StoredFile) -> list[str]:
    """The CSV files in a zip; none of what is no zip, or cannot be read."""
    return _held(file)[0]


def _held(file: StoredFile) -> tuple[list[str], list[str]]:
    """The CSV files in a zip, and the others."""
    if not file.path.lower().endswith(".zip"):
        return [], []
    if file.version:
        return _held_once(_Versioned(file.path, file.version, file))
    return _read_held(file)


@dataclass(frozen=True)
class _Versioned:
    path: str
    version: str
    file: StoredFile = field(compare=False)


@lru_cache(maxsize=4096)
def _held_once(of: _Versioned) -> tuple[list[str], list[str]]:
    """It is asked for with every list of files, and an object is far away."""
    return _read_held(of.file)


def _read_held(file: StoredFile) -> tuple[list[str], list[str]]:
    """Raises TaskError `storage_away`: what it holds is not known then."""
    try:
        return members(file)
    except TaskError as error:
        if error.code == "storage_away":
            raise
        return [], []


def _whole(file: StoredFile, found: list[str]) -> CsvFile:
    """A file as one stream."""
    member = found[0] if len(found) == 1 else None
    return _file(
        file.path, file, partial(open_content, file, None), member
    )


def _file(
    path: str,
    file: StoredFile,
    opened: Opened,
    member: str | None = None,
) -> CsvFile:
    return CsvFile(path, _dataset(path), opened, member, file.version)


@dataclass(frozen=True)
class LeftOut:
    """A file that is not read. `sentence`: why, and what to do.

    `is_missed`: by its name it is to be read, so that a run without it has not succeeded.
    """

    path: str
    sentence: str
    is_missed: bool


def left_out(root: Root) -> Iterator[LeftOut]:
    """What lies below CSV_DIR and is not read."""
    place = place_of(root)
    closed: list[tuple[str, str]] = []
    for file in place.walk(lambda *found: closed.append(found)):
        reason = _why_left_out(place, file.path)
        if reason is not None:
            is_missed = _is_wanted(_last(file.path))
            yield _left_out(file.path, reason, is_missed=is_missed)
        elif _is_wanted(_last(file.path)):
            yield from _left_out_of(file)
    for path, why in closed:
        reason = f"the folder is not listed: {why}"
        yield _left_out(path, reason, is_missed=True)


def _left_out_of(file: StoredFile) -> Iterator[LeftOut]:
    """The other files of an archive."""
    found, others = _held(file)
    # In an archive without a table nothing is read, which its task says.
    for member in others[:MAX_OTHERS] if found else ():
        name = _last(member)
        if name.startswith(".") or name in _OURS:
            continue
        path = os.path.normpath(f"{file.path}/{member}")
        yield _left_out(path, _IN_ARCHIVE, is_missed=_is_wanted(name))


def _left_out(path: str, reason: str, *, is_missed: bool) -> LeftOut:
    shown = path.encode("utf-8", "backslashreplace").decode()
    sentence = f"not read: {shown[:MAX_SHOWN]} ({reason})"
    return LeftOut(shown, sentence, is_missed)


def _why_left_out(place: Place, path: str) -> str | None:
    """None for what is read, and for what nobody expects to be read."""
    name = _last(path)
    if name in _OURS:
        return None
    if not _is_wanted(name):
        ending = PurePosixPath(name).suffix.lower()
        return _ADVICE.get(ending, _OTHER_ENDING)
    reason = place.why_closed(path)
    return reason or (TOO_LONG if len(path) > MAX_PATH else None)


def _dataset(path: str) -> str:
    """The first folder, or the stem of a file or archive in the root."""
    first, *rest = PurePosixPath(path).parts
    if rest and not first.lower().endswith(".zip"):
        return first
    return _SUFFIX.sub("", first)


def _is_wanted(name: str) -> bool:
    return not name.startswith(".") and _SUFFIX.search(name) is not None
