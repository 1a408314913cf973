"""The bytes of a file, read forward only: decompressed, in an encoding that extends ASCII.

Lines end in a line feed. So a plain file, a `.csv.gz`, a member of a `.zip` and a file in UTF-16
are all read, resumed and hashed alike; offsets count the bytes that come out here.
"""

from __future__ import annotations

import codecs
import gzip
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

import zstandard

from shared.csvfile import zip_directory
from shared.csvfile.places.base import StoredFile
from shared.errors import TaskError

SUFFIXES = (
    ".csv",
    ".tsv",
    ".csv.gz",
    ".tsv.gz",
    ".csv.zst",
    ".tsv.zst",
    ".zip",
)
MAX_BYTES = 32 << 30  # decompressed
MAX_RATIO = (
    500  # decompressed to compressed, once it is more than a beginning
)
RATIO_FROM = 64 << 20
MAX_MEMBERS = 1_000
MAX_DIRECTORY = 2 << 20  # bytes of a zip's list of files
MAX_MEMBER_NAME = 500  # characters
MAX_SHOWN = 100
HEAD_BYTES = 256 * 1024
MAX_WINDOW = (
    8 << 20
)  # of zstandard, dictionary of LZMA: kept while the file is read
# In a member's header, and behind it: version, size of the properties and their first byte.
_NAME_LENGTH_AT = 26
_DICTIONARY_AT = 5
_CHUNK = 256 * 1024
_UTF16_SAMPLE = 4096
_BROKEN = (
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zstandard.ZstdError,
    NotImplementedError,
    RuntimeError,
)
Read = Callable[[int], bytes]
Seek = Callable[[int], int]


class Readable(Protocol):
    def read(self, count: int, /) -> bytes: ...


class Content:
    """What comes next in a file, with look-ahead.

    `encoding`: that of the file where it was translated, else None.
    """

    def __init__(
        self,
        read: Read,
        encoding: str | None = None,
        seek: Seek | None = None,
    ) -> None:
        """`seek`: of a file that comes out as it lies there."""
        self._read = read
        self._seek = seek
        self.encoding = encoding
        self._buffer = bytearray()
        self._start = 0
        self._ended = False
        self.offset = 0

    def jump(self, offset: int) -> bool:
        """Stand there without reading what lies before. False where that is not possible."""
        if self._seek is None or offset < self.offset:
            return False
        self._seek(offset)
        self._buffer.clear()
        self._start, self._ended, self.offset = 0, False, offset
        return True

    def peek(self, count: int) -> bytes:
        """The next `count` bytes; fewer at the end of the file only."""
        while not self._ended and len(self._buffer) - self._start < count:
            if self._start > _CHUNK:
                del self._buffer[: self._start]
                self._start = 0
            more = self._read(max(_CHUNK, count))
            self._buffer += more
            self._ended = not more
        return bytes(self._buffer[self._start : self._start + count])

    def take(self, count: int) -> bytes:
        """The next `count` bytes, left behind."""
        taken = self.peek(count)
        self._start += len(taken)
        self.offset += len(taken)
        return taken

    def readline(self, limit: int) -> bytes:
        """The rest of the line, with its end; at most `limit` bytes of it."""
        end = self._line_end(limit)
        if end < 0:
            self.peek(limit)
            end = self._line_end(limit)
        return self.take(limit if end < 0 else end + 1 - self._start)

    def _line_end(self, limit: int) -> int:
        return self._buffer.find(b"\n", self._start, self._start + limit)


@contextmanager
def open_content(
    stored: StoredFile, member: str | None
) -> Iterator[Content]:
    """The content of a file, or of one member of a zip.

    Raises TaskError `unreadable_file`, `outside_folder`, `bad_archive`, `limit_exceeded`.
    """
    name = _name_of(stored)
    try:
        file = stored.open()
    except OSError as error:
        raise TaskError(
            "unreadable_file", f"{name}: {error.strerror}"
        ) from error
    with file:
        read = _decompressed(file, name, member)
        yield _translated(read, file.seek if read == file.read else None)


def _name_of(stored: StoredFile) -> str:
    return stored.path.rpartition("/")[2]


def members(stored: StoredFile) -> tuple[list[str], list[str]]:
    """The CSV files in a zip, and the other files in it.

    Raises TaskError `outside_folder`, `bad_archive` and `limit_exceeded`.
    """
    name = _name_of(stored)
    try:
        with stored.open() as file, _opened_zip(file, name) as archive:
            found = _members_of(archive, name)
            return found, _others_of(archive, found)
    except _BROKEN as error:
        message = f"{name} is not a zip that can be read: {error}"
        raise TaskError("bad_archive", message) from error


