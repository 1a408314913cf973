"""Why something is missing: claims painted over gaps, held to a moment by moment search."""

from __future__ import annotations

import random

from services.gateway.coverage.causes import (
    Cause,
    Claim,
    Span,
    explained,
)


def naive(at: int, claims: list[Claim]) -> tuple[Cause, str | None]:
    """By the list of causes, then by the later begin."""
    found = [
        each for each in claims if each.span.first <= at < each.span.past
    ]
    if not found:
        return Cause.NEVER_ASKED, None
    best = min(
        found,
        key=lambda each: (
            each.rank,
            -each.span.first,
            -each.span.past,
        ),
    )
    return best.cause, best.reason


def test_each_moment_has_the_cause_that_counts() -> None:
    chance = random.Random(7)
    for _ in range(300):
        claims = []
        for number in range(chance.randrange(12)):
            first = chance.randrange(60)
            claims.append(
                Claim(
                    Span(first, first + chance.randrange(1, 30)),
                    chance.choice(list(Cause)),
                    str(number),
                    is_certain=chance.random() < 0.1,
                )
            )
        gaps = []
        at = 0
        while at < 80:
            first = at + chance.randrange(1, 9)
            at = first + chance.randrange(1, 9)
            gaps.append(Span(first, at))
        pieces = list(explained(gaps, claims))
        told = {
            at: (piece.cause, piece.reason)
            for piece in pieces
            for at in range(piece.span.first, piece.span.past)
        }
        expected = {
            at: naive(at, claims)
            for gap in gaps
            for at in range(gap.first, gap.past)
        }
        assert {at: found[0] for at, found in told.items()} == {
            at: found[0] for at, found in expected.items()
        }
        assert sum(
            piece.span.past - piece.span.first for piece in pieces
        ) == len(expected)


def test_what_says_the_same_is_one_piece() -> None:
    claims = [
        Claim(Span(0, 5), Cause.NO_DATA),
        Claim(Span(5, 9), Cause.NO_DATA),
        Claim(Span(3, 4), Cause.FAILED, "timeout"),
    ]
    assert list(explained([Span(1, 12)], claims)) == [
        Claim(Span(1, 9), Cause.NO_DATA),
        Claim(Span(9, 12), Cause.NEVER_ASKED),
    ]
