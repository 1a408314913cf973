"""The files below CSV_DIR: which there are, and where one of them lies.

Nothing outside the folder is ever opened.
"""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from shared.csvfile.content import (
    SUFFIXES,
    Content,
    members,
    open_content,
)
from shared.errors import TaskError

_BY_LENGTH = sorted(SUFFIXES, key=len, reverse=True)
_SUFFIX = re.compile(
    f"(?:{'|'.join(map(re.escape, _BY_LENGTH))})$", re.IGNORECASE
)
MAX_SHOWN = 200  # characters of a path in a message
MAX_PATH = (
    400  # characters below CSV_DIR; a member's name comes on top of it
)
_TOO_LONG = f"its path has more than {MAX_PATH} characters: shorten it"
MAX_NAME_BYTES = 255
MAX_OTHERS = 20  # of an archive
_IN_ARCHIVE = "of an archive only .csv and .tsv are read: unpack it"
_A_LINK = "a folder that is a link: put the folder itself in its place"
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


@dataclass(frozen=True)
class CsvFile:
    """A file. `path`: below CSV_DIR, as streams and API name it.

    Of a zip with several files the path goes on with the member's name; `member`: that of the only
    file in a zip, whose name says more than the zip's.
    """

    path: str
    dataset: str
    opened: Opened
    member: str | None = None


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
        _check_member(file, archive, member, inside)
        opened = partial(open_content, file, member, inside)
        return _file(path, opened)
    return _whole(file, path, _members(file, inside), inside)


def place_for(root: Path, path: str) -> Path:
    """Where a new file goes. Raises TaskError `outside_folder`, `unreadable_file`."""
    inside = root.resolve()
    parts = path.split("/")
    file = inside.joinpath(*parts)
    if not _is_path(parts) or not _lies_in(file.parent, inside):
        message = (
            f"{path[:MAX_SHOWN]!r} is no path of a file below CSV_DIR: write it as"
            " `folder/name.csv`, without a leading dot, `*`, `?` or `\\`"
        )
        raise TaskError("outside_folder", message)
    if len(path) > MAX_PATH:
        raise TaskError("outside_folder", _TOO_LONG)
    _check_name(file, path)
    return file


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


def _check_name(file: Path, path: str) -> None:
    if not _is_wanted(file.name):
        endings = ", ".join(SUFFIXES)
        message = f"{path!r} is not a CSV file: names end in {endings}"
        raise TaskError("unreadable_file", message)


def _check_member(
    file: Path, archive: str, member: str, inside: Path
) -> None:
    if member not in members(file, inside)[0]:
        message = f"{archive}.zip has no file {member!r}"
        raise TaskError("unreadable_file", message)


def listed(root: Path) -> Iterator[CsvFile]:
    """All CSV files, in the order of their names.

    An archive that cannot be read is listed: its task reports why.
    """
    inside = root.resolve()
    for file in _walk(inside):
        if not _is_wanted(file.name) or not _is_inside(file, inside):
            continue
        path = file.relative_to(inside).as_posix()
        if len(path) <= MAX_PATH:
            yield from _parts(file, path, inside)


def _walk(
    inside: Path, on_closed: Callable[[OSError], None] | None = None
) -> Iterator[Path]:
    """All that lies in a folder and in those below it, in the order of names; hidden ones not.

    `on_closed`: called for a folder that cannot be listed, or which is not: a link, or one in which
    no file would have a path that is short enough.
    """
    for folder, folders, names in os.walk(inside, onerror=on_closed):
        if len(folder) - len(str(inside)) > MAX_PATH:
            folders.clear()
            if on_closed is not None:
                on_closed(OSError(errno.ENAMETOOLONG, _TOO_LONG, folder))
            continue
        folders[:] = sorted(
            name for name in folders if not name.startswith(".")
        )
        if on_closed is not None:
            for at in filter(
                Path.is_symlink, map(Path(folder).joinpath, folders)
            ):
                on_closed(OSError(errno.ELOOP, _A_LINK, str(at)))
        for name in sorted(names):
            yield Path(folder, name)


def _parts(file: Path, path: str, inside: Path) -> Iterator[CsvFile]:
    """Each CSV that a file holds."""
    found = _members(file, inside)
    if len(found) <= 1:
        yield _whole(file, path, found, inside)
        return
    for member in found:
        opened = partial(open_content, file, member, inside)
        yield _file(f"{path}/{member}", opened)


def _members(file: Path, inside: Path) -> list[str]:
    """The CSV files in a zip; none of what is no zip, or cannot be read."""
    return _held(file, inside)[0]


def _held(file: Path, inside: Path) -> tuple[list[str], list[str]]:
    """The CSV files in a zip, and the others."""
    if not file.name.lower().endswith(".zip"):
        return [], []
    try:
        return members(file, inside)
    except TaskError:
        return [], []


def _whole(
    file: Path, path: str, found: list[str], inside: Path
) -> CsvFile:
    """A file as one stream."""
    member = found[0] if len(found) == 1 else None
    opened = partial(open_content, file, None, inside)
    return _file(path, opened, member)


def _file(
    path: str, opened: Opened, member: str | None = None
) -> CsvFile:
    return CsvFile(path, _dataset(path), opened, member)


@dataclass(frozen=True)
class LeftOut:
    """A file that is not read. `sentence`: why, and what to do.

    `is_missed`: by its name it is to be read, so that a run without it has not succeeded.
    """

    path: str
    sentence: str
    is_missed: bool


def left_out(root: Path) -> Iterator[LeftOut]:
    """What lies below CSV_DIR and is not read."""
    inside = root.resolve()
    closed: list[OSError] = []
    for file in _walk(inside, closed.append):
        reason = _why_left_out(file, inside)
        if reason is not None:
            yield _left_out(
                file, inside, reason, is_missed=_is_wanted(file.name)
            )
        elif _is_wanted(file.name):
            yield from _left_out_of(file, inside)
    for error in closed:
        reason = f"the folder is not listed: {error.strerror}"
        yield _left_out(
            Path(error.filename), inside, reason, is_missed=True
        )


def _left_out_of(file: Path, inside: Path) -> Iterator[LeftOut]:
    """The other files of an archive."""
    found, others = _held(file, inside)
    # In an archive without a table nothing is read, which its task says.
    for member in others[:MAX_OTHERS] if found else ():
        name = member.rpartition("/")[2]
        if name.startswith(".") or name in _OURS:
            continue
        yield _left_out(
            file / member, inside, _IN_ARCHIVE, is_missed=_is_wanted(name)
        )


def _left_out(
    file: Path, inside: Path, reason: str, *, is_missed: bool
) -> LeftOut:
    path = os.path.relpath(file, inside)
    shown = path.encode("utf-8", "backslashreplace").decode()
    sentence = f"not read: {shown[:MAX_SHOWN]} ({reason})"
    return LeftOut(shown, sentence, is_missed)


def _why_left_out(file: Path, inside: Path) -> str | None:
    """None for what is read, and for what nobody expects to be read."""
    name = file.name
    if name.startswith(".") or name in _OURS:
        return None
    if not _is_wanted(name):
        ending = file.suffix.lower()
        return _ADVICE.get(ending, _OTHER_ENDING)
    if _is_inside(file, inside):
        return (
            _TOO_LONG
            if len(str(file.relative_to(inside))) > MAX_PATH
            else None
        )
    if not _is_utf8(name):
        return "its name is not UTF-8: rename it"
    if _is_file(file):
        return "a link that leads out of CSV_DIR: copy the file instead"
    return "it is no ordinary file: put a file with rows in its place"


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
