"""A file looked at as a whole: how it is written, what its columns hold, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.csvfile.column_stats import gather
from shared.csvfile.content import HEAD_BYTES
from shared.csvfile.folder import CsvFile
from shared.csvfile.header import Head, is_utf8, read_head
from shared.csvfile.infer import conclude
from shared.csvfile.overrides import Hints
from shared.csvfile.schema import Plan
from shared.errors import TaskError, UnmappableError

Json = dict[str, Any]


@dataclass(frozen=True)
class Profile:
    """`context` is what pages carry, all that the meaning of columns is concluded from. `plan` None: nothing to conclude from yet, or `refusal`."""

    head: Head
    context: Json
    plan: Plan | None
    refusal: UnmappableError | None = None

    def described(self) -> Json:
        """For people: what the file was taken for, and why."""
        head, evidence = self.head, self.context["evidence"]
        names = self.context["columns"] or [""] * head.width
        return {
            "encoding": head.encoding, "delimiter": head.delimiter, "header_rows": len(head.header), "lines_above_header": head.preamble,
            "rows": evidence["rows"], "bytes": evidence["bytes"], "columns": names, "cells_in_a_row": evidence["widths"],
            **({"mapping": self.context["mapping"]} if "mapping" in self.context else {}),
            **(self.plan.described() if self.plan else {}),
        }  # fmt: skip


def profile(file: CsvFile, hints: Hints, *, at_most: int | None = None) -> Profile | None:
    """The profile of a file, from all of it or its first `at_most` bytes; None while it has no row. Raises TaskError when it cannot be read."""
    with file.opened() as content:
        beginning = content.peek(HEAD_BYTES)
        encoding = hints.encoding or ("utf-8" if is_utf8(beginning) else "cp1252")
        head = read_head(beginning, encoding, hints)
        if head is None:
            if (beginning.count(b"\n") > 1 and beginning.strip()) or len(beginning) == HEAD_BYTES:
                raise TaskError(
                    "not_a_table", f"{file.path} is no table of rows and cells; it begins {beginning[:80].decode(encoding, 'replace')!r}"
                )
            return None
        evidence = gather(content, head, at_most=at_most)
    if encoding == "utf-8" and not hints.encoding and not evidence["utf8"] and beginning.isascii():
        return profile(file, hints.model_copy(update={"encoding": "cp1252"}), at_most=at_most)  # its first umlaut comes late
    context: Json = {
        "path": file.path,
        "columns": head.columns,
        "delimiter": head.delimiter,
        "preamble": head.preamble,
        "sample": head.sample,
    }
    if said := hints.said():
        context["mapping"] = said
    related = evidence.pop("related")
    context["evidence"] = evidence
    if not evidence["rows"]:
        return Profile(head, context, None)
    try:
        return Profile(head, context, conclude(context))
    except UnmappableError:
        context = {**context, "evidence": {**evidence, "related": related}}
    try:
        return Profile(head, context, conclude(context))
    except UnmappableError as error:
        return Profile(head, context, None, error)
