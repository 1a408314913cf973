"""Intervals of bars: where one begins and where the next one does.

Anchored at 1970-01-01: weeks on the first Monday after it, months on the first. Minutes and hours
are counted in UTC, days and longer by the calendar of a zone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import gcd
from zoneinfo import ZoneInfo

PATTERN = r"^[1-9][0-9]{0,2}[mhdwM]$"
_TEXT = re.compile(r"([1-9]\d{0,3})([smhdwM])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_UTC = ZoneInfo("UTC")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  local times are naive here
_MONDAY = datetime(1970, 1, 5)  # noqa: DTZ001  local times are naive here
_MONTHS_A_YEAR = 12
_ABOUT_A_MONTH_S = 30 * 86_400
_YEARS = range(2000, 2041)  # whose offsets tell how fine a zone is


@dataclass(frozen=True)
class Interval:
    """So many of a unit: s, m, h, d, w, or M for months."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str | None) -> Interval | None:
        """None for what is no interval."""
        found = _TEXT.fullmatch(text or "")
        return cls(int(found[1]), found[2]) if found else None

    @classmethod
    def of(cls, text: str) -> Interval:
        """Of a text that was held to `PATTERN`. Raises ValueError for another."""
        found = cls.parse(text)
        if found is None:
            raise ValueError(f"{text!r} is no interval")
        return found

    @property
    def seconds(self) -> int | None:
        """None of months, which are not equally long."""
        size = _SECONDS.get(self.unit)
        return None if size is None else size * self.count

    @property
    def is_of_calendar(self) -> bool:
        return self.unit in "dwM"

    def about_seconds(self) -> int:
        return self.seconds or self.count * _ABOUT_A_MONTH_S

    def floor(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """The begin, in UTC, of the bar that holds a moment."""
        return _utc(self._local_begin(moment, zone), self._zone(zone))

    def _local_begin(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """By its own clocks, also where those leave it out."""
        local = _local(moment, self._zone(zone))
        if self.unit == "M":
            return self._floored_months(local)
        anchor = _MONDAY if self.unit == "w" else _EPOCH
        return self._floored(local, anchor)

    def _zone(self, zone: ZoneInfo) -> ZoneInfo:
        return zone if self.is_of_calendar else _UTC

    def _floored_months(self, local: datetime) -> datetime:
        month = _number_of_month(local)
        return _month(month - month % self.count)

    def _floored(self, moment: datetime, anchor: datetime) -> datetime:
        step = timedelta(seconds=self.about_seconds())
        return anchor + (moment - anchor) // step * step

    def after(
        self, start: datetime, zone: ZoneInfo, bars: int = 1
    ) -> datetime:
        """The begin of a bar so many bars after the one that begins at `start`."""
        local = self._local_begin(start, zone)
        if self.unit == "M":
            month = _number_of_month(local) + bars * self.count
            return _utc(_month(month), zone)
        step = timedelta(seconds=self.about_seconds())
        return _utc(local + bars * step, self._zone(zone))

    def later(self, moment: datetime, count: int) -> datetime:
        """A moment in UTC so many intervals later; of months, the first of that month."""
        if self.seconds is None:
            return self.after(moment, _UTC, count)
        return moment + count * timedelta(seconds=self.seconds)

    def holds(self, finer: Interval, zone: ZoneInfo) -> bool:
        """Whether its bars can be made of whole candles of another interval."""
        size = finer.seconds
        if size is None:
            return self._holds_months(finer, zone)
        if self.is_of_calendar and not _begins_with(zone, size):
            return False
        if finer.unit == "w" and self.unit != "w":
            return False  # they begin on other days
        return self == finer or self._divisor() % size == 0

    def _holds_months(self, finer: Interval, zone: ZoneInfo) -> bool:
        are_whole = self.unit == "M" and self.count % finer.count == 0
        return are_whole and not _granularity(zone)

    def _divisor(self) -> int:
        """Seconds of which each of its bars has a whole number."""
        return self.seconds or _SECONDS["d"]


def _begins_with(zone: ZoneInfo, seconds: int) -> bool:
    """Whether the days of a zone begin where candles of this length do."""
    return _granularity(zone) % seconds == 0


def _number_of_month(local: datetime) -> int:
    """Months since January 1970."""
    return (local.year - 1970) * _MONTHS_A_YEAR + local.month - 1


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _month(number: int) -> datetime:
    year, month = divmod(number, _MONTHS_A_YEAR)
    return datetime(1970 + year, month + 1, 1)  # noqa: DTZ001  local


def _utc(local: datetime, zone: ZoneInfo) -> datetime:
    """Of a time that a change of the clocks leaves out, what would have been it."""
    return local.replace(tzinfo=zone).astimezone(UTC)


@lru_cache(maxsize=64)
def _granularity(zone: ZoneInfo) -> int:
    """Seconds that divide all offsets of a zone; 0 for UTC."""
    found = 0
    for year in _YEARS:
        for month in (1, 7):
            moment = datetime(year, month, 1, tzinfo=zone)
            offset = moment.utcoffset() or timedelta()
            found = gcd(found, int(offset.total_seconds()))
    return found
