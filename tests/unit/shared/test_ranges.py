"""Numbers as ranges."""

from __future__ import annotations

from shared.ranges import ranges, ranges_text


def test_numbers_as_ranges() -> None:
    assert ranges([7, 1, 2, 2, 3]) == [(1, 3), (7, 7)]
    assert ranges_text([7, 1, 2, 3]) == "1–3, 7"
    assert ranges_text(range(0, 40, 2)).endswith("and 10 more ranges")
