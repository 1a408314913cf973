"""The bytes of a file, read forward only: decompressed, in an encoding that extends ASCII, lines ending in a line feed.

So a plain file, a `.csv.gz`, a member of a `.zip` and a file in UTF-16 are all read, resumed and hashed alike; offsets
count the bytes that come out here.
"""

from __future__ import annotations

import codecs
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import zstandard

from shared.errors import TaskError

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst", ".zip")
MAX_BYTES = 32 << 30  # decompressed
MAX_RATIO = 500  # decompressed to compressed, once it is more than a beginning
RATIO_FROM = 64 << 20
MAX_MEMBERS = 1_000
HEAD_BYTES = 256 * 1024
_CHUNK = 256 * 1024
_BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, zstandard.ZstdError, NotImplementedError, RuntimeError)


class Content:
    """What comes next in a file, with look-ahead."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read, self._buffer, self._start = read, bytearray(), 0
        self._ended = False
        self.offset = 0

    def peek(self, count: int) -> bytes:
        """The next `count` bytes; fewer at the end of the file only."""
        while not self._ended and len(self._buffer) - self._start < count:
            if self._start > _CHUNK:
                del self._buffer[: self._start]
                self._start = 0
            piece = self._read(max(_CHUNK, count))
            self._buffer += piece
            self._ended = not piece
        return bytes(self._buffer[self._start : self._start + count])

    def take(self, count: int) -> bytes:
        """The next `count` bytes, left behind."""
        piece = self.peek(count)
        self._start += len(piece)
        self.offset += len(piece)
        return piece

    def readline(self, limit: int) -> bytes:
        """The rest of the line, with its end; at most `limit` bytes of it."""
        found = self._buffer.find(b"\n", self._start, self._start + limit)
        if found < 0:
            self.peek(limit)
            found = self._buffer.find(b"\n", self._start, self._start + limit)
        return self.take(limit if found < 0 else found + 1 - self._start)


@contextmanager
def open_content(path: Path, member: str | None = None) -> Iterator[Content]:
    """The content of a file, or of one member of a zip. Errors: TaskError `unreadable_file`, `bad_archive`, `limit_exceeded`."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise TaskError("unreadable_file", f"{path.name}: {error.strerror}") from error
    with file:
        yield Content(_translated(_decompressed(file, path.name, member)))


def members(path: Path) -> list[str]:
    """The CSV files in a zip. Raises TaskError `bad_archive` and `limit_exceeded`."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith((".csv", ".tsv")) and "__MACOSX" not in name]
    except _BROKEN as error:
        raise TaskError("bad_archive", f"{path.name} is no zip that can be read: {error}") from error
    if len(names) > MAX_MEMBERS:
        raise TaskError("limit_exceeded", f"{path.name} holds {len(names)} CSV files, at most {MAX_MEMBERS} are read")
    return sorted(names)


def _decompressed(file: BinaryIO, name: str, member: str | None) -> Callable[[int], bytes]:
    lower = name.lower()
    if not lower.endswith((".gz", ".zst", ".zip")):
        return file.read
    try:
        source = _decompressor(file, lower, member, name)
    except _BROKEN as error:
        raise TaskError("bad_archive", f"{name} cannot be decompressed: {error}") from error
    total = 0

    def read(count: int) -> bytes:
        nonlocal total
        try:
            piece = source.read(count)
        except _BROKEN as error:
            raise TaskError("bad_archive", f"{name} cannot be decompressed after {total} bytes: {error or type(error).__name__}") from error
        total += len(piece)
        if total > MAX_BYTES or (total > RATIO_FROM and total > MAX_RATIO * max(file.tell(), 1)):
            raise TaskError(
                "limit_exceeded", f"{name} grows to more than {MAX_RATIO} times its size, or {MAX_BYTES >> 30} GiB: cut off there"
            )
        return piece

    return read


def _decompressor(file: BinaryIO, lower: str, member: str | None, name: str) -> BinaryIO:
    if lower.endswith(".gz"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if lower.endswith(".zst"):
        return _Zstd(file)  # type: ignore[return-value]
    archive = zipfile.ZipFile(file)
    names = [member] if member else [each for each in archive.namelist() if each.lower().endswith((".csv", ".tsv"))]
    if not names:
        raise TaskError("bad_archive", f"{name} holds no CSV file")
    return archive.open(names[0])  # type: ignore[return-value]


class _Zstd:
    """zstandard's own reader takes a file that was cut off for one that has ended."""

    _PIECE = 1024  # compressed; a few bytes may stand for a hundred kilobytes

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._frame, self._rest = file, self._begin(), b""

    @staticmethod
    def _begin() -> zstandard.ZstdDecompressionObj:
        return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()

    def read(self, _count: int) -> bytes:
        while True:
            piece = self._rest or self._file.read(self._PIECE)
            self._rest = b""
            if not piece:
                if not self._frame.eof:
                    raise EOFError("it was cut off")
                return b""
            if self._frame.eof:
                self._frame = self._begin()
            out = self._frame.decompress(piece)
            if self._frame.eof:
                self._rest = self._frame.unused_data
            if out:
                return out


def _translated(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """UTF-16 as UTF-8, and lone carriage returns as line feeds, where the beginning of the file shows them."""
    head = b""
    while len(head) < HEAD_BYTES and (piece := read(HEAD_BYTES - len(head))):
        head += piece
    encoding = _utf16(head)
    text = head.decode(encoding, "replace").encode() if encoding else head
    lone_returns = text.count(b"\r") > text.count(b"\r\n") + text.endswith(b"\r")
    if not encoding and not lone_returns:
        return _chained(head, read)
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
    newlines = _Newlines() if lone_returns else None

    def translate(piece: bytes, *, is_last: bool) -> bytes:
        if decoder is not None:
            piece = decoder.decode(piece, is_last).encode()
        return newlines.translate(piece, is_last=is_last) if newlines else piece

    inner, ended = _chained(head, read), False

    def read_translated(count: int) -> bytes:
        nonlocal ended
        while not ended:
            piece = inner(count)
            ended = not piece
            if out := translate(piece, is_last=ended):
                return out
        return b""

    return read_translated


def _chained(head: bytes, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    rest: bytes | None = head

    def chained(count: int) -> bytes:
        nonlocal rest
        if rest:
            piece, rest = rest, None
            return piece
        return read(count)

    return chained


def _utf16(head: bytes) -> str | None:
    """UTF-16 by its mark, or by every other byte being zero."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = head[:4096]
    if len(sample) >= 8 and sample.count(0) > len(sample) * 0.4:
        return "utf-16-le" if sample[1::2].count(0) > sample[0::2].count(0) else "utf-16-be"
    return None


class _Newlines:
    """`\\r\\n` and `\\r` as `\\n`, over pieces."""

    def __init__(self) -> None:
        self._held = b""

    def translate(self, piece: bytes, *, is_last: bool) -> bytes:
        piece = self._held + piece
        self._held = b""
        if piece.endswith(b"\r") and not is_last:
            piece, self._held = piece[:-1], b"\r"
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
