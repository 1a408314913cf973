"""What each column of a file holds, counted over all rows.

Kinds of values, how numbers and dates are written, how values relate. Only counts and bounds, no
conclusions: those are `infer`'s, also when a better `infer` looks at a page of long ago.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from itertools import islice, permutations
from operator import gt, lt
from typing import TYPE_CHECKING, Any

from shared.errors import TaskError
from shared.runtime.confined import Meter, unmetered

if TYPE_CHECKING:
    from shared.csvfile.content import Content
    from shared.csvfile.header import Header

BLOCK_BYTES = 1 << 18
MAX_SHAPES = 64  # of a column, before rarer ones are only counted
SHOWN_SHAPES = 6
SHOWN_WIDTHS = 5
MAX_DISTINCT = 40
MAX_VALUE = 40  # characters of a distinct value
MAX_SHAPE = 100  # characters of a cell that may be more than text
MAX_WIDTH = 2_000
RELATED_ROWS = 400  # from the beginning of the file
RELATED_COLUMNS = 40
STEP_COLUMNS = 12
MAX_NEVER_BELOW = 400
MAX_MOMENT = 26  # characters of a time; more are parts of a microsecond
MAX_MAGNITUDE = 30  # of numbers that are compared: powers of ten
Row = list[str]
Json = dict[str, Any]


def _shape_table() -> bytes:
    """Digits as 9, letters as a, all else as it is; for Latin-1."""
    table = bytearray(range(256))
    for code in range(256):
        if chr(code).isalpha():
            table[code] = ord("a")
    table[ord("0") : ord("9") + 1] = b"9" * 10
    return bytes(table)


_TABLE = _shape_table()
_DATE_LIKE = re.compile(
    r"9{1,4}([/.\-])9{1,2}\1 ?9{1,4}(?:\D.*)?", re.ASCII
)
_PARTS = re.compile(
    r"(\d{1,4})[/.\-](\d{1,2})[/.\-] ?(\d{1,4})", re.ASCII
)
# Kinds of cells by their shape (digits as 9, letters as a), without currency signs, suffixes and
# percent signs. What a comma or a point means is seen in the kinds of a whole column.
_PATTERNS = {
    "blank": r"|-",
    "word": r"a{3,4}|#?a/a|\\a",  # null, NaN, n/a; also BTC
    "integer": r"9+",
    "thousands_comma": r"9{1,3}(?:,9{2,3})*,9{3}\.9*|9{1,3}(?:,9{3}){2,}|9{1,2}(?:,99)+,9{3}",
    "thousands_point": r"9{1,3}(?:\.9{3}){2,}",
    "decimal_comma": r"9{1,3}(?:[. ']9{3})+,9+|9*+,9{1,2}|9*+,9{4,}|9{4,}+,9+",
    "comma_either": r"9{1,3},9{3}",
    "point_either": r"9{1,3}\.9{3}",
    "decimal_point": r"9*+\.9*|9{1,3}(?:[ ']9{3})+\.9+",
    "spaced": r"9{1,3}(?:[ ']9{3})+",
    "exponent": r"(?:9++(?:[.,]9++)?|[.,]9++)a[-+]?9+",
    "time": (
        r"9{4}[-?a]9{1,2}[-?a]9{1,2}.*|9{1,4}([/.\-]) ?9{1,2}\1 ?9{1,4}(?:\D.*)?"
        r"|9{1,2}:9{2}(?::9{2}.*)?(?: ?aa)?"
    ),
    "spelled_time": (
        r"(?:a+,? )?(?:9{1,2}[. \-]+)?a{3,10}[. \-]+9{1,4}(?:,? *9{2,4})?.*"
        r"|9{1,2}[. \-/]+a{3,10}[. \-/]+9{2,4}.*|9{1,2}a{3}9{4}.*"
        r"|9{4}[. \-]+a{3,10}[. \-]+9{1,2}.*|a{1,10}[.,]{1,2} ?9{1,2}[./\-]9{1,2}[./\-] ?9{2,4}.*"
    ),
}
_KINDS = tuple(
    (name, re.compile(pattern)) for name, pattern in _PATTERNS.items()
)
_TRIM = re.compile(
    r"[-+]?(?:a{1,2}\$|a{2,3}|[^\w\s.,\-]{1,3})? ?"
    r"((?=[.,' ]*+9)[9.,' ]++|(?:9++(?:[.,]9++)?|[.,]9++)a[-+]?9+?) ?"
    r"(?:a{1,3}|%|[^\w\s.,]{1,3})?"
)
_PLAIN_TEXT = str.maketrans(
    {
        "\u00a0": " ",
        "\u202f": " ",
        "\u2009": " ",
        "\u2019": "'",
        "\u2212": "-",
    }
)


class Order:
    """Whether cells go up, or down, from each to the next: so that none is there twice.

    As texts: that is no order of time, and says as much about that.
    """

    def __init__(self) -> None:
        self._last: str | None = None
        self._goes: Callable[[str, str], bool] | None = None
        self._cells = 0
        self._is_broken = False

    @property
    def is_strict(self) -> bool:
        return not self._is_broken and self._cells > 1

    def add(self, values: Sequence[str]) -> None:
        if self._is_broken or not values:
            return
        cells = [*([] if self._last is None else [self._last]), *values]
        if self._goes is None and len(cells) > 1:
            self._goes = lt if cells[0] < cells[1] else gt
        if self._goes is not None:
            self._is_broken = not all(
                map(self._goes, cells, islice(cells, 1, None))
            )
        self._is_broken |= max(map(len, values)) > MAX_MOMENT
        self._last = values[-1]
        self._cells += len(values)


@dataclass
class _Column:
    """The counts of one column."""

    cells: int = 0
    shapes: Counter[str] = field(default_factory=Counter)
    other_shapes: Counter[str] = field(
        default_factory=Counter
    )  # their kinds
    zero_commas: int = 0  # 0,123 can only be a fraction
    zero_points: int = 0
    distinct: set[str] | None = field(default_factory=set)
    parts: list[list[int]] | None = (
        None  # lowest and highest of the three numbers of dates
    )
    is_date: bool = False
    order: Order = field(default_factory=Order)

    def add(self, shapes: Counter[str], values: tuple[str, ...]) -> None:
        if not self.cells:
            self.is_date = any(
                _DATE_LIKE.fullmatch(shape.strip()) for shape in shapes
            )
        self.cells += len(values)
        self.order.add(values)
        for shape, count in shapes.items():
            self._add_shape(shape, count)
        self._add_values(values)
        if "9,999" in shapes:
            self.zero_commas += _thousandths(values, ",")
        if "9.999" in shapes:
            self.zero_points += _thousandths(values, ".")

    def _add_shape(self, shape: str, count: int) -> None:
        shape = shape[: MAX_SHAPE + 1]
        if shape in self.shapes or len(self.shapes) < MAX_SHAPES:
            self.shapes[shape] += count
        else:
            self.other_shapes[kind_of(shape)] += count

    def _add_values(self, values: tuple[str, ...]) -> None:
        if self.distinct is not None:
            self.distinct |= {value[:MAX_VALUE] for value in set(values)}
            if len(self.distinct) > MAX_DISTINCT:
                self.distinct = None
        if self.is_date:
            for found in map(_PARTS.match, set(values)):
                if found:
                    self._add_parts(
                        [int(part) for part in found.groups()]
                    )

    def _add_parts(self, numbers: list[int]) -> None:
        if self.parts is None:
            self.parts = [[number, number] for number in numbers]
        for bounds, number in zip(self.parts, numbers, strict=True):
            bounds[0] = min(bounds[0], number)
            bounds[1] = max(bounds[1], number)

    def summary(self) -> Json:
        found: Json = {
            "kinds": self._kinds(),
            "shapes": dict(self.shapes.most_common(SHOWN_SHAPES)),
        }
        if self.distinct is not None:
            found["values"] = sorted(self.distinct)
        if self.parts is not None:
            found["date_parts"] = self.parts
        if self.order.is_strict:
            found["in_order"] = True
        return found

    def _kinds(self) -> dict[str, int]:
        kinds = Counter(self.other_shapes)
        for shape, count in self.shapes.items():
            kinds[kind_of(shape)] += count
        kinds["comma_either"] -= self.zero_commas
        kinds["decimal_comma"] += self.zero_commas
        kinds["point_either"] -= self.zero_points
        kinds["decimal_point"] += self.zero_points
        return {
            kind: count for kind, count in kinds.most_common() if count
        }


def _thousandths(values: tuple[str, ...], mark: str) -> int:
    """How many say 0 and three digits, such as 0,123: which can only be a fraction."""
    begin = f"0{mark}"
    if f"\n{begin}" not in "\n".join(("", *values)):  # most columns
        return 0
    return sum(
        len(value) == 5 and value.startswith(begin) for value in values
    )


def kind_of(shape: str) -> str:
    """The kind of a cell of this shape; `text` where it is none of them."""
    shape = shape.strip()
    if len(shape) > MAX_SHAPE:
        return "text"
    trimmed = _TRIM.fullmatch(shape)
    return (
        _kind(shape)
        or (_kind(trimmed[1].strip()) if trimmed else None)
        or "text"
    )


def _kind(shape: str) -> str | None:
    return next(
        (name for name, pattern in _KINDS if pattern.fullmatch(shape)),
        None,
    )


def collect_stats(
    content: Content,
    header: Header,
    *,
    at_most: int | None = None,
    meter: Meter = unmetered,
) -> Json:
    """Statistics of the rows after the header: of all, or of the first `at_most` bytes.

    Keys: rows, bytes, widths (cells in a row → rows), utf8, columns (kinds, shapes, values where
    there are few, bounds of the parts of dates, whether they are in order), related (see
    `_related`). `meter`: called for each block. Raises TaskError `limit_exceeded`.
    """
    _check_width(header.width)
    collected = _Collected(header)
    content.take(header.size)
    begin = content.offset
    end = begin + at_most if at_most else None
    for block in _blocks(content, end):
        meter(len(block))
        collected.add(block)
    return collected.summary(content.offset - begin)


def rows_of(
    content: Content, header: Header, at_most: int
) -> Iterator[Row]:
    """The rows after the header within the first `at_most` bytes."""
    content.take(header.size)
    for block in _blocks(content, content.offset + at_most):
        yield from _rows(
            block.decode(header.encoding, "replace"), header.delimiter
        )


def _check_width(width: int) -> None:
    if width > MAX_WIDTH:
        message = f"a row has {width} cells, at most {MAX_WIDTH} are read"
        raise TaskError("limit_exceeded", message)


class _Collected:
    """What was seen of a file's rows so far."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._columns = [_Column() for _ in range(header.width)]
        self._widths: Counter[int] = Counter()
        self._first: list[tuple[str, ...]] = []
        self._is_utf8 = True

    def add(self, block: bytes) -> None:
        header = self._header
        self._is_utf8 = self._is_utf8 and _decodes(block)
        text = block.decode(header.encoding, "replace")
        rows = _rows(text, header.delimiter)
        self._widths.update(map(len, rows))
        fitting = [row for row in rows if len(row) == header.width]
        wanted = RELATED_ROWS - len(self._first)
        self._first += map(_shortened, fitting[:wanted])
        _count(self._columns, fitting)

    def summary(self, size: int) -> Json:
        self._widths.pop(0, None)
        usual = self._widths.most_common(SHOWN_WIDTHS)
        return {
            "rows": self._widths.total(),
            "bytes": size,
            "utf8": self._is_utf8,
            "widths": {str(cells): count for cells, count in usual},
            "columns": [column.summary() for column in self._columns],
            "related": _related(self._first),
        }