def _opened_zip(file: BinaryIO, name: str) -> zipfile.ZipFile:
    """Raises TaskError `limit_exceeded` for one whose list of files alone is large."""
    if zip_directory.size_of(file) > MAX_DIRECTORY:
        message = f"{name} lists its files in more than {MAX_DIRECTORY} bytes: pack fewer"
        raise TaskError("limit_exceeded", message)
    return zipfile.ZipFile(file)


def _members_of(archive: zipfile.ZipFile, name: str) -> list[str]:
    """Raises TaskError where not each of them could be read by its name."""
    found = [
        member
        for member in archive.namelist()
        if _is_csv(member) and "__MACOSX" not in member
    ]
    if len(found) > MAX_MEMBERS:
        message = f"{name} holds {len(found)} CSV files, at most {MAX_MEMBERS} are read"
        raise TaskError("limit_exceeded", message)
    if len(set(found)) < len(found):
        twice = next(each for each in found if found.count(each) > 1)
        message = f"{name} holds {twice[:MAX_SHOWN]!r} more than once: pack it anew"
        raise TaskError("bad_archive", message)
    longest = max(map(len, found), default=0)
    if longest > MAX_MEMBER_NAME:
        message = f"{name} holds a file whose name has {longest} characters: shorten it"
        raise TaskError("limit_exceeded", message)
    return sorted(found)


def _others_of(archive: zipfile.ZipFile, found: list[str]) -> list[str]:
    """Without folders, and what a Mac adds."""
    known = set(found)
    return [
        member
        for member in archive.namelist()
        if not member.endswith("/")
        and member not in known
        and "__MACOSX" not in member
    ]


def _is_csv(name: str) -> bool:
    return name.lower().endswith((".csv", ".tsv"))


def _decompressed(file: BinaryIO, name: str, member: str | None) -> Read:
    if not name.lower().endswith((".gz", ".zst", ".zip")):
        return file.read
    try:
        source = _decompressor(file, member, name)
    except TaskError:
        raise
    except _BROKEN as error:
        message = f"{name} cannot be decompressed: {error}"
        raise TaskError("bad_archive", message) from error
    return _Limited(source, file, name).read


class _Limited:
    """Decompressed bytes, up to a size and a ratio."""

    def __init__(
        self, source: Readable, file: BinaryIO, name: str
    ) -> None:
        self._source = source
        self._file = file
        self._name = name
        self._total = 0

    def read(self, count: int) -> bytes:
        try:
            data = self._source.read(count)
        except _BROKEN as error:
            reason = str(error) or type(error).__name__
            message = f"{self._name} cannot be decompressed after {self._total} bytes: {reason}"
            raise TaskError("bad_archive", message) from error
        self._total += len(data)
        if self._total > MAX_BYTES or self._is_bomb():
            raise TaskError(
                "limit_exceeded",
                f"{self._name} grows to more than {MAX_RATIO} times its size, or "
                f"{MAX_BYTES >> 30} GiB: cut off there",
            )
        return data

    def _is_bomb(self) -> bool:
        if self._total <= RATIO_FROM:
            return False
        return self._total > MAX_RATIO * max(self._file.tell(), 1)


def _decompressor(
    file: BinaryIO, member: str | None, name: str
) -> Readable:
    lower = name.lower()
    if lower.endswith(".gz"):
        return gzip.GzipFile(fileobj=file)
    if lower.endswith(".zst"):
        return _Zstd(file, name)
    archive = _opened_zip(file, name)
    info = archive.getinfo(member or _only_member(archive, name))
    if info.compress_type == zipfile.ZIP_LZMA:
        _refuse_large_dictionary(file, info, name)
    return archive.open(info)


def _refuse_large_dictionary(
    file: BinaryIO, info: zipfile.ZipInfo, name: str
) -> None:
    """Raises TaskError `limit_exceeded`. Leaves the file where it stands."""
    before = file.tell()
    file.seek(info.header_offset + _NAME_LENGTH_AT)
    name_length, extra_length = struct.unpack("<HH", file.read(4))
    file.seek(name_length + extra_length + _DICTIONARY_AT, os.SEEK_CUR)
    (size,) = struct.unpack("<I", file.read(4))
    file.seek(before)
    if size > MAX_WINDOW:
        raise _too_much_memory(name)


def _too_much_memory(name: str) -> TaskError:
    most = f"{MAX_WINDOW >> 20} MiB"
    needs = f"{name} takes more than {most} of memory to be unpacked"
    message = f"{needs}: compress it anew with a usual level"
    return TaskError("limit_exceeded", message)


