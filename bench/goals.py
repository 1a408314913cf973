"""What the figures of `make bench` should be: one line a figure, with its goal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Requests per second for a page of one, three times what there were before answers were kept.
PAGE_OF_ONE_PER_S = 2_862


def lines(details: dict[str, Any]) -> Iterator[str]:
    """`details`: as `make bench` writes them."""
    for name, value, goal, is_most in _figures(details):
        is_met = value <= goal if is_most else value >= goal
        sign = "at most" if is_most else "at least"
        yield (
            f"  {name:<52} {value:>9,}   {sign} {goal:,}"
            f"   {'met' if is_met else 'NOT MET'}"
        )


def _figures(
    details: dict[str, Any],
) -> Iterator[tuple[str, float, float, bool]]:
    """(name, value, goal, whether the goal is the most it may be)."""
    yield (
        "pipeline, share of PostgreSQL alone",
        details["pipeline"]["ratio"],
        0.75,
        False,
    )
    for origin in ("topic", "archive"):
        yield (
            f"replay from the {origin}, share of ingesting",
            details["replay"][origin]["ratio"],
            1.0,
            False,
        )
    for read in details["reads"][:2]:
        yield (
            f"{read['read']}, share of pgbench",
            read["ratio"],
            0.75,
            False,
        )
    one = details["reads"][2]
    yield (
        f"{one['read']}, requests/s",
        one["requests_per_s"],
        PAGE_OF_ONE_PER_S,
        False,
    )
    yield (
        "first row, round trips through Kafka",
        details["first_row"]["round_trips"],
        20,
        True,
    )
    yield (
        "first row of a file of 1 GB, s",
        details["first_row_1gb_s"],
        2.0,
        True,
    )
