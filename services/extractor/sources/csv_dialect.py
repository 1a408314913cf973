"""What the beginning of a CSV file shows about how it is written."""

from __future__ import annotations

import contextlib
import csv
import re

_QUOTED = re.compile(r'"[^"]*"')


def is_utf8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.end == len(head)
    return True


def delimiter_of(texts: list[str]) -> str:
    """The one that cuts most of the first lines into the same number of cells; what stands in quotes does not count."""
    lines = _QUOTED.sub("", "".join(texts)).splitlines()

    def score(mark: str) -> tuple[int, int]:
        counts = [text.count(mark) for text in lines if text.strip()]
        common = max(set(counts), key=counts.count, default=0) if counts else 0
        return (counts.count(common) if common else 0, common)

    return max((",", ";", "\t", "|"), key=score)


def parsed_rows(texts: list[str], delimiter: str) -> list[tuple[list[str], int]]:
    """Rows, each with the index of its last line, as far as the quoting makes sense."""
    reader = csv.reader(texts, delimiter=delimiter)
    rows: list[tuple[list[str], int]] = []
    with contextlib.suppress(csv.Error):
        rows.extend((row, reader.line_num - 1) for row in reader)
    return rows
