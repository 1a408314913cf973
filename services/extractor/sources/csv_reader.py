"""Reading one CSV file from a cursor on: rows, pages, and where the file stands after them.

Decoded in syntax only: a record is a row as a list of texts.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import msgspec

from services.extractor.sources.base import Slice
from services.extractor.sources.csv_dialect import delimiter_of, is_utf8, parsed_rows
from shared.errors import TaskError
from shared.events import MAX_PAGE_RECORDS, MAX_PAYLOAD, Json, Rejection, Stage

MAX_LINE_BYTES = 128 * 1024
MAX_QUOTED_LINES = 100  # of one record; more means a quote that was never closed
PAGE_BYTES = 128 * 1024  # of the file
BLOCK_BYTES = 64 * 1024  # of plain rows, read and cut in one go
MAX_BLOCKS = 4  # tried for a page, so that a file full of quotes is not read again and again
SAMPLE_ROWS = 20
ENOUGH_ROWS = 2  # to see how far apart rows are
PREAMBLE_LINES = 20
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


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
    """Reads one open file from a cursor on. Runs in a thread."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file, self._path = file, path
        self._offset = self._row = self._line = 0
        self._hash = hashlib.sha256()
        self._dialect: Json = {}
        self._open_row: list[int] | None = None

    def slices(self, cursor: Any | None) -> Iterator[Slice]:
        note = self._resume(cursor)
        if not self._dialect:
            self._read_header()
        if note:
            yield Slice([], self._cursor(), note=note)
        pages = 0
        while self._dialect and (page := self._next_page()).size:
            if page.rows or page.rejections:
                pages += 1
                yield self._slice(page)
        if pages == 0:
            yield Slice([], self._cursor(), note=f"{self._path}: nothing new since byte {self._offset}")

    # -- where to start -----------------------------------------------------------------------------------------------

    def _resume(self, cursor: Any | None) -> str | None:
        """Stand where the cursor says; a sentence when the file is no longer what was read, and is read from its start."""
        if cursor is None:
            return None
        try:
            known = msgspec.convert(cursor, Cursor)
        except msgspec.ValidationError as error:
            return f"{self._path}: the checkpoint cannot be used ({error}), read from the start"
        size = os.fstat(self._file.fileno()).st_size
        if known.offset < 0 or size < known.offset:
            return f"{self._path}: the file shrank to {size} bytes ({known.offset} were read), read from the start"
        target, row, line = known.offset, known.row, known.line
        if size > known.offset and len(known.dialect.get("sample", ())) < ENOUGH_ROWS and known.row:
            return f"{self._path}: the file has grown, read from the start to learn more about it"
        grew_in_last_row = known.open_row is not None and size > known.offset and self._continues_row(known.offset)
        if not self._hash_prefix(known.offset, known.sha256):
            return f"{self._path}: the file was rewritten, read from the start"
        if grew_in_last_row and known.open_row:
            target, row, line = known.open_row
            self._hash_prefix(target, None)
        elif size == known.offset:
            self._open_row = known.open_row
        self._offset, self._row, self._line, self._dialect = target, row, line, known.dialect
        self._file.seek(target)
        return None

    def _continues_row(self, offset: int) -> bool:
        self._file.seek(offset)
        return self._file.read(1) not in (b"\n", b"\r")

    def _hash_prefix(self, length: int, expected: str | None) -> bool:
        self._file.seek(0)
        digest, left = hashlib.sha256(), length
        while left > 0 and (chunk := self._file.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
        if expected is not None and digest.hexdigest() != expected:
            self._file.seek(0)
            return False
        self._hash = digest
        return True

    def _cursor(self) -> Json:
        cursor = Cursor(self._offset, self._row, self._line, self._hash.hexdigest(), self._dialect, self._open_row)
        return msgspec.to_builtins(cursor)  # type: ignore[no-any-return]

    # -- the header ---------------------------------------------------------------------------------------------------

    def _read_header(self) -> None:
        """Find encoding, delimiter and header, and leave the file right after the header.

        The header is the first row that has as many cells as most rows: lines that some exporters write above it (a URL,
        a date) do not.
        """
        self._file.seek(0)
        head = self._file.read(256 * 1024)
        if head.startswith(_UTF16_BOMS):
            raise TaskError("unsupported_encoding", f"{self._path} is UTF-16: save it as UTF-8")
        encoding = "utf-8" if is_utf8(head) else "cp1252"
        lines = head.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)[: PREAMBLE_LINES + SAMPLE_ROWS + 2]
        texts = [line.decode(encoding, "replace") for line in lines]
        mark = delimiter_of(texts)
        rows = parsed_rows(texts, mark)
        filled = [(row, last) for row, last in rows if any(cell.strip() for cell in row)]
        usual = Counter(len(row) for row, _ in filled if len(row) > 1).most_common(1)
        found = next((n for n, (row, _) in enumerate(filled) if usual and len(row) == usual[0][0]), 0)
        columns, header = filled[found] if filled else ([], None)
        if header is None or not lines[header].endswith((b"\n", b"\r")):
            return  # no header yet, or one that is still being written: look again next time
        self._dialect = {
            "encoding": encoding, "delimiter": mark, "columns": columns,
            "preamble": [text.rstrip("\r\n")[:200] for text in texts[:header]],
            "sample": [row for row, _ in filled[found + 1 :] if len(row) == len(columns)][:SAMPLE_ROWS],
        }  # fmt: skip
        bom = 3 if head.startswith(b"\xef\xbb\xbf") else 0
        self._offset = bom + sum(map(len, lines[: header + 1]))
        self._line = header + 1
        self._hash = hashlib.sha256(head[: self._offset])
        self._file.seek(self._offset)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _next_page(self) -> _Page:
        """The next rows; a page of size 0 at the end of the file."""
        page = _Page(self._offset, self._row, self._line)
        encoding, delimiter = self._dialect.get("encoding", "utf-8"), self._dialect.get("delimiter", ",")
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
        block = self._file.read(BLOCK_BYTES)
        quote = block.find(b'"')
        block = block[: block.rfind(b"\n", 0, quote if quote >= 0 else len(block)) + 1]
        lines = block.split(b"\n", MAX_PAGE_RECORDS - len(page.rows) - len(page.rejections))
        block = block[: len(block) - len(lines.pop())]
        texts = [text.rstrip("\r") for text in block.decode(encoding, "replace").split("\n")[:-1]]
        if not texts or "" in texts or any(map(str.isspace, texts)):
            self._file.seek(self._offset)
            return False
        page.rows += [text.split(delimiter) for text in texts]
        page.lines += range(self._line + 1, self._line + 1 + len(texts))
        page.raw.append(block)
        page.size += len(block)
        self._offset += len(block)
        self._line += len(texts)
        self._row += len(texts)
        self._open_row = None
        self._file.seek(self._offset)
        return True

    def _take_row(self, page: _Page, encoding: str, delimiter: str) -> bool:
        """Take one row, or skip or reject one line. False at the end of the file."""
        start, line_no = self._offset, self._line + 1
        line = self._file.readline(MAX_LINE_BYTES + 1)
        if not line:
            return False
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            self._reject_long_line(page, line, line_no)
            return True
        self._take(page, line)
        self._open_row = None if line.endswith((b"\n", b"\r")) else [start, self._row, self._line - 1]
        if b'"' in line:
            row = self._quoted_row(page, line, line_no, encoding, delimiter)
            if row is None:
                return True
        else:
            text = line.decode(encoding, "replace").rstrip("\r\n")
            if not text or text.isspace():
                return True
            row = text.split(delimiter)
        self._row += 1
        page.rows.append(row)
        page.lines.append(line_no)
        return True

    def _take(self, page: _Page, line: bytes) -> None:
        page.raw.append(line)
        page.size += len(line)
        self._offset += len(line)
        self._line += 1

    def _quoted_row(self, page: _Page, line: bytes, line_no: int, encoding: str, delimiter: str) -> list[str] | None:
        """A row that has quotes: it may go on over several lines. None when it was rejected."""
        after_first = self._offset
        more: list[bytes] = []

        def lines() -> Iterator[str]:
            yield line.decode(encoding, "replace")
            size = len(line)
            while len(more) < MAX_QUOTED_LINES and size < MAX_LINE_BYTES and (piece := self._file.readline(MAX_LINE_BYTES + 1)):
                more.append(piece)
                size += len(piece)
                yield piece.decode(encoding, "replace")

        try:
            row = next(csv.reader(lines(), delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            # This line is at fault, not the many that an unclosed quote would swallow.
            self._file.seek(after_first)
            reason = (
                ("unclosed_quote", "a quote is opened and not closed")
                if more or "end of data" in str(error)
                else ("bad_quoting", "quotes stand where none may be")
            )
            self._reject(page, *reason, line_no, line)
            return None
        if more:
            begin = [after_first - len(line), self._row, line_no - 1]
            for piece in more:
                self._take(page, piece)
            self._open_row = None if more[-1].endswith((b"\n", b"\r")) else begin
        return row

    def _reject_long_line(self, page: _Page, line: bytes, line_no: int) -> None:
        """Read past a line that is too long to be a row, keeping only its beginning."""
        beginning, piece, digest = line, line, hashlib.sha256()
        while piece and not piece.endswith(b"\n"):
            self._hash.update(b"".join(page.raw))
            page.raw.clear()
            self._hash.update(piece)
            digest.update(piece)
            self._offset += len(piece)
            page.size += len(piece)
            piece = self._file.readline(1 << 20)
        self._hash.update(b"".join(page.raw))
        page.raw.clear()
        self._hash.update(piece)
        digest.update(piece)
        self._offset += len(piece)
        self._line += 1
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
        origin: Json = {"path": self._path, "bytes": [page.offset, self._offset], "first_row": page.row + 1}
        first = page.lines[0] if page.lines else page.line + 1
        if page.lines != list(range(first, first + len(page.lines))):
            origin["lines"] = page.lines
        else:
            origin["first_line"] = first
        context: Json = {"path": self._path, **{key: self._dialect[key] for key in ("columns", "delimiter", "preamble", "sample")}}
        return Slice(page.rows, self._cursor(), context, origin, page.rejections)
