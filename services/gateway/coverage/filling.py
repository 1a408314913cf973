"""Which holes a source can fill, and the windows of days that it is asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from services.gateway.coverage.causes import Cause
from services.gateway.prices.series import WholeSeries
from services.gateway.schemas.ingest import EARLIEST
from shared.identity.windows import Window, parent_of, series_stream

_FILLED = frozenset({Cause.NEVER_ASKED, Cause.FAILED, Cause.UNKNOWN})
# Asking again would change nothing: another plan is needed, or it would be removed again.
_IN_VAIN = frozenset({"plan_limit", "POINTS_RETENTION"})
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Missing:
    """A hole of a series: from `start` to before `end`."""

    series: WholeSeries
    start: datetime
    end: datetime
    cause: Cause
    reason: str | None


def can_fill(hole: Missing, today: date) -> bool:
    """Whether its source has history that was not asked for, or failed."""
    return next(_windows(hole, today), None) is not None


def windows(holes: Iterable[Missing], today: date) -> list[Window]:
    """What to ask for, in as few calls as it takes."""
    asked: dict[tuple[str, str], list[Window]] = {}
    for hole in holes:
        for window in _windows(hole, today):
            asked.setdefault((window.coin, window.kind), []).append(
                window
            )
    return [
        window
        for _, of_coin in sorted(asked.items())
        for window in _joined(sorted(of_coin, key=_start))
    ]


def _windows(hole: Missing, today: date) -> Iterator[Window]:
    if hole.cause not in _FILLED or hole.reason in _IN_VAIN:
        return
    start = max(hole.start.date(), EARLIEST)
    end = min((hole.end - timedelta(microseconds=1)).date() + _DAY, today)
    if start >= end:
        return
    for stream in {
        series_stream(part.stream) for part in hole.series.parts
    }:
        found = parent_of(stream)
        if found is not None:
            yield Window(*found, start, end)


def _start(window: Window) -> date:
    return window.start


def _joined(ordered: Iterable[Window]) -> list[Window]:
    """One window instead of two where that takes no more calls: what is there is read again."""
    found: list[Window] = []
    for window in ordered:
        last = found[-1] if found else None
        if last is not None:
            both = replace(last, end=max(last.end, window.end))
            if both.calls() <= last.calls() + window.calls():
                found[-1] = both
                continue
        found.append(window)
    return found


def most_calls(asked: Iterable[Window]) -> int:
    """The most that they take.

    How far back a plan reaches moves with the days: a call that it refuses tells, once a window.
    """
    return sum(window.calls() + 1 for window in asked)
