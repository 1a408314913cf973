"""Which bars are asked for, and which of them stand on a page. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.gateway.prices.intervals import Interval
from services.gateway.prices.series import EARLIEST, WholeSeries

BARS_OF_QUERY = 10_000  # of a file that is made window by window
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Window:
    """Bars that begin at `start` or later, and before `end`, which begins a bar too."""

    interval: Interval
    zone: ZoneInfo
    start: datetime
    end: datetime

    @classmethod
    def without_bars(cls, interval: Interval, zone: ZoneInfo) -> Window:
        return cls(interval, zone, EARLIEST, EARLIEST)

    def count(self) -> int:
        """About how many bars it has."""
        every = timedelta(seconds=self.interval.about_seconds())
        return (self.end - self.start) // every

    def begins(self) -> list[datetime]:
        """Of each bar, and where the last one ends."""
        found = [self.start]
        while found[-1] < self.end:
            found.append(self.interval.after(found[-1], self.zone))
        return found

    def page(
        self, limit: int, start: datetime | None, order: str
    ) -> tuple[Window, Window | None]:
        """The bars of a page, and those that a link leads to.

        Without a `start` the newest; then those after them are yet to come, unless `order` is desc.
        """
        if order == "desc":
            return self.newest(limit)
        if start is None:
            return self.newest(limit)[0], None
        return self.oldest(limit)

    def newest(self, limit: int) -> tuple[Window, Window | None]:
        """The last bars, and those before them where there are more."""
        start = self._away(self.end, -limit)
        if start is None or start <= self.start:
            return self, None
        return replace(self, start=start), replace(self, end=start)

    def oldest(self, limit: int) -> tuple[Window, Window | None]:
        """The first bars, and those after them where there are more."""
        end = self._away(self.start, limit)
        if end is None or end >= self.end:
            return self, None
        return replace(self, end=end), replace(self, start=end)

    def pieces(self) -> Iterator[Window]:
        """All bars, BARS_OF_QUERY at a time, the oldest first; one piece where there are none."""
        rest: Window | None = self
        while rest is not None:
            piece, rest = rest.oldest(BARS_OF_QUERY)
            yield piece

    def _away(self, begin: datetime, bars: int) -> datetime | None:
        """So many bars away; None beyond the calendar."""
        try:
            return self.interval.after(begin, self.zone, bars)
        except (OverflowError, ValueError):
            return None


def window_over(
    series: Sequence[WholeSeries],
    interval: Interval,
    zone: ZoneInfo,
    start: datetime | None,
    end: datetime | None,
) -> Window | None:
    """All bars from `start` to `end` in which data points may lie; None where there are none."""
    first = min(map(_first_of, series))
    last = max(map(_last_of, series))
    return window_between(first, last, interval, zone, start, end)


def window_between(
    earliest: datetime,
    latest: datetime,
    interval: Interval,
    zone: ZoneInfo,
    start: datetime | None,
    end: datetime | None,
) -> Window | None:
    """The same, of what lies between two moments, both included."""
    first = interval.floor(earliest, zone)
    past = interval.after(interval.floor(latest, zone), zone)
    # What lies beyond all data may be beyond the calendar too.
    if start is not None and start > first:
        first = _at_or_after(min(start, past), interval, zone)
    if end is not None and end < past:
        past = _at_or_after(max(end, first), interval, zone)
    if first >= past:
        return None
    return Window(interval, zone, first, past)


def _first_of(series: WholeSeries) -> datetime:
    """A moment of its first candle."""
    return series.first_at - series.is_by_close * _MICROSECOND


def _last_of(series: WholeSeries) -> datetime:
    """A moment of its last candle."""
    return series.last_at - series.is_by_close * _MICROSECOND


def _at_or_after(
    moment: datetime, interval: Interval, zone: ZoneInfo
) -> datetime:
    """The first begin of a bar that is no earlier."""
    begin = interval.floor(moment, zone)
    return begin if begin == moment else interval.after(begin, zone)
