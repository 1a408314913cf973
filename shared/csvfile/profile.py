"""A file looked at as a whole: how it is written, what its columns hold, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from shared.csvfile.column_stats import collect_stats, rows_of
from shared.csvfile.content import HEAD_BYTES
from shared.csvfile.encodings import encoding_of
from shared.csvfile.folder import CsvFile
from shared.csvfile.header import Header, is_utf8, read_header
from shared.csvfile.meaning.infer import infer_schema
from shared.csvfile.meaning.schema import CsvSchema
from shared.csvfile.overrides import Overrides
from shared.csvfile.rows import Tried, try_rows
from shared.errors import TaskError, UnmappableError
from shared.runtime.confined import MEGABYTE, Limits, Meter, unmetered

Json = dict[str, Any]
# Control characters of a beginning: more are no slips.
MAX_CONTROLS = 0.05
SLIPS = 50
SOME = 200  # bytes of a file that has more than a beginning
MIN_ASCII = 0.2  # of a table: its figures and marks
_NOT_ASCII = bytes(range(128, 256))
_WORKBOOK = b"PK\x03\x04"
_PACKED = (
    b"\x1f\x8b",
    b"PK\x03\x04",
    b"\x28\xb5\x2f\xfd",
)  # inside what was unpacked
# Ordinary files take 0.03 s a megabyte.
LIMITS = Limits(
    cpu_s=10.0,
    cpu_s_per_mb=1.0,
    memory=48 * MEGABYTE,
    answer=8 * MEGABYTE,
)
# All bytes but control characters.
_OF_TEXT = bytes(range(32, 256)) + b"\t\n\v\f\r\x1a"


NS_DIGITS = 19  # of an epoch in ns, of which several are one microsecond


@dataclass(frozen=True)
class Profile:
    """`context`: what pages carry, all that the meaning of columns is inferred from.

    `schema` None: there is nothing to infer it from yet, or `refusal`.
    """

    header: Header
    encoding: str
    context: Json
    schema: CsvSchema | None
    refusal: UnmappableError | None = None

    @cached_property
    def tried(self) -> Tried:
        """What becomes of the first rows."""
        if self.schema is None:
            return Tried()
        return try_rows(self.schema, self.header.sample)

    def try_file(self, file: CsvFile, at_most: int) -> Tried:
        """What would become of the rows in the first `at_most` bytes."""
        if self.schema is None:
            return Tried()
        with file.opened() as content:
            return try_rows(
                self.schema, rows_of(content, self.header, at_most)
            )

    def are_unique(self) -> bool:
        """Whether it is certain that no two rows are of one time."""
        if self.schema is None or not self.schema.times.is_plain:
            return False
        position = self.schema.times.time
        first = self.header.sample[0][position].strip()
        is_epoch_of_ns = first.isdigit() and len(first) == NS_DIGITS
        column = self.context["evidence"]["columns"][position]
        return not is_epoch_of_ns and column.get("in_order", False)

    def described(self) -> Json:
        """For people: what the file was taken for, and why."""
        header = self.header
        stats = self.context["evidence"]
        found = {
            "encoding": self.encoding,
            "delimiter": header.delimiter,
            "header_rows": len(header.header),
            "lines_above_header": header.preamble,
            "rows": stats["rows"],
            "bytes": stats["bytes"],
            "columns": self.context["columns"] or [""] * header.width,
            "cells_in_a_row": stats["widths"],
        }
        if "mapping" in self.context:
            found["mapping"] = self.context["mapping"]
        if self.schema is not None:
            found |= self.schema.described(self.tried.currencies)
        return found


@dataclass(frozen=True)
class Profiled:
    """What of a profile crosses from one process to another. `refusal`: its reason and message.

    `are_unique`: no two rows are of one time.
    """

    header: Header
    context: Json
    described: Json
    refusal: tuple[str, str] | None = None
    are_unique: bool = False


def profiled(
    meter: Meter, file: CsvFile, overrides: Overrides
) -> Iterator[Profiled | None]:
    """One: what a whole file was taken for; None while it has no row. Done in a child process."""
    taken_for = profile(file, overrides, meter=meter)
    if taken_for is None:
        yield None
        return
    header = taken_for.header
    refused = taken_for.refusal
    if refused is None:
        yield Profiled(
            header,
            taken_for.context,
            taken_for.described(),
            are_unique=taken_for.are_unique(),
        )
    else:
        told = (refused.reason, refused.message)
        yield Profiled(header, taken_for.context, {}, told)


def profile(
    file: CsvFile,
    overrides: Overrides,
    *,
    at_most: int | None = None,
    meter: Meter = unmetered,
) -> Profile | None:
    """The profile of a file, from all of it or its first `at_most` bytes; None while it has no row.

    Raises TaskError when it cannot be read.
    """
    with file.opened() as content:
        beginning = content.peek(HEAD_BYTES)
        _refuse_what_is_not_text(file, beginning)
        encoding = overrides.encoding or (
            "utf-8" if is_utf8(beginning) else encoding_of(beginning)
        )
        header = read_header(beginning, encoding, overrides)
        if header is None:
            _refuse_what_is_not_a_table(file, beginning, encoding)
            return None
        stats = collect_stats(
            content, header, at_most=at_most, meter=meter
        )
    is_guessed = encoding == "utf-8" and not overrides.encoding
    if is_guessed and not stats["utf8"] and beginning.isascii():
        # Its first umlaut comes late.
        as_cp1252 = overrides.model_copy(update={"encoding": "cp1252"})
        return profile(file, as_cp1252, at_most=at_most, meter=meter)
    written_in = content.encoding or encoding
    context = _context(file, header, overrides)
    return _inferred(header, written_in, context, stats)


def _context(file: CsvFile, header: Header, overrides: Overrides) -> Json:
    context: Json = {
        "path": file.path,
        "columns": header.columns,
        "delimiter": header.delimiter,
        "preamble": header.preamble,
        "sample": header.sample,
    }
    if file.member is not None:
        context["member"] = file.member
    given = overrides.given()
    if given:
        context["mapping"] = given
    return context


def _inferred(
    header: Header, encoding: str, context: Json, stats: Json
) -> Profile:
    """The profile, with how columns relate in its context only where that is needed."""
    related = stats.pop("related")
    context["evidence"] = stats
    if not stats["rows"]:
        return Profile(header, encoding, context, None)
    try:
        schema = infer_schema(context)
    except UnmappableError:
        context = {**context, "evidence": {**stats, "related": related}}
    else:
        return Profile(header, encoding, context, schema)
    try:
        schema = infer_schema(context)
    except UnmappableError as error:
        return Profile(header, encoding, context, None, error)
    return Profile(header, encoding, context, schema)


def _refuse_what_is_not_text(file: CsvFile, beginning: bytes) -> None:
    """Raises TaskError `not_text` for what a text never holds."""
    controls = beginning.translate(None, _OF_TEXT)
    is_packed = beginning.startswith(_PACKED)
    if beginning.startswith(_WORKBOOK):
        message = (
            f"{file.path} is packed, as the workbooks of spreadsheets are (.xlsx, .ods), whatever"
            " its name says: save it as CSV there, or remove it"
        )
        raise TaskError("not_text", message)
    if is_packed or len(controls) > max(
        SLIPS, MAX_CONTROLS * len(beginning)
    ):
        message = (
            f"{file.path} is not text: save it as CSV, remove it, or leave it out with"
            " `ignore: true` in mapping.yaml"
        )
        raise TaskError("not_text", message)


def _refuse_what_is_not_a_table(
    file: CsvFile, beginning: bytes, encoding: str
) -> None:
    """Raises TaskError `not_a_table` for what is more than a file that is still being written."""
    in_ascii = len(beginning.translate(None, _NOT_ASCII))
    if len(beginning) > SOME and in_ascii < MIN_ASCII * len(beginning):
        message = f"{file.path} is in no encoding that is known: save it as CSV in UTF-8"
        raise TaskError("not_text", message)
    has_lines = beginning.count(b"\n") > 1 and bool(beginning.strip())
    if has_lines or len(beginning) == HEAD_BYTES:
        shown = beginning[:80].decode(encoding, "replace")
        message = f"{file.path} is not a table of rows and cells; it begins {shown!r}"
        raise TaskError("not_a_table", message)
