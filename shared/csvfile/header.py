"""What the beginning of a CSV file shows about how it is written: encoding, delimiter, lines above the header, header rows."""

from __future__ import annotations

import contextlib
import csv
import re
from collections import Counter
from dataclasses import dataclass

from shared.csvfile.overrides import Hints

PREAMBLE_LINES = 20
SAMPLE_ROWS = 20
MAX_HEADER_ROWS = 4
DELIMITERS = (",", ";", "\t", "|")
_QUOTED = re.compile(r'"[^"]*"')
_BOM = b"\xef\xbb\xbf"
_SEP = re.compile(r"sep=(.)", re.IGNORECASE)
_MISSING = re.compile(r"-|–|—|null|none|nan|n/?a|#n/a|nil|\\n", re.IGNORECASE)
_SPELLED_DATE = re.compile(r"(?:\d{1,2}[. -]+)?[^\W\d_]{3,10}[. -]+\d{1,2}(?:,? *\d{4})?.*|\d{1,2}[. -]+[^\W\d_]{3,10}[. -]+\d{2,4}.*")
_PERIOD = re.compile(r"\d+ ?(?:[hdwmy]|min|hr?|day|week|month|year)s?\b.*", re.IGNORECASE)


@dataclass(frozen=True)
class Head:
    """`columns` is empty where the file has no header. `size` bytes and `lines` lines stand before the first row."""

    encoding: str
    delimiter: str
    columns: list[str]
    header: list[list[str]]
    preamble: list[str]
    sample: list[list[str]]
    width: int
    size: int
    lines: int


def read_head(head: bytes, encoding: str, hints: Hints | None = None) -> Head | None:
    """None: no row that ended yet, so nothing can be said."""
    hints = hints or Hints()
    lines = head.removeprefix(_BOM).splitlines(keepends=True)[: PREAMBLE_LINES + SAMPLE_ROWS + MAX_HEADER_ROWS + 2]
    texts = [line.decode(encoding, "replace") for line in lines]
    declared = next((found[1] for text in texts[:1] if (found := _SEP.fullmatch(text.strip()))), None)
    mark = hints.delimiter or declared or delimiter_of(texts)
    rows = [(row, last) for row, last in parsed_rows(texts, mark) if any(cell.strip() for cell in row)]
    if declared:
        rows = rows[1:]
    usual = _usual_width([row for row, _ in rows])
    first = next((n for n, (row, _) in enumerate(rows) if len(row) == usual), None)
    if first is None:
        return None
    kept = [row for row, _ in rows[first:] if len(row) == usual]
    count = hints.header_rows if hints.header_rows is not None else _header_rows(kept)
    names = [_padded(row, usual) for row, _ in rows[first : first + count]]
    above = first
    if count == 0 and first and (shifted := _shifted_header(rows[first - 1][0], kept)):
        names, above = [shifted], first - 1
    last = rows[first + count - 1][1] if count else rows[first - 1][1] if first else -1
    if last >= 0 and not lines[last].endswith((b"\n", b"\r")):
        return None  # a header that is still being written: look again next time
    begin = rows[above - 1][1] + 1 if above else int(bool(declared))
    return Head(
        encoding=encoding, delimiter=mark, columns=_joined(names), header=names,
        preamble=[text.strip()[:200] for text in texts[:begin] if text.strip()],
        sample=kept[count:][:SAMPLE_ROWS], width=usual,
        size=(len(_BOM) if head.startswith(_BOM) else 0) + sum(map(len, lines[: last + 1])), lines=last + 1,
    )  # fmt: skip


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

    return max(DELIMITERS, key=score)


def parsed_rows(texts: list[str], delimiter: str) -> list[tuple[list[str], int]]:
    """Rows, each with the index of its last line, as far as the quoting makes sense."""
    reader = csv.reader(texts, delimiter=delimiter)
    rows: list[tuple[list[str], int]] = []
    with contextlib.suppress(csv.Error):
        rows.extend((row, reader.line_num - 1) for row in reader)
    return rows


def is_value(cell: str) -> bool:
    """Whether a cell looks like a number or a time, and so like no name of a column."""
    cell = cell.strip()
    digits = sum(map(str.isdigit, cell))
    if not digits or _PERIOD.fullmatch(cell):
        return False
    return sum(map(str.isalpha, cell)) <= 0.4 * len(cell) or _SPELLED_DATE.fullmatch(cell) is not None


def _usual_width(rows: list[list[str]]) -> int:
    widths = Counter(len(row) for row in rows if len(row) > 1)
    return widths.most_common(1)[0][0] if widths else 0


def _header_rows(rows: list[list[str]]) -> int:
    """How many of the first rows name columns: they hold words where the rows below hold values."""
    below = rows[len(rows) // 2 :]
    values = [n for n in range(len(rows[0])) if sum(is_value(row[n]) for row in below) > 0.3 * len(below)]
    if not values or len(rows) == 1:
        return 0 if len(rows) == 1 and sum(map(is_value, rows[0])) > len(rows[0]) / 2 else 1
    count = 0
    for row in rows[:MAX_HEADER_ROWS]:
        cells = [row[n].strip() for n in values]
        is_header = not any(map(is_value, cells)) and any(cell and not _MISSING.fullmatch(cell) for cell in cells)
        if not is_header:
            break
        count += 1
    return count


def _shifted_header(names: list[str], rows: list[list[str]]) -> list[str] | None:
    """A header with one name fewer than rows have cells: each row ends in a delimiter, or begins with a nameless index."""
    if len(names) + 1 != len(rows[0]) or any(map(is_value, names)) or not all(name.strip() for name in names):
        return None
    return [*names, ""] if all(not row[-1].strip() for row in rows) else ["", *names]


def _padded(row: list[str], width: int) -> list[str]:
    return [*row, *[""] * (width - len(row))][:width]


def _joined(rows: list[list[str]]) -> list[str]:
    """One name a column, from all header rows."""
    return [" ".join(dict.fromkeys(cell.strip() for cell in cells if cell.strip())) for cells in zip(*rows, strict=True)]
