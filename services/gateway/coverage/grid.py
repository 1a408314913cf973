"""The moments that a series should have data points at, by number."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.gateway.prices.intervals import Interval

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_MONTHS_A_YEAR = 12


@dataclass(frozen=True)
class Grid:
    """Every `step` before and after `anchor`. Without a step every moment counts: microseconds."""

    anchor: datetime = _EPOCH
    step: Interval | None = None

    def at(self, number: int) -> datetime:
        """Raises OverflowError beyond the calendar."""
        if self._months() is None:
            return self.anchor + number * self._size()
        return self._month(number)

    def _month(self, number: int) -> datetime:
        return _later(self.anchor, number * (self._months() or 1))

    def number_from(self, moment: datetime) -> int:
        """Of the first moment that is no earlier."""
        months = self._months()
        if months is None:
            return -((self.anchor - moment) // self._size())
        number = _months_between(self.anchor, moment) // months
        while self._month(number) < moment:
            number += 1
        return number

    def nearest(self, moment: datetime) -> int:
        """Data points need not lie on the grid exactly."""
        after = self.number_from(moment)
        before = after - 1
        is_later = self.at(after) - moment <= moment - self.at(before)
        return after if is_later else before

    def _months(self) -> int | None:
        if self.step is None or self.step.unit != "M":
            return None
        return self.step.count

    def _size(self) -> timedelta:
        if self.step is None:
            return _TICK
        return timedelta(seconds=self.step.about_seconds())


def _months_between(start: datetime, end: datetime) -> int:
    years = end.year - start.year
    return years * _MONTHS_A_YEAR + end.month - start.month


def _later(moment: datetime, months: int) -> datetime:
    """So many months later, on the same day or the last of a month that has none."""
    year, month = divmod(
        moment.year * _MONTHS_A_YEAR + moment.month - 1 + months,
        _MONTHS_A_YEAR,
    )
    if not 1 <= year <= 9999:
        raise OverflowError("a time is out of range")
    last = calendar.monthrange(year, month + 1)[1]
    day = min(moment.day, last)
    return moment.replace(year=year, month=month + 1, day=day)
