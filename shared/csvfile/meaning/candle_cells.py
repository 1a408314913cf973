"""Open, high, low and close told apart by how the numbers of four neighbouring columns relate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from shared.csvfile.meaning.columns import Column

Json = dict[str, Any]
_BOUNDS = (
    "of four neighbours one is never below, one never above the others"
)
CLEARLY = 0.8  # of the other step


class Candle(NamedTuple):
    """Positions of open, high, low and close, and the reason."""

    columns: dict[str, int]
    reason: str


def ohlc_by_cells(
    columns: list[Column],
    related: Json,
    *,
    is_ascending: bool,
    taken: set[int],
) -> Candle | None:
    """Open, high, low and close among four neighbouring columns.

    They are told apart by how their numbers relate.
    """
    above = {(a, b) for a, b in related.get("never_below") or ()}
    steps = _steps_of(related)
    for four in _neighbours(columns, related, taken):
        bounds = _high_and_low(four, above)
        if bounds is not None:
            return _open_and_close(
                four, *bounds, steps, is_ascending=is_ascending
            )
    return None


def _neighbours(
    columns: list[Column], related: Json, taken: set[int]
) -> Iterator[list[int]]:
    """Every four neighbouring columns of numbers that change."""
    numeric = [
        position
        for position in related.get("numeric") or ()
        if position not in taken and not columns[position].is_constant()
    ]
    for start in range(len(numeric) - 3):
        four = numeric[start : start + 4]
        if four[3] == four[0] + 3:
            yield four


def _steps_of(related: Json) -> dict[str, float]:
    """Fractions travel as exact numbers, which may be texts."""
    steps: Json = related.get("steps") or {}
    return {pair: float(size) for pair, size in steps.items()}


def _high_and_low(
    four: list[int], above: set[tuple[int, int]]
) -> tuple[int, int] | None:
    """The one that is never below the others and the one that is never above them.

    None where others are ordered too: then nothing tells open and close from them.
    """
    high = _above_all(four, above)
    low = _above_all(four, {(b, a) for a, b in above})
    if high is None or low is None:
        return None
    first, second = _between(four, high, low)
    if (first, second) in above or (second, first) in above:
        return None
    return high, low


def _above_all(
    four: list[int], above: set[tuple[int, int]]
) -> int | None:
    for one in four:
        others = {(one, other) for other in four if other != one}
        if others <= above:
            return one
    return None


def _between(four: list[int], high: int, low: int) -> list[int]:
    return [one for one in four if one not in (high, low)]


def _open_and_close(
    four: list[int],
    high: int,
    low: int,
    steps: dict[str, float],
    *,
    is_ascending: bool,
) -> Candle | None:
    """A close is followed by an open near it: by the one of the row below.

    Or above, where the newest row stands first.
    """
    first, second = _between(four, high, low)
    left = steps.get(f"{second},{first}")
    right = steps.get(f"{first},{second}")
    if left is None or right is None:
        return None
    if not is_ascending:
        left, right = right, left
    is_opening = _is_nearer(left, right)
    if is_opening is not None:
        ends = (first, second) if is_opening else (second, first)
        return _candle(
            ends, high, low, "each open lies near the close before it"
        )
    if _is_usual_order(first, high, low, second):
        reason = "the usual order open, high, low, close"
        return _candle((first, second), high, low, reason)
    return None


def _is_nearer(one: float, other: float) -> bool | None:
    """Whether one step is clearly smaller than the other; None where neither is."""
    if one < CLEARLY * other:
        return True
    return False if other < CLEARLY * one else None


def _is_usual_order(first: int, high: int, low: int, second: int) -> bool:
    return first < high < low < second


def _candle(
    ends: tuple[int, int], high: int, low: int, reason: str
) -> Candle:
    opening, closing = ends
    roles = {"open": opening, "high": high, "low": low, "close": closing}
    return Candle(roles, f"{_BOUNDS}; {reason}")
