"""Page numbers as people read them: `0–3, 7`."""

from __future__ import annotations

from collections.abc import Iterable

MAX_SHOWN = 10


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Stretches of consecutive numbers, as (first, last)."""
    found: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def ranges_text(numbers: Iterable[int]) -> str:
    """At most ten of them."""
    found = ranges(numbers)
    shown = ", ".join(
        _shown(first, last) for first, last in found[:MAX_SHOWN]
    )
    more = len(found) - MAX_SHOWN
    return f"{shown} and {more} more ranges" if more > 0 else shown


def _shown(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"
