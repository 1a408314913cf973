"""Page numbers as people read them: `0–3, 7`."""

from __future__ import annotations

from collections.abc import Iterable


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers, as (first, last)."""
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
    shown = ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in found[:10])
    return shown + (f" and {len(found) - 10} more ranges" if len(found) > 10 else "")