def _shortened(row: Row) -> tuple[str, ...]:
    """What is longer is no number that is compared."""
    return tuple(cell[: MAX_SHAPE + 1] for cell in row)


def stats_of_rows(rows: list[Row], width: int) -> Json:
    """As `collect_stats`, of a few rows that are at hand."""
    columns = [_Column() for _ in range(width)]
    fitting = [row for row in rows if len(row) == width]
    _count(columns, fitting)
    return {
        "rows": len(rows),
        "columns": [column.summary() for column in columns],
        "related": _related(list(map(_shortened, fitting))),
    }


def _count(columns: list[_Column], rows: list[Row]) -> None:
    for column, values in zip(
        columns, zip(*rows, strict=True), strict=False
    ):
        joined = "\n".join(values)
        # Where no cell has a line end in it: all shapes at once.
        is_simple = joined.count("\n") == len(values) - 1
        shapes = Counter(
            _shape(joined).split("\n")
            if is_simple
            else map(_shape, values)
        )
        column.add(shapes, values)


def _shape(text: str) -> str:
    if not text.isascii():
        text = text.translate(_PLAIN_TEXT)
    return (
        text.encode("latin-1", "replace")
        .translate(_TABLE)
        .decode("latin-1")
    )


def _blocks(content: Content, end: int | None) -> Iterator[bytes]:
    """Whole lines, about BLOCK_BYTES at a time."""
    while end is None or content.offset < end:
        block = content.peek(BLOCK_BYTES)
        if not block:
            return
        # A line that is longer than a block counts in pieces.
        cut = block.rfind(b"\n") + 1 or len(block)
        yield content.take(cut)


