"""Word lists in data files: words between white space, `#` begins a comment line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def lines(path: Path) -> Iterator[str]:
    """The lines of a data file without comments and blank ones."""
    for line in path.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line


def words(path: Path) -> frozenset[str]:
    """All words of a data file."""
    return frozenset(word for line in lines(path) for word in line.split())
