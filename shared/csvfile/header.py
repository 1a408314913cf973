"""What the beginning of a CSV file shows about how it is written.

Encoding, delimiter, lines above the header, header rows.
"""

from __future__ import annotations

import contextlib
import csv
import re
from collections import Counter
from dataclasses import dataclass

from shared.csvfile.meaning.column_names import read_name
from shared.csvfile.overrides import Overrides
from shared.values.dates import is_month

PREAMBLE_LINES = 20
SAMPLE_ROWS = 20
MAX_HEADER_ROWS = 4
READ_LINES = PREAMBLE_LINES + SAMPLE_ROWS + MAX_HEADER_ROWS + 2
VALUES_SHARE = 0.3  # of cells: then a column holds values
MAX_PREAMBLE = 200  # characters of a line above the header
DELIMITERS = (",", ";", "\t", "|")
_QUOTED = re.compile(r'"[^"]*"')
_BOM = b"\xef\xbb\xbf"
_SEP = re.compile(r"sep=(.)", re.IGNORECASE)
_DATED = re.compile(r"\d[-/:.]\d")
_MISSING = re.compile(
    r"-|–|—|null|none|nan|n/?a|#n/a|nil|\\n", re.IGNORECASE
)
_SPELLED_DATE = re.compile(
    r"(?:\d{1,2}[. -]+)?[^\W\d_]{3,10}[. -]+\d{1,2}(?:,? *\d{4})?.*"
    r"|\d{1,2}[. -]+[^\W\d_]{3,10}[. -]+\d{2,4}.*"
)
# `SMA 20`, `Close.1`, `p10`, `Volume (24h)`
_NUMBERED_NAME = re.compile(
    r"(?P<word>[^\W\d_]++)[^\W\d]*+(?:[ _.\-(+/%]++[^\W\d]*+)*+\d{1,3}[a-z]?\)?"
)
_LONG_WORD = re.compile(r"[^\W\d_]{3,10}")
_PERIOD = re.compile(
    r"\d+ ?(?:[hdwmy]|min|hr?|day|week|month|year)s?\b.*", re.IGNORECASE
)
Row = list[str]


@dataclass(frozen=True)
class Header:
    """`columns` is empty where the file has no header.

    `size` bytes and `lines` lines stand before the first row.
    """

    encoding: str
    delimiter: str
    columns: Row
    header: list[Row]
    preamble: list[str]
    sample: list[Row]
    width: int
    size: int
    lines: int


@dataclass(frozen=True)
class _Layout:
    """Where the header stands among the rows that hold something.

    `names`: the header rows. `above`: the index of the first of them, or of the first row. `last`:
    the index of the line on which the header ends, −1 where there is none.
    """

    names: list[Row]
    above: int
    last: int
    width: int
    sample: list[Row]


def read_header(
    head: bytes, encoding: str, overrides: Overrides | None = None
) -> Header | None:
    """None: no row that ended yet, so nothing can be said."""
    overrides = overrides or Overrides()
    lines = head.removeprefix(_BOM).splitlines(keepends=True)[:READ_LINES]
    texts = [line.decode(encoding, "replace") for line in lines]
    declared = _declared_delimiter(texts)
    delimiter = overrides.delimiter or declared or delimiter_of(texts)
    rows = _filled_rows(texts, delimiter)[bool(declared) :]
    layout = _layout(rows, overrides.header_rows)
    if layout is None or not _is_whole(lines, layout.last):
        return None
    begin = int(bool(declared))
    if layout.above:
        begin = rows[layout.above - 1][1] + 1
    bom = len(_BOM) if head.startswith(_BOM) else 0
    return Header(
        encoding=encoding,
        delimiter=delimiter,
        columns=_joined(layout.names),
        header=layout.names,
        preamble=_preamble(texts[:begin]),
        sample=layout.sample,
        width=layout.width,
        size=bom + sum(map(len, lines[: layout.last + 1])),
        lines=layout.last + 1,
    )


def _filled_rows(
    texts: list[str], delimiter: str
) -> list[tuple[Row, int]]:
    rows = parsed_rows(texts, delimiter)
    return [(row, line) for row, line in rows if _holds_something(row)]


def _is_whole(lines: list[bytes], last: int) -> bool:
    """Whether a header's last line has ended; else it is still being written."""
    return last < 0 or lines[last].endswith((b"\n", b"\r"))


def _layout(
    rows: list[tuple[Row, int]], header_rows: int | None
) -> _Layout | None:
    width = _usual_width([row for row, _ in rows])
    first = _first_of_width(rows, width)
    if first is None:
        return None
    kept = [row for row, _ in rows[first:] if len(row) == width]
    count = _header_rows(kept) if header_rows is None else header_rows
    last = _last_line(rows, first + count)
    sample = kept[count:][:SAMPLE_ROWS]
    shifted = None
    if count == 0 and first:
        shifted = _shifted_header(rows[first - 1][0], kept)
    if shifted is not None:
        return _Layout([shifted], first - 1, last, width, sample)
    names = [
        _padded(row, width) for row, _ in rows[first : first + count]
    ]
    return _Layout(names, first, last, width, sample)