def _decodes(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _rows(text: str, delimiter: str) -> list[Row]:
    lines = text.replace("\r", "").split("\n")
    if '"' not in text:
        return [
            line.split(delimiter)
            for line in lines
            if line and not line.isspace()
        ]
    rows: list[Row] = []
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    while True:
        try:
            rows.extend(row for row in reader if row)
        except csv.Error:
            continue
        return rows


def _related(rows: list[tuple[str, ...]]) -> Json:
    """How the numbers of neighbouring columns and rows relate, in the first rows.

    `never_below`: pairs (a, b) of columns where a ≥ b in every row and more in some. `steps`: for a
    pair "a,b", how far b lies from the a of the row above, on average, as a share of a; small for a
    close and the open after it.
    """
    numbers: dict[int, list[Decimal]] = {}
    for position, values in enumerate(
        list(zip(*rows, strict=True))[:RELATED_COLUMNS]
    ):
        found = _numbers(values)
        if len(found) == len(values) and len(values) > 1:
            numbers[position] = found
    return {
        "numeric": sorted(numbers),
        "never_below": _never_below(numbers)[:MAX_NEVER_BELOW],
        "steps": _steps(numbers),
    }


def _never_below(numbers: dict[int, list[Decimal]]) -> list[list[int]]:
    return [
        [a, b]
        for (a, left), (b, right) in permutations(numbers.items(), 2)
        if _is_never_below(left, right)
    ]


def _is_never_below(left: list[Decimal], right: list[Decimal]) -> bool:
    return all(map(Decimal.__ge__, left, right)) and any(
        map(Decimal.__gt__, left, right)
    )


def _steps(numbers: dict[int, list[Decimal]]) -> dict[str, float]:
    """For pairs of neighbouring columns: how far one lies from the other of the row above."""
    found: dict[str, float] = {}
    columns = list(numbers.items())[:STEP_COLUMNS]
    for a, left in columns:
        size = sum(map(abs, left)) or Decimal(1)
        for b, right in columns:
            if a != b:
                share = _distance(left, right) / size
                found[f"{a},{b}"] = round(float(share), 9)
    return found


def _distance(left: list[Decimal], right: list[Decimal]) -> Decimal:
    """The sum of distances from each number to the other column's in the next row."""
    total = Decimal()
    for before, after in zip(left, right[1:], strict=False):
        total += abs(after - before)
    return total


def _numbers(values: tuple[str, ...]) -> list[Decimal]:
    """The values as numbers; nothing where one of them is not a number of usual size."""
    found: list[Decimal] = []
    for value in values:
        text = value.strip()
        if len(text) > MAX_SHAPE:
            return []
        if text.count(",") == 1 and "." not in text:
            text = text.replace(",", ".")
        try:
            number = Decimal(text)
        except InvalidOperation:
            return []
        if (
            not number.is_finite()
            or not -MAX_MAGNITUDE < number.adjusted() < MAX_MAGNITUDE
        ):
            return []
        found.append(number)
    return found
