"""What each column of a file holds, counted over all rows: kinds of values, how numbers and dates are written, how values relate.

Only counts and bounds, no conclusions: those are `plan`'s, also when a better `plan` looks at a page of long ago.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from shared.errors import TaskError

if TYPE_CHECKING:
    from shared.csvfile.content import Content
    from shared.csvfile.header import Head

BLOCK_BYTES = 1 << 18
MAX_SHAPES = 64  # of a column, before rarer ones are only counted
SHOWN_SHAPES = 6
MAX_DISTINCT = 40
MAX_WIDTH = 2_000
RELATED_ROWS = 400  # from the beginning of the file
_TABLE = bytes(ord("9") if 48 <= code < 58 else ord("a") if chr(code).isalpha() else code for code in range(256))
_DATE_LIKE = re.compile(r"9{1,4}([/.\-])9{1,2}\1 ?9{1,4}(?:\D.*)?", re.ASCII)
_PARTS = re.compile(r"(\d{1,4})[/.\-](\d{1,2})[/.\-] ?(\d{1,4})", re.ASCII)

# Kinds of cells by their shape (digits as 9, letters as a), without currency signs, suffixes and percent signs. What a comma
# or a point means is seen in the kinds of a whole column.
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("blank", r"|-"),
        ("word", r"a{3,4}|#?a/a|\\a"),  # null, NaN, n/a; also BTC
        ("integer", r"9+"),
        ("thousands_comma", r"9{1,3}(?:,9{2,3})*,9{3}\.9*|9{1,3}(?:,9{3}){2,}|9{1,2}(?:,99)+,9{3}"),
        ("thousands_point", r"9{1,3}(?:\.9{3}){2,}"),
        ("decimal_comma", r"9{1,3}(?:[. ']9{3})+,9+|9*,9{1,2}|9*,9{4,}|9{4,},9+"),
        ("comma_either", r"9{1,3},9{3}"),
        ("point_either", r"9{1,3}\.9{3}"),
        ("decimal_point", r"9*\.9*|9{1,3}(?:[ ']9{3})+\.9+"),
        ("spaced", r"9{1,3}(?:[ ']9{3})+"),
        ("exponent", r"9*[.,]?9+a[-+]?9+"),
        ("time", r"9{4}[-?a]9{1,2}[-?a]9{1,2}.*|9{1,4}([/.\-]) ?9{1,2}\1 ?9{1,4}(?:\D.*)?|9{1,2}:9{2}(?::9{2}.*)?(?: ?aa)?"),
        ("spelled_time", r"(?:a+,? )?(?:9{1,2}[. \-]+)?a{3,10}[. \-]+9{1,4}(?:,? *9{2,4})?.*|9{1,2}[. \-]+a{3,10}[. \-]+9{2,4}.*"),
    )
)
_TRIM = re.compile(r"[-+]?(?:a{2,3}|[^\w\s.,\-]{1,3})? ?([9.,' ]*9[9.,' ]*|9*[.,]?9+a[-+]?9+?) ?(?:a{1,3}|%|[^\w\s.,]{1,3})?")
_PLAIN_TEXT = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'", "\u2212": "-"})


@dataclass
class _Column:
    cells: int = 0
    shapes: Counter[str] = field(default_factory=Counter)
    other_shapes: Counter[str] = field(default_factory=Counter)  # their kinds
    zero_commas: int = 0  # 0,123 can only be a fraction
    zero_points: int = 0
    distinct: set[str] | None = field(default_factory=set)
    parts: list[list[int]] | None = None  # lowest and highest first, second and third number of dates
    is_date: bool = False

    def add(self, shapes: Counter[str], values: tuple[str, ...]) -> None:
        if not self.cells:
            self.is_date = any(_DATE_LIKE.fullmatch(shape.strip()) for shape in shapes)
        self.cells += len(values)
        for shape, count in shapes.items():
            if shape in self.shapes or len(self.shapes) < MAX_SHAPES:
                self.shapes[shape] += count
            else:
                self.other_shapes[kind_of(shape)] += count
        self._add_values(values)
        if "9,999" in shapes:
            self.zero_commas += sum(len(value) == 5 and value.startswith("0,") for value in values)
        if "9.999" in shapes:
            self.zero_points += sum(len(value) == 5 and value.startswith("0.") for value in values)

    def _add_values(self, values: tuple[str, ...]) -> None:
        if self.distinct is not None:
            self.distinct |= {value[:40] for value in set(values)}
            if len(self.distinct) > MAX_DISTINCT:
                self.distinct = None
        if self.is_date:
            for found in map(_PARTS.match, set(values)):
                if found:
                    self._add_parts([int(part) for part in found.groups()])

    def _add_parts(self, numbers: list[int]) -> None:
        if self.parts is None:
            self.parts = [[number, number] for number in numbers]
        for bounds, number in zip(self.parts, numbers, strict=True):
            bounds[0], bounds[1] = min(bounds[0], number), max(bounds[1], number)

    def summary(self) -> dict[str, Any]:
        kinds = Counter(self.other_shapes)
        for shape, count in self.shapes.items():
            kinds[kind_of(shape)] += count
        for either, sure, count in (
            ("comma_either", "decimal_comma", self.zero_commas),
            ("point_either", "decimal_point", self.zero_points),
        ):
            kinds[either], kinds[sure] = kinds[either] - count, kinds[sure] + count
        found: dict[str, Any] = {
            "kinds": {kind: count for kind, count in kinds.most_common() if count}, "shapes": dict(self.shapes.most_common(SHOWN_SHAPES)),
        }  # fmt: skip
        if self.distinct is not None:
            found["values"] = sorted(self.distinct)
        if self.parts is not None:
            found["date_parts"] = self.parts
        return found


def kind_of(shape: str) -> str:
    """The kind of a cell of this shape; `text` where it is none of them."""
    shape = shape.strip()
    for text in (shape, found[1].strip() if (found := _TRIM.fullmatch(shape)) else shape):
        for name, pattern in _KINDS:
            if pattern.fullmatch(text):
                return name
    return "text"


def gather(content: Content, head: Head, *, at_most: int | None = None) -> dict[str, Any]:
    """Evidence about the rows after the header: of all of them, or of the first `at_most` bytes.

    Keys: rows, bytes, widths (cells in a row → rows), utf8, columns (kinds, shapes, values where there are few, bounds of
    the parts of dates), related (see `_related`).
    """
    if head.width > MAX_WIDTH:
        raise TaskError("limit_exceeded", f"a row has {head.width} cells, at most {MAX_WIDTH} are read")
    columns = [_Column() for _ in range(head.width)]
    widths: Counter[int] = Counter()
    first: list[tuple[str, ...]] = []
    is_utf8 = True
    content.take(head.size)
    begin = content.offset
    for block in _blocks(content, begin + at_most if at_most else None):
        is_utf8 = is_utf8 and _decodes(block)
        rows = _rows(block.decode(head.encoding, "replace"), head.delimiter)
        widths.update(map(len, rows))
        fitting = [row for row in rows if len(row) == head.width]
        if len(first) < RELATED_ROWS:
            first += [tuple(row) for row in fitting[: RELATED_ROWS - len(first)]]
        _count(columns, fitting)
    widths.pop(0, None)
    return {
        "rows": sum(widths.values()), "bytes": content.offset - begin, "utf8": is_utf8,
        "widths": {str(width): count for width, count in widths.most_common(5)},
        "columns": [column.summary() for column in columns], "related": _related(first),
    }  # fmt: skip


def of_rows(rows: list[list[str]], width: int) -> dict[str, Any]:
    """As `gather`, of a few rows that are at hand."""
    columns = [_Column() for _ in range(width)]
    fitting = [row for row in rows if len(row) == width]
    _count(columns, fitting)
    return {
        "rows": len(rows),
        "columns": [column.summary() for column in columns],
        "related": _related([tuple(row) for row in fitting]),
    }


def _count(columns: list[_Column], rows: list[list[str]]) -> None:
    for column, values in zip(columns, zip(*rows, strict=True), strict=False):
        joined = "\n".join(values)
        is_simple = joined.count("\n") == len(values) - 1  # no cell has a line end in it: all shapes at once
        shapes = Counter(_shape(joined).split("\n") if is_simple else map(_shape, values))
        column.add(shapes, values)


def _shape(text: str) -> str:
    if not text.isascii():
        text = text.translate(_PLAIN_TEXT)
    return text.encode("latin-1", "replace").translate(_TABLE).decode("latin-1")


def _blocks(content: Content, end: int | None) -> Iterator[bytes]:
    """Whole lines, about BLOCK_BYTES at a time."""
    while end is None or content.offset < end:
        block = content.peek(BLOCK_BYTES)
        if not block:
            return
        cut = block.rfind(b"\n") + 1 or len(block)  # a line that is longer than a block counts in pieces
        yield content.take(cut)


def _decodes(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _rows(text: str, delimiter: str) -> list[list[str]]:
    lines = text.replace("\r", "").split("\n")
    if '"' not in text:
        return [line.split(delimiter) for line in lines if line and not line.isspace()]
    rows: list[list[str]] = []
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            rows.extend(row for row in reader if row)
        except csv.Error:
            continue
        return rows


def _related(rows: list[tuple[str, ...]]) -> dict[str, Any]:
    """How the numbers of neighbouring columns and rows relate, in the first rows.

    `never_below`: pairs (a, b) of columns where a ≥ b in every row and more in some. `steps`: for a pair "a,b", how far b
    lies from the a of the row above, on average, as a share of a; small for a close and the open after it.
    """
    columns = list(zip(*rows, strict=True))
    numbers = {n: found for n, values in enumerate(columns[:40]) if len(found := _numbers(values)) == len(values) and len(values) > 1}
    never_below = [
        [a, b] for a, left in numbers.items() for b, right in numbers.items()
        if a != b and all(map(Decimal.__ge__, left, right)) and any(map(Decimal.__gt__, left, right))
    ]  # fmt: skip
    return {"numeric": sorted(numbers), "never_below": never_below[:400], "steps": _steps(numbers)}


def _steps(numbers: dict[int, list[Decimal]]) -> dict[str, float]:
    """For pairs of neighbouring price-like columns: how far one lies from the other of the row above."""
    found: dict[str, float] = {}
    for a, left in list(numbers.items())[:12]:
        for b, right in list(numbers.items())[:12]:
            if a == b:
                continue
            gaps = [abs(after - before) for before, after in zip(left, right[1:], strict=False)]
            size = sum(map(abs, left)) or Decimal(1)
            found[f"{a},{b}"] = round(float(sum(gaps) / size), 9)
    return found


def _numbers(values: tuple[str, ...]) -> list[Decimal]:
    found: list[Decimal] = []
    for value in values:
        try:
            number = Decimal(value.strip().replace(",", ".") if value.count(",") == 1 and "." not in value else value.strip())
        except InvalidOperation:
            return []
        if not number.is_finite() or not -30 < number.adjusted() < 30:
            return []
        found.append(number)
    return found
