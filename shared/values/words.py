"""Word lists in data files: words between white space, `#` begins a comment line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def lines(path: Path) -> Iterator[str]:
    """The lines of a data file without comments and blank ones."""
    for line in path.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line


def patterns(path: Path) -> list[str]:
    """Regular expressions, one a line; a line that begins with `|` goes on with the one before."""
    found: list[str] = []
    for line in lines(path):
        if line.startswith("|"):
            found[-1] += line
        else:
            found.append(line)
    return found


def grouped(path: Path) -> dict[str, list[str]]:
    """Words by the name before the tab; a name may have several lines."""
    found: dict[str, list[str]] = {}
    for line in lines(path):
        name, _, listed = line.partition("\t")
        found.setdefault(name, []).extend(listed.split())
    return found


def words(path: Path) -> frozenset[str]:
    """All words of a data file."""
    return frozenset(
        word for line in lines(path) for word in line.split()
    )
