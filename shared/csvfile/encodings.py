"""In which encoding a file is written that is not UTF-8: the one in which its header has sense."""

from __future__ import annotations

import re

from shared.csvfile.meaning.column_names import read_name

# Korean, Chinese, Japanese, Russian. Delimiters and line ends are bytes of their own in all.
OTHERS = ("cp949", "gb18030", "cp932", "cp1251")
FALLBACK = "cp1252"
MAX_LINES = 12  # that may stand above a header
ENOUGH = 2  # names of columns that are known
_CELLS = re.compile(r"[,;\t|]")


def encoding_of(beginning: bytes) -> str:
    """For a beginning that is not UTF-8. `FALLBACK` where no other one, or several, give names."""
    lines = beginning.splitlines()[:MAX_LINES]
    found = [
        encoding for encoding in OTHERS if _names_columns(lines, encoding)
    ]
    return found[0] if len(found) == 1 else FALLBACK


def _names_columns(lines: list[bytes], encoding: str) -> bool:
    return any(_named(line, encoding) >= ENOUGH for line in lines)


def _named(line: bytes, encoding: str) -> int:
    """How many names that are not ASCII are those of columns."""
    if line.isascii():
        return 0
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError:
        return 0
    cells = (cell.strip(' "') for cell in _CELLS.split(text))
    return sum(
        not cell.isascii() and read_name(cell).role is not None
        for cell in cells
    )
