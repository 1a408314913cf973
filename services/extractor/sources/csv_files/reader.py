"""Reading one CSV file from a cursor on: rows, pages, and where the file stands after them.

Decoded in syntax only: a record is a row as a list of texts.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.extractor.sources.base import Slice
from shared.csvfile.content import Content
from shared.csvfile.folder import CsvFile
from shared.csvfile.overrides import Overrides
from shared.csvfile.profile import Profiled
from shared.errors import TaskError
from shared.messages.base import (
    MAX_PAGE_RECORDS,
    MAX_PAYLOAD,
    Json,
    Stage,
)
from shared.messages.pages import Rejection

MAX_LINE_BYTES = 128 * 1024
MAX_QUOTED_LINES = (
    100  # of one record; more means a quote that was never closed
)
PAGE_BYTES = 256 * 1024  # of the file
BLOCK_BYTES = 64 * 1024  # of rows without quotes, read and cut in one go
MAX_BLOCKS = 4  # tried for a page, so that a file full of quotes is not read again and again
HAS_GROWN = (
    "the file has grown, read from the start to learn more about it"
)
ENOUGH_ROWS = 2  # to see how far apart rows are
CHUNK = 1 << 20
Look = Callable[[CsvFile, Overrides], Profiled | None]
UNCLOSED_QUOTE = ("unclosed_quote", "a quote is opened and not closed")
BAD_QUOTING = ("bad_quoting", "quotes stand where none may be")


class Cursor(msgspec.Struct, forbid_unknown_fields=False):
    """Where a file stands.

    `open_row`: offset, row and line where its last row began, when no line end closed it yet.
    `dialect`: what the file is taken for; None where somebody has set the cursor. `version`: of
    what was read, where its place tells one; `is_end`: all of that version was read. `sha256` is
    empty behind a part that was not read again, since its version was known.
    """

    offset: int
    row: int
    line: int
    sha256: str
    dialect: Json | None
    open_row: tuple[int, int, int] | None = None
    version: str | None = None
    is_end: bool = False

    def is_possible(self) -> bool:
        """Whether its numbers are those of a file: each row and line takes a byte."""
        counts = [self.row, self.line, *(self.open_row or ())]
        return all(0 <= count <= self.offset for count in counts)


@dataclass
class _Page:
    """Rows of the page being filled. `digest`: of the bytes that it takes."""

    offset: int
    row: int
    line: int
    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def room(self) -> int:
        """Rows that still fit."""
        return MAX_PAGE_RECORDS - len(self.rows) - len(self.rejections)

    def is_full(self) -> bool:
        return self.room() <= 0 or self.size >= PAGE_BYTES


@dataclass
class _Quoted:
    """A record with quotes: how many bytes and lines it takes of what lies ahead."""

    ahead: bytes
    encoding: str
    size: int = 0
    count: int = 0

    def lines(self) -> Iterator[str]:
        while (
            self.count <= MAX_QUOTED_LINES and self.size < MAX_LINE_BYTES
        ):
            if self.size >= len(self.ahead):
                return
            end = self.ahead.find(b"\n", self.size) + 1 or len(self.ahead)
            line = self.ahead[self.size : end]
            self.size = end
            self.count += 1
            yield line.decode(self.encoding, "replace")


class FileReader:
    """Reads one file from a cursor on. Runs in a thread."""

    def __init__(
        self, file: CsvFile, overrides: Overrides, look: Look
    ) -> None:
        """`look`: finds out what a whole file is to be taken for."""
        self._opened = file
        self._look = look
        self._path = file.path
        self._overrides = overrides
        self._row = 0
        self._line = 0
        self._hash: Any = (
            hashlib.sha256()
        )  # None: what was read is not known
        self._dialect: Json = {}
        self._open_row: tuple[int, int, int] | None = None
        self._file: Content

    def slices(self, cursor: Any | None) -> Generator[Slice, None, None]:
        """Raises TaskError: the file cannot be read, or what it is cannot be known."""
        self._refuse_ignored()
        note = None
        if self._is_read(cursor):
            note = f"{self._path}: nothing new, it is the version that was read"
            yield Slice([], cursor, note=note)
            return
        if cursor is not None:
            with self._opened.opened() as self._file:
                note = self._resume(cursor)
                if note is None:
                    yield from self._rest()
                    return
        yield from self._whole(note)

    def _is_read(self, cursor: Any | None) -> bool:
        """Whether all of this version of the file was read, by the mapping that counts now."""
        if cursor is None or not self._opened.version:
            return False
        try:
            known = msgspec.convert(cursor, Cursor)
            mapping = (known.dialect or {})["context"].get("mapping", {})
        except (msgspec.ValidationError, KeyError, TypeError):
            return False
        return (
            known.is_end
            and known.version == self._opened.version
            and mapping == self._overrides.given()
        )

    def _refuse_ignored(self) -> None:
        if self._overrides.ignore:
            message = f"{self._path}: mapping.yaml says `ignore: true`"
            raise TaskError("ignored", message)

    def _whole(self, note: str | None) -> Generator[Slice, None, None]:
        """All of the file. `note`: why it is not resumed."""
        found = self._look(self._opened, self._overrides)
        if found is None:
            yield Slice(
                [], None, note=note or f"{self._path}: no rows yet"
            )
            return
        if found.refusal is not None:
            raise TaskError(*found.refusal)
        with self._opened.opened() as self._file:
            self._begin(found)
            yield Slice(
                [], self._cursor(), note=note, profile=found.described
            )
            yield from self._rest()

    def _rest(self) -> Iterator[Slice]:
        pages = 0
        while (page := self._next_page()).size:
            if page.rows or page.rejections:
                pages += 1
                yield self._slice(page)
        if pages and self._opened.version:
            yield Slice([], self._cursor(is_end=True))
        elif pages == 0:
            note = f"{self._path}: nothing new since byte {self._file.offset}"
            yield Slice([], self._cursor(is_end=True), note=note)

    # -- where to start ---------------------------------------------------------------------------

    def _begin(self, found: Profiled) -> None:
        header = found.header
        self._dialect = _dialect(found)
        beginning = self._file.take(header.size)
        self._hash = hashlib.sha256(beginning)
        self._row = 0
        self._line = header.lines
        self._open_row = None

    def _resume(self, cursor: Any) -> str | None:
        """Stand where the cursor says.

        Returns a sentence when the file is no longer what was read, and is read from its start.
        """
        try:
            known = msgspec.convert(cursor, Cursor)
            first = 0
            if known.dialect is None:
                known, first = self._recognized(known)
            dialect = known.dialect or {}
            context = dialect["context"]
        except (msgspec.ValidationError, KeyError, TypeError) as error:
            return self._from_start(
                f"the checkpoint cannot be used ({error})"
            )
        if context.get("mapping", {}) != self._overrides.given():
            reason = "mapping.yaml says something else about it now"
            return self._from_start(reason)
        open_at = known.open_row[0] if known.open_row else known.offset
        if (
            not first
            <= open_at
            <= known.offset
            <= open_at + 2 * MAX_LINE_BYTES
        ):
            reason = (
                f"the checkpoint cannot be used (offset {known.offset})"
            )
            return self._from_start(reason)
        if not known.is_possible():
            return self._from_start(
                f"the checkpoint cannot be used (row {known.row}, line {known.line})"
            )
        return self._stand_at(
            known,
            dialect,
            open_at,
        )

    def _recognized(self, known: Cursor) -> tuple[Cursor, int]:
        """A cursor with what its file is taken for, and where the first row begins."""
        found = self._look(self._opened, self._overrides)
        if found is None:
            return known, 0
        if found.refusal is not None:
            raise TaskError(*found.refusal)
        whole = msgspec.structs.replace(known, dialect=_dialect(found))
        return whole, found.header.size

    def _stand_at(
        self, known: Cursor, dialect: Json, open_at: int
    ) -> str | None:
        is_same = bool(known.version) and (
            known.version == self._opened.version
        )
        if is_same and open_at and self._file.jump(open_at - 1):
            self._hash = None
            last_byte = self._file.take(1)
        else:
            last_byte = self._skip(open_at)
        if last_byte not in (b"", b"\n", b"\r"):
            reason = f"no line begins where the checkpoint stands (byte {open_at})"
            return self._from_start(reason)
        length = known.offset - open_at
        ahead = self._file.peek(length + 1)
        last_row = ahead[:length]
        more = ahead[length:]
        whole = self._hash and self._hash.copy()
        if whole:
            whole.update(last_row)
        size = self._file.offset + len(last_row)
        if size < known.offset:
            shrunk = f"the file shrank to {size} bytes"
            return self._from_start(
                f"{shrunk} ({known.offset} were read)"
            )
        is_little = (
            len(dialect["context"].get("sample", ())) < ENOUGH_ROWS
        )
        if more and known.row and is_little:
            return f"{self._path}: {HAS_GROWN}"
        if not known.sha256 and not is_same:
            return self._from_start("it is another version")
        if whole and known.sha256 and whole.hexdigest() != known.sha256:
            return self._from_start("the file was rewritten")
        self._dialect = dialect
        self._row = known.row
        self._line = known.line
        goes_on = known.open_row and more not in (b"", b"\n", b"\r")
        if known.open_row and goes_on:
            _, self._row, self._line = known.open_row
            return None
        self._file.take(len(last_row))
        self._hash = whole
        self._open_row = None if more else known.open_row
        return None

    def _from_start(self, reason: str) -> str:
        return f"{self._path}: {reason}, read from the start"

    def _skip(self, length: int) -> bytes:
        """Leave the beginning of the file behind, hashed; returns its last byte."""
        self._hash = hashlib.sha256()
        chunk = b""
        while self._file.offset < length:
            chunk = self._file.take(
                min(length - self._file.offset, CHUNK)
            )
            if not chunk:
                return b""
            self._hash.update(chunk)
        return chunk[-1:]

    def _cursor(self, *, is_end: bool = False) -> Json:
        cursor = Cursor(
            self._file.offset,
            self._row,
            self._line,
            self._hash.hexdigest() if self._hash else "",
            self._dialect,
            self._open_row,
            self._opened.version,
            is_end and bool(self._opened.version),
        )
        return msgspec.to_builtins(cursor)  # type: ignore[no-any-return]

    # -- rows -------------------------------------------------------------------------------------

    def _next_page(self) -> _Page:
        """The next rows; a page of size 0 at the end of the file."""
        page = _Page(self._file.offset, self._row, self._line)
        encoding = self._dialect["encoding"]
        delimiter = self._dialect["context"]["delimiter"]
        blocks = MAX_BLOCKS
        while not page.is_full():
            if blocks:
                blocks -= 1
                if self._take_block(page, encoding, delimiter):
                    continue
            if not self._take_row(page, encoding, delimiter):
                break
        self._hash_taken(page)
        return page

    def _hash_taken(self, page: _Page) -> None:
        """Hash what was taken for the page so far."""
        taken = b"".join(page.raw)
        page.raw.clear()
        if self._hash:
            self._hash.update(taken)
        page.digest.update(taken)

    def _take_block(
        self, page: _Page, encoding: str, delimiter: str
    ) -> bool:
        """Take the rows without quotes that come next, cut in one go.

        These are nearly all rows of nearly all files. False when there are none: what has quotes,
        is blank or has no line end yet is left to `_take_row`, which reads every row alike, slowly.
        """
        block = _before_quotes(self._file.peek(BLOCK_BYTES))
        lines = block.split(b"\n", page.room())
        block = block[: len(block) - len(lines.pop())]
        texts = _lines(block.decode(encoding, "replace"))
        if not texts or "" in texts or any(map(str.isspace, texts)):
            return False
        page.rows += [text.split(delimiter) for text in texts]
        page.lines += range(self._line + 1, self._line + 1 + len(texts))
        page.raw.append(self._file.take(len(block)))
        page.size += len(block)
        self._line += len(texts)
        self._row += len(texts)
        self._open_row = None
        return True

    def _take_row(
        self, page: _Page, encoding: str, delimiter: str
    ) -> bool:
        """Take one row, or skip or reject one line. False at the end of the file."""
        begin = (self._file.offset, self._row, self._line)
        ahead = self._file.peek(MAX_LINE_BYTES + 1)
        if not ahead:
            return False
        line = ahead[: ahead.find(b"\n") + 1 or len(ahead)]
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            self._reject_long_line(page)
        elif b'"' in line:
            self._take_quoted(page, line, encoding, delimiter)
        else:
            self._take(page, line, 1, begin)
            text = line.decode(encoding, "replace").rstrip("\r\n")
            if text and not text.isspace():
                self._add(page, text.split(delimiter), begin[2] + 1)
        return True

    def _take(
        self,
        page: _Page,
        data: bytes,
        lines: int,
        begin: tuple[int, int, int],
    ) -> None:
        page.raw.append(self._file.take(len(data)))
        page.size += len(data)
        self._line += lines
        self._open_row = None if data.endswith((b"\n", b"\r")) else begin

    def _add(self, page: _Page, row: list[str], line_no: int) -> None:
        self._row += 1
        page.rows.append(row)
        page.lines.append(line_no)

    def _take_quoted(
        self, page: _Page, line: bytes, encoding: str, delimiter: str
    ) -> None:
        """Take or reject a row that has quotes: it may go on over several lines."""
        begin = (self._file.offset, self._row, self._line)
        line_no = self._line + 1
        quoted = _Quoted(self._file.peek(2 * MAX_LINE_BYTES), encoding)
        try:
            row = next(
                csv.reader(
                    quoted.lines(),
                    delimiter=delimiter,
                    skipinitialspace=True,  # before a quote
                    strict=True,
                ),
                [],
            )
        except csv.Error as error:
            # This line is at fault, not the many that an unclosed quote would swallow.
            is_unclosed = quoted.count > 1 or "end of data" in str(error)
            reason, message = (
                UNCLOSED_QUOTE if is_unclosed else BAD_QUOTING
            )
            self._take(page, line, 1, begin)
            self._reject(page, reason, message, line_no, line)
            return
        self._take(page, quoted.ahead[: quoted.size], quoted.count, begin)
        self._add(page, row, line_no)

    def _reject_long_line(self, page: _Page) -> None:
        """Read past a line that is too long to be a row, keeping only its beginning."""
        self._hash_taken(page)
        beginning = b""
        part = b""
        digest = hashlib.sha256()
        while not part.endswith(b"\n") and (
            part := self._file.readline(CHUNK)
        ):
            beginning = beginning or part[:MAX_LINE_BYTES]
            if self._hash:
                self._hash.update(part)
            page.digest.update(part)
            digest.update(part)
            page.size += len(part)
        self._line += 1
        self._open_row = None
        message = f"the line has more than {MAX_LINE_BYTES} bytes"
        self._reject(
            page,
            "line_too_long",
            message,
            self._line,
            beginning,
            digest.hexdigest(),
        )

    def _reject(
        self,
        page: _Page,
        reason: str,
        message: str,
        line_no: int,
        line: bytes,
        digest: str | None = None,
    ) -> None:
        """`digest`: of the whole line, where `line` is its beginning."""
        self._row += 1
        page.rejections.append(
            Rejection(
                reason=reason,
                message=f"line {line_no}: {message}",
                origin={"line": line_no},
                payload=line[:MAX_PAYLOAD].decode("utf-8", "replace"),
                stage=Stage.EXTRACT,
                payload_sha256=digest or hashlib.sha256(line).hexdigest(),
            )
        )

    def _slice(self, page: _Page) -> Slice:
        origin: Json = {
            "path": self._path,
            "bytes": [page.offset, self._file.offset],
            "sha256": page.digest.hexdigest(),
            "first_row": page.row + 1,
        }
        first = page.lines[0] if page.lines else page.line + 1
        if page.lines != list(range(first, first + len(page.lines))):
            origin["lines"] = page.lines
        else:
            origin["first_line"] = first
        context = self._dialect["context"]
        return Slice(
            page.rows,
            self._cursor(),
            context,
            origin,
            page.rejections,
            is_unique=self._file.offset
            <= self._dialect.get("unique_to", 0),
        )


def _dialect(found: Profiled) -> Json:
    dialect: Json = {
        "encoding": found.header.encoding,
        "context": found.context,
    }
    if found.are_unique:
        # What was appended since is not known to be.
        size = found.context["evidence"]["bytes"]
        dialect["unique_to"] = found.header.size + size
    return dialect


def _before_quotes(block: bytes) -> bytes:
    """The whole lines before the first quote."""
    plain = block.partition(b'"')[0]
    return plain[: plain.rfind(b"\n") + 1]


def _lines(text: str) -> list[str]:
    """Lines that have ended, without their ends."""
    return [line.rstrip("\r") for line in text.split("\n")[:-1]]
