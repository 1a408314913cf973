"""Names that were meant, where others were written."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_ALIKE = 0.6


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like another one; None where none is like it."""
    by_small = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), by_small, 1, _ALIKE)
    return by_small[found[0]] if found else None


def meant(name: str, known: Iterable[str]) -> str:
    """`: did you mean `x`?`, empty where no known name is like it."""
    found = nearest(name, known)
    return f": did you mean `{found}`?" if found else ""