def _first_of_width(
    rows: list[tuple[Row, int]], width: int
) -> int | None:
    for index, (row, _) in enumerate(rows):
        if len(row) == width:
            return index
    return None


def _last_line(rows: list[tuple[Row, int]], before: int) -> int:
    """The line at which the row before this one ends, −1 before the first."""
    return rows[before - 1][1] if before else -1


def _declared_delimiter(texts: list[str]) -> str | None:
    """What Excel's `sep=;` in the first line says."""
    found = _SEP.fullmatch(texts[0].strip()) if texts else None
    return found[1] if found else None


def _preamble(texts: list[str]) -> list[str]:
    return [text.strip()[:MAX_PREAMBLE] for text in texts if text.strip()]


def _holds_something(row: Row) -> bool:
    return any(cell.strip() for cell in row)


def is_utf8(head: bytes) -> bool:
    """Whether the beginning of a file is UTF-8; it may end within a character."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return (
            error.reason == "unexpected end of data"
            and error.end == len(head)
        )
    return True


def delimiter_of(texts: list[str]) -> str:
    """The one that cuts most of the first lines into the same number of cells.

    What stands in quotes does not count.
    """
    lines = _QUOTED.sub("", "".join(texts)).splitlines()
    filled = [line for line in lines if line.strip()]
    return max(
        DELIMITERS,
        key=lambda mark: _score([line.count(mark) for line in filled]),
    )


def _score(counts: list[int]) -> tuple[int, int]:
    """(how many lines have the most frequent count, that count)."""
    common = max(set(counts), key=counts.count, default=0)
    return (counts.count(common) if common else 0, common)


def parsed_rows(
    texts: list[str], delimiter: str
) -> list[tuple[Row, int]]:
    """Rows, each with the index of its last line, as far as the quoting makes sense."""
    reader = csv.reader(
        texts, delimiter=delimiter, skipinitialspace=delimiter != " "
    )
    rows: list[tuple[Row, int]] = []
    with contextlib.suppress(csv.Error):
        rows.extend((row, reader.line_num - 1) for row in reader)
    return rows


def is_value(cell: str) -> bool:
    """Whether a cell looks like a number or a time, and so not like the name of a column."""
    cell = cell.strip()
    digits = sum(map(str.isdigit, cell))
    if not digits or _PERIOD.fullmatch(cell.strip("(%+-/ ")):
        return False
    name = _NUMBERED_NAME.fullmatch(cell)
    if name is not None and not is_month(name["word"]):
        return False
    letters = sum(map(str.isalpha, cell))
    return letters <= 0.4 * len(cell) or _is_spelled_date(cell)


def _is_spelled_date(cell: str) -> bool:
    if _SPELLED_DATE.fullmatch(cell) is None:
        return False
    return any(map(is_month, _LONG_WORD.findall(cell)))


def _usual_width(rows: list[Row]) -> int:
    widths = Counter(len(row) for row in rows if len(row) > 1)
    return max(widths, key=widths.__getitem__, default=0)


def _header_rows(rows: list[Row]) -> int:
    """How many of the first rows name columns: they hold words where the rows below hold values."""
    if len(rows) == 1:
        is_row = sum(map(is_value, rows[0])) > len(rows[0]) / 2
        return 0 if is_row else 1
    values = _columns_of_values(rows[len(rows) // 2 :])
    if not values:
        return 1
    count = 0
    for row in rows[:MAX_HEADER_ROWS]:
        if not _names_columns([row[column].strip() for column in values]):
            break
        count += 1
    return count


def _columns_of_values(rows: list[Row]) -> list[int]:
    """The columns in which at least three of ten cells are values."""
    found = []
    for number, cells in enumerate(zip(*rows, strict=True)):
        if sum(map(is_value, cells)) > VALUES_SHARE * len(rows):
            found.append(number)
    return found


def _names_columns(cells: list[str]) -> bool:
    if any(map(is_value, cells)):
        return False
    return any(cell and not _MISSING.fullmatch(cell) for cell in cells)


def _shifted_header(names: Row, rows: list[Row]) -> Row | None:
    """A header with one name fewer than rows have cells.

    Each row ends in a delimiter, or begins with a nameless index.
    """
    if len(names) + 1 != len(rows[0]):
        return None
    if any(map(is_value, names)) or not all(
        name.strip() for name in names
    ):
        return None
    if all(not row[-1].strip() for row in rows):
        return [*names, ""]
    return None if _is_cut_at_commas(names, rows) else ["", *names]


def _is_cut_at_commas(names: Row, rows: list[Row]) -> bool:
    """Whether the first name fits the first cells as it stands: then numbers were cut in two."""
    is_time = read_name(names[0]).role == "time"
    return is_time and all(_DATED.search(row[0]) for row in rows)


def _padded(row: Row, width: int) -> Row:
    return [*row, *[""] * (width - len(row))][:width]


def _joined(rows: list[Row]) -> Row:
    """One name a column, from all header rows."""
    return [_joined_name(cells) for cells in zip(*rows, strict=True)]


def _joined_name(cells: tuple[str, ...]) -> str:
    return " ".join(
        dict.fromkeys(cell.strip() for cell in cells if cell.strip())
    )
