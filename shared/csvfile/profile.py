"""A file looked at as a whole: how it is written, what its columns hold, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.csvfile.column_stats import collect_stats
from shared.csvfile.content import HEAD_BYTES
from shared.csvfile.folder import CsvFile
from shared.csvfile.header import Header, is_utf8, read_header
from shared.csvfile.meaning.infer import infer_schema
from shared.csvfile.meaning.schema import CsvSchema
from shared.csvfile.overrides import Overrides
from shared.errors import TaskError, UnmappableError

Json = dict[str, Any]


@dataclass(frozen=True)
class Profile:
    """`context`: what pages carry, all that the meaning of columns is inferred from.

    `schema` None: there is nothing to infer it from yet, or `refusal`.
    """

    header: Header
    context: Json
    schema: CsvSchema | None
    refusal: UnmappableError | None = None

    def described(self) -> Json:
        """For people: what the file was taken for, and why."""
        header = self.header
        stats = self.context["evidence"]
        found = {
            "encoding": header.encoding,
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
            found |= self.schema.described()
        return found


def profile(
    file: CsvFile, overrides: Overrides, *, at_most: int | None = None
) -> Profile | None:
    """The profile of a file, from all of it or its first `at_most` bytes; None while it has no row.

    Raises TaskError when it cannot be read.
    """
    with file.opened() as content:
        beginning = content.peek(HEAD_BYTES)
        encoding = overrides.encoding or (
            "utf-8" if is_utf8(beginning) else "cp1252"
        )
        header = read_header(beginning, encoding, overrides)
        if header is None:
            _refuse_what_is_not_a_table(file, beginning, encoding)
            return None
        stats = collect_stats(content, header, at_most=at_most)
    is_guessed = encoding == "utf-8" and not overrides.encoding
    if is_guessed and not stats["utf8"] and beginning.isascii():
        # Its first umlaut comes late.
        as_cp1252 = overrides.model_copy(update={"encoding": "cp1252"})
        return profile(file, as_cp1252, at_most=at_most)
    return _inferred(header, _context(file, header, overrides), stats)


def _context(file: CsvFile, header: Header, overrides: Overrides) -> Json:
    context: Json = {
        "path": file.path,
        "columns": header.columns,
        "delimiter": header.delimiter,
        "preamble": header.preamble,
        "sample": header.sample,
    }
    given = overrides.given()
    if given:
        context["mapping"] = given
    return context


def _inferred(header: Header, context: Json, stats: Json) -> Profile:
    """The profile, with how columns relate in its context only where that is needed."""
    related = stats.pop("related")
    context["evidence"] = stats
    if not stats["rows"]:
        return Profile(header, context, None)
    try:
        return Profile(header, context, infer_schema(context))
    except UnmappableError:
        context = {**context, "evidence": {**stats, "related": related}}
    try:
        return Profile(header, context, infer_schema(context))
    except UnmappableError as error:
        return Profile(header, context, None, error)


def _refuse_what_is_not_a_table(
    file: CsvFile, beginning: bytes, encoding: str
) -> None:
    """Raises TaskError `not_a_table` for what is more than a file that is still being written."""
    has_lines = beginning.count(b"\n") > 1 and bool(beginning.strip())
    if has_lines or len(beginning) == HEAD_BYTES:
        shown = beginning[:80].decode(encoding, "replace")
        message = f"{file.path} is not a table of rows and cells; it begins {shown!r}"
        raise TaskError("not_a_table", message)