def _only_member(archive: zipfile.ZipFile, name: str) -> str:
    """Raises TaskError `bad_archive` where there is none, or more than one."""
    found = _members_of(archive, name)
    if not found:
        raise TaskError("bad_archive", f"{name} holds no CSV file")
    if len(found) > 1:
        message = f"{name} holds several CSV files: name one, such as {found[0][:MAX_SHOWN]!r}"
        raise TaskError("bad_archive", message)
    return found[0]


class _Zstd:
    """zstandard's own reader takes a file that was cut off for one that has ended."""

    _COMPRESSED = (
        1024  # bytes at a time; a few may stand for a hundred kilobytes
    )

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._frame = self._begin()
        self._rest = b""

    @staticmethod
    def _begin() -> zstandard.ZstdDecompressionObj:
        return zstandard.ZstdDecompressor(
            max_window_size=MAX_WINDOW
        ).decompressobj()

    def read(self, _count: int) -> bytes:
        while True:
            data = self._rest or self._file.read(self._COMPRESSED)
            self._rest = b""
            if not data:
                if not self._frame.eof:
                    raise EOFError("it was cut off")
                return b""
            if self._frame.eof:
                self._frame = self._begin()
            try:
                out = self._frame.decompress(data)
            except zstandard.ZstdError as error:
                if "memory" in str(error):
                    raise _too_much_memory(self._name) from error
                raise
            if self._frame.eof:
                self._rest = self._frame.unused_data
            if out:
                return out


def _translated(read: Read, seek: Seek | None) -> Content:
    """UTF-16 as UTF-8, and lone carriage returns as line feeds, where the beginning has them."""
    head = _beginning(read)
    encoding = _utf16(head)
    text = head.decode(encoding, "replace").encode() if encoding else head
    has_lone_returns = _has_lone_returns(text)
    chained = _Chained(head, read, seek)
    whole = chained.read
    if not encoding and not has_lone_returns:
        return Content(whole, seek=chained.seek if seek else None)
    translation = _Translation(
        whole, encoding, has_lone_returns=has_lone_returns
    )
    return Content(translation.read, encoding)


def _beginning(read: Read) -> bytes:
    head = b""
    while len(head) < HEAD_BYTES:
        more = read(HEAD_BYTES - len(head))
        if not more:
            break
        head += more
    return head


def _has_lone_returns(text: bytes) -> bool:
    """A return at the very end may be half of a pair."""
    returns = text.count(b"\r") - text.endswith(b"\r")
    return returns > text.count(b"\r\n")


class _Chained:
    """What was read already, then the rest."""

    def __init__(
        self, head: bytes, read: Read, seek: Seek | None
    ) -> None:
        self._head = head
        self._read = read
        self._seek = seek

    def seek(self, offset: int) -> int:
        """Where the file can be sought in."""
        self._head = b""
        return self._seek(offset) if self._seek else 0

    def read(self, count: int) -> bytes:
        if self._head:
            head = self._head
            self._head = b""
            return head
        return self._read(count)


def _decoder_of(encoding: str | None) -> codecs.IncrementalDecoder | None:
    if encoding is None:
        return None
    return codecs.getincrementaldecoder(encoding)("replace")


class _Translation:
    """Bytes in another encoding, or with other line ends, as they come."""

    def __init__(
        self, read: Read, encoding: str | None, *, has_lone_returns: bool
    ) -> None:
        self._read = read
        self._decoder = _decoder_of(encoding)
        self._newlines = _Newlines() if has_lone_returns else None
        self._ended = False

    def read(self, count: int) -> bytes:
        while not self._ended:
            data = self._read(count)
            self._ended = not data
            out = self._translate(data)
            if out:
                return out
        return b""

    def _translate(self, data: bytes) -> bytes:
        if self._decoder is not None:
            data = self._decoder.decode(data, self._ended).encode()
        if self._newlines is not None:
            data = self._newlines.translate(data, is_last=self._ended)
        return data


def _utf16(head: bytes) -> str | None:
    """UTF-16 by its mark, or by every other byte being zero."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = head[:_UTF16_SAMPLE]
    if len(sample) < 8 or sample.count(0) <= len(sample) * 0.4:
        return None
    is_little = sample[1::2].count(0) > sample[0::2].count(0)
    return "utf-16-le" if is_little else "utf-16-be"


class _Newlines:
    """`\\r\\n` and `\\r` as `\\n`, as they come."""

    def __init__(self) -> None:
        self._held = b""

    def translate(self, data: bytes, *, is_last: bool) -> bytes:
        data = self._held + data
        self._held = b""
        if data.endswith(b"\r") and not is_last:
            data = data[:-1]
            self._held = b"\r"
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
