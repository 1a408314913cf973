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


def gaps(numbers: Iterable[int], count: int) -> list[tuple[int, int]]:
    """The stretches of 0 … count − 1 that are not among the numbers, as (first, last)."""
    found: list[tuple[int, int]] = []
    following = 0
    for first, last in [*ranges(numbers), (count, count)]:
        if following < first <= count:
            found.append((following, first - 1))
        following = last + 1
    return found


def first_of(
    spans: Iterable[tuple[int, int]], most: int
) -> list[tuple[int, int]]:
    """These spans as far as they hold at most so many numbers together."""
    kept = []
    for first, last in spans:
        if most <= 0:
            break
        kept.append((first, min(last, first + most - 1)))
        most -= last - first + 1
    return kept


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
