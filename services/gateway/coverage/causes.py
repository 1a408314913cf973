"""Why something is missing, from what was asked. Pure: moments are numbers of a grid.

Nothing is inferred: where nobody knows, the cause is `unknown`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple


class Cause(StrEnum):
    """Why a data point is not there. Of several that hold the first in this list is told.

    not_yet: its time is not over. retired: it was taken out of sight. rejected, skipped: the source
    had a record, which became a dead letter or carried nothing. no_data: the source was asked and
    had nothing. failed: it was asked and failed. unknown: removed by retention, loaded before
    asking was recorded, or among rejected records whose time cannot be read. never_asked.
    """

    NOT_YET = "not_yet"
    RETIRED = "retired"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    NO_DATA = "no_data"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NEVER_ASKED = "never_asked"


_RANKS = {cause: rank for rank, cause in enumerate(Cause)}


class Span(NamedTuple):
    """From one number to before another."""

    first: int
    past: int


@dataclass(frozen=True)
class Claim:
    """What is known of a span. `is_certain`: before all others, as what retention removed."""

    span: Span
    cause: Cause
    reason: str | None = None
    run_id: str | None = None
    is_certain: bool = False

    @property
    def rank(self) -> int:
        return -1 if self.is_certain else _RANKS[self.cause]

    def is_as(self, other: Claim) -> bool:
        """Whether both say the same of their spans."""
        return replace(self, span=other.span) == other


def explained(
    gaps: Iterable[Span], claims: Iterable[Claim]
) -> Iterator[Claim]:
    """The gaps, cut where the cause changes, in order. `gaps`: in order, without overlaps."""
    painted = _painted(claims)
    known = next(painted, None)
    for gap in gaps:
        at = gap.first
        while at < gap.past:
            while known is not None and known.span.past <= at:
                known = next(painted, None)
            piece = _piece(Span(at, gap.past), known)
            at = piece.span.past
            yield piece


def _piece(rest: Span, known: Claim | None) -> Claim:
    """The first part of a gap. `known`: the first claim that ends behind its begin."""
    if known is None or known.span.first >= rest.past:
        return Claim(rest, Cause.NEVER_ASKED)
    if known.span.first > rest.first:
        before = Span(rest.first, known.span.first)
        return Claim(before, Cause.NEVER_ASKED)
    return replace(
        known, span=Span(rest.first, min(rest.past, known.span.past))
    )


def _painted(claims: Iterable[Claim]) -> Iterator[Claim]:
    """Of claims that overlap the one that counts, in order; pieces that say the same as one."""
    last: Claim | None = None
    for piece in _pieces(claims):
        if last is None:
            last = piece
        elif last.span.past == piece.span.first and last.is_as(piece):
            last = replace(
                last, span=Span(last.span.first, piece.span.past)
            )
        else:
            yield last
            last = piece
    if last is not None:
        yield last


def _pieces(claims: Iterable[Claim]) -> Iterator[Claim]:
    ordered = sorted(claims, key=lambda each: each.span)
    ends = {each.span.first for each in ordered}
    ends |= {each.span.past for each in ordered}
    waiting = iter(ordered)
    upcoming = next(waiting, None)
    active: list[tuple[int, int, int, Claim]] = []
    count = 0
    places = sorted(ends)
    for first, past in pairwise(places):
        while upcoming is not None and upcoming.span.first <= first:
            # Of equal ones the later begun is the newer.
            count += 1
            place = (upcoming.rank, -upcoming.span.first, -count)
            heapq.heappush(active, (*place, upcoming))
            upcoming = next(waiting, None)
        while active and active[0][-1].span.past <= first:
            heapq.heappop(active)
        if active:
            yield replace(active[0][-1], span=Span(first, past))
