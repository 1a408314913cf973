"""Reading one CSV file from a cursor on: rows, pages, and where the file stands after them.

Decoded in syntax only: a record is a row as a list of texts.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.extractor.sources.base import Slice
from shared.csvfile.content import Content
from shared.csvfile.folder import CsvFile
from shared.csvfile.overrides import Hints
from shared.csvfile.profile import Profile, profile
from shared.errors import TaskError
from shared.messages.base import MAX_PAGE_RECORDS, MAX_PAYLOAD, Json, Stage
from shared.messages.pages import Rejection

MAX_LINE_BYTES = 128 * 1024
MAX_QUOTED_LINES = 100  # of one record; more means a quote that was never closed
PAGE_BYTES = 128 * 1024  # of the file
BLOCK_BYTES = 64 * 1024  # of plain rows, read and cut in one go
MAX_BLOCKS = 4  # tried for a page, so that a file full of quotes is not read again and again
ENOUGH_ROWS = 2  # to see how far apart rows are
CHUNK = 1 << 20


class Cursor(msgspec.Struct, forbid_unknown_fields=False):
    """Where a file stands. `open_row` is where its last row began, when no line end closed that row yet."""

    offset: int
    row: int
    line: int
    sha256: str
    dialect: Json
    open_row: list[int] | None = None  # offset, row, line


@dataclass
class _Page:
    """Rows of the page being filled."""

    offset: int
    row: int
    line: int
    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    size: int = 0

    def is_full(self) -> bool:
        return len(self.rows) + len(self.rejections) >= MAX_PAGE_RECORDS or self.size >= PAGE_BYTES


class FileReader:
    """Reads one file from a cursor on. Runs in a thread."""

    def __init__(self, file: CsvFile, hints: Hints) -> None:
        self._opened, self._path, self._hints = file, file.path, hints
        self._row = self._line = 0
        self._hash = hashlib.sha256()
        self._dialect: Json = {}
        self._open_row: list[int] | None = None
        self._file: Content

    def slices(self, cursor: Any | None) -> Generator[Slice, None, None]:
        """Raises TaskError: the file cannot be read, or what it is cannot be known."""
        note = None
        if cursor is not None:
            with self._opened.opened() as self._file:
                note = self._resume(cursor)
                if note is None:
                    yield from self._rest()
                    return
        found = profile(self._opened, self._hints)
        if found is None:
            yield Slice([], None, note=note or f"{self._path}: no rows yet")
            return
        if found.refusal is not None:
            raise TaskError(found.refusal.reason, found.refusal.message)
        with self._opened.opened() as self._file:
            self._begin(found)
            yield Slice([], self._cursor(), note=note, profile=found.described())
            yield from self._rest()

    def _rest(self) -> Iterator[Slice]:
        pages = 0
        while (page := self._next_page()).size:
            if page.rows or page.rejections:
                pages += 1
                yield self._slice(page)
        if pages == 0:
            yield Slice([], self._cursor(), note=f"{self._path}: nothing new since byte {self._file.offset}")

    # -- where to start -----------------------------------------------------------------------------------------------

    def _begin(self, found: Profile) -> None:
        head = found.head
        self._dialect = {"encoding": head.encoding, "context": found.context}
        self._row, self._line, self._open_row = 0, head.lines, None
        self._hash = hashlib.sha256(self._file.take(head.size))

    def _resume(self, cursor: Any) -> str | None:
        """Stand where the cursor says; a sentence when the file is no longer what was read, and is read from its start."""
        try:
            known = msgspec.convert(cursor, Cursor)
            context = known.dialect["context"]
        except (msgspec.ValidationError, KeyError, TypeError) as error:
            return f"{self._path}: the checkpoint cannot be used ({error}), read from the start"
        if context.get("mapping", {}) != self._hints.said():
            return f"{self._path}: mapping.yaml says something else about it now, read from the start"
        stand = known.open_row[0] if known.open_row else known.offset
        if not 0 <= stand <= known.offset <= stand + 2 * MAX_LINE_BYTES:
            return f"{self._path}: the checkpoint cannot be used (offset {known.offset}), read from the start"
        self._skip(stand)
        behind = self._file.peek(known.offset - stand + 1)
        last_row, more = behind[: known.offset - stand], behind[known.offset - stand :]
        if self._file.offset + len(last_row) < known.offset:
            return f"{self._path}: the file shrank to {self._file.offset + len(last_row)} bytes ({known.offset} were read), read from the start"
        if more and known.row and len(context.get("sample", ())) < ENOUGH_ROWS:
            return f"{self._path}: the file has grown, read from the start to learn more about it"
        whole = self._hash.copy()
        whole.update(last_row)
        if whole.hexdigest() != known.sha256:
            return f"{self._path}: the file was rewritten, read from the start"
        self._row, self._line, self._dialect = known.row, known.line, known.dialect
        if known.open_row and more and more not in (b"\n", b"\r"):  # the last row goes on
            _, self._row, self._line = known.open_row
            return None
        self._file.take(len(last_row))
        self._hash, self._open_row = whole, known.open_row if not more else None
        return None

    def _skip(self, length: int) -> None:
        """Leave the beginning of the file behind, hashed."""
        self._hash = hashlib.sha256()
        while self._file.offset < length and (chunk := self._file.take(min(length - self._file.offset, CHUNK))):
            self._hash.update(chunk)

    def _cursor(self) -> Json:
        cursor = Cursor(self._file.offset, self._row, self._line, self._hash.hexdigest(), self._dialect, self._open_row)
        return msgspec.to_builtins(cursor)  # type: ignore[no-any-return]

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _next_page(self) -> _Page:
        """The next rows; a page of size 0 at the end of the file."""
        page = _Page(self._file.offset, self._row, self._line)
        encoding, delimiter = self._dialect["encoding"], self._dialect["context"]["delimiter"]
        blocks = MAX_BLOCKS
        while not page.is_full():
            if blocks:
                blocks -= 1
                if self._take_block(page, encoding, delimiter):
                    continue
            if not self._take_row(page, encoding, delimiter):
                break
        if page.raw:
            self._hash.update(b"".join(page.raw))
        return page

    def _take_block(self, page: _Page, encoding: str, delimiter: str) -> bool:
        """Take the plain rows that come next, cut in one go: nearly all rows of nearly all files. False when there are none.

        What has quotes, is blank or has no line end yet is left to `_take_row`, which says the same of plain rows, slowly.
        """
        block = self._file.peek(BLOCK_BYTES)
        quote = block.find(b'"')
        block = block[: block.rfind(b"\n", 0, quote if quote >= 0 else len(block)) + 1]
        lines = block.split(b"\n", MAX_PAGE_RECORDS - len(page.rows) - len(page.rejections))
        block = block[: len(block) - len(lines.pop())]
        texts = [text.rstrip("\r") for text in block.decode(encoding, "replace").split("\n")[:-1]]
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

    def _take_row(self, page: _Page, encoding: str, delimiter: str) -> bool:
        """Take one row, or skip or reject one line. False at the end of the file."""
        start, line_no = self._file.offset, self._line + 1
        ahead = self._file.peek(MAX_LINE_BYTES + 1)
        if not ahead:
            return False
        line = ahead[: ahead.find(b"\n") + 1 or len(ahead)]
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            self._reject_long_line(page, line_no)
            return True
        if b'"' in line:
            return self._take_quoted(page, line, line_no, encoding, delimiter)
        self._take(page, line, 1, [start, self._row, self._line])
        text = line.decode(encoding, "replace").rstrip("\r\n")
        if text and not text.isspace():
            self._add(page, text.split(delimiter), line_no)
        return True

    def _take(self, page: _Page, piece: bytes, lines: int, begin: list[int]) -> None:
        page.raw.append(self._file.take(len(piece)))
        page.size += len(piece)
        self._line += lines
        self._open_row = None if piece.endswith((b"\n", b"\r")) else begin

    def _add(self, page: _Page, row: list[str], line_no: int) -> None:
        self._row += 1
        page.rows.append(row)
        page.lines.append(line_no)

    def _take_quoted(self, page: _Page, line: bytes, line_no: int, encoding: str, delimiter: str) -> bool:
        """Take or reject a row that has quotes: it may go on over several lines."""
        ahead = self._file.peek(2 * MAX_LINE_BYTES)
        begin, size, count = [self._file.offset, self._row, self._line], 0, 0

        def lines() -> Iterator[str]:
            nonlocal size, count
            while count <= MAX_QUOTED_LINES and size < MAX_LINE_BYTES and size < len(ahead):
                end = ahead.find(b"\n", size) + 1 or len(ahead)
                piece, size, count = ahead[size:end], end, count + 1
                yield piece.decode(encoding, "replace")

        try:
            row = next(csv.reader(lines(), delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            # This line is at fault, not the many that an unclosed quote would swallow.
            reason = (
                ("unclosed_quote", "a quote is opened and not closed")
                if count > 1 or "end of data" in str(error)
                else ("bad_quoting", "quotes stand where none may be")
            )
            self._take(page, line, 1, begin)
            self._reject(page, *reason, line_no, line)
            return True
        self._take(page, ahead[:size], count, begin)
        self._add(page, row, line_no)
        return True

    def _reject_long_line(self, page: _Page, line_no: int) -> None:
        """Read past a line that is too long to be a row, keeping only its beginning."""
        self._hash.update(b"".join(page.raw))
        page.raw.clear()
        beginning, digest, piece = b"", hashlib.sha256(), b""
        while not piece.endswith(b"\n") and (piece := self._file.readline(CHUNK)):
            beginning = beginning or piece[:MAX_LINE_BYTES]
            self._hash.update(piece)
            digest.update(piece)
            page.size += len(piece)
        self._line += 1
        self._open_row = None
        self._reject(page, "line_too_long", f"the line has more than {MAX_LINE_BYTES} bytes", line_no, beginning, digest.hexdigest())

    def _reject(self, page: _Page, reason: str, message: str, line_no: int, line: bytes, digest: str | None = None) -> None:
        """`digest`: of the whole line, where `line` is its beginning."""
        self._row += 1
        payload = line[:MAX_PAYLOAD].decode("utf-8", "replace")
        page.rejections.append(
            Rejection(
                reason=reason, message=f"line {line_no}: {message}", origin={"line": line_no}, payload=payload, stage=Stage.EXTRACT,
                payload_sha256=digest or hashlib.sha256(line).hexdigest(),
            )
        )  # fmt: skip

    def _slice(self, page: _Page) -> Slice:
        origin: Json = {"path": self._path, "bytes": [page.offset, self._file.offset], "first_row": page.row + 1}
        first = page.lines[0] if page.lines else page.line + 1
        if page.lines != list(range(first, first + len(page.lines))):
            origin["lines"] = page.lines
        else:
            origin["first_line"] = first
        return Slice(page.rows, self._cursor(), self._dialect["context"], origin, page.rejections)
