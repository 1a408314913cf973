"""Series as questions see them.

Those that differ in their stream alone, such as the months of one market in a folder of files, are
the parts of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from services.gateway.database import Database, Where
from services.gateway.prices.intervals import Interval
from services.gateway.problems import ProblemError
from shared.messages.points import TimestampIs

MAX_CHOSEN = 10_000  # rows of series that a question may be about
# What ids can say.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
CANDLES = "candles"
SAMPLED = "sampled"
HAVE_POINTS = ("points > 0",)
# Where all data points are retired, those count: what was there once may be asked for.
_EXTENT = """
CASE WHEN {column} IS NOT NULL THEN {column} ELSE (
    SELECT p."timestamp" FROM points AS p WHERE p.series_id = series.series_id
    ORDER BY p.id {way} LIMIT 1) END
"""
_SELECT = f"""
SELECT series_id AS id, source, dataset, stream, kind, instrument, symbol, "interval", currency,
       timestamp_is, points, {_EXTENT.format(column="first_at", way="ASC")} AS first_at,
       {_EXTENT.format(column="last_at", way="DESC")} AS last_at
FROM series {{wanted}}
ORDER BY series_id LIMIT {{most}}
"""


@dataclass(frozen=True)
class Part:
    """The data points that one stream has of a series. `id`: as `GET /series` shows it."""

    id: int
    stream: str
    points: int
    first_at: datetime
    last_at: datetime

    def reaches(self, moment: datetime) -> datetime:
        """The latest time, at most `moment`, of which it surely has a data point."""
        return self.last_at if self.last_at <= moment else self.first_at


@dataclass(frozen=True)
class WholeSeries:
    """`interval`: of candles, where that is known. `parts`: oldest first, one at least."""

    source: str
    dataset: str
    kind: str
    instrument: str | None
    symbol: str | None
    interval: Interval | None
    currency: str | None
    timestamp_is: str | None
    parts: tuple[Part, ...]

    @cached_property
    def ids(self) -> list[int]:
        return [part.id for part in self.parts]

    @cached_property
    def points(self) -> int:
        return sum(part.points for part in self.parts)

    @cached_property
    def first_at(self) -> datetime:
        return self.parts[0].first_at

    @cached_property
    def last_at(self) -> datetime:
        return max(part.last_at for part in self.parts)

    def within(self, first: datetime, past: datetime) -> list[int]:
        """The parts that may have data points from `first` to before `past`."""
        return [
            part.id
            for part in self.parts
            if part.first_at < past and part.last_at >= first
        ]

    def points_within(self, start: datetime, end: datetime) -> int:
        """About how many data points lie from `start` to before `end`, at most."""
        length = end - start
        if self.interval is not None:
            every = timedelta(seconds=self.interval.about_seconds())
            return min(self.points, length // every)
        extent = self.last_at - self.first_at
        share = length / extent if extent else 1.0
        return int(self.points * min(1.0, share))

    def last_before(self, moment: datetime) -> list[int]:
        """The parts one of which has the last data point at or before a moment."""
        begun = [part for part in self.parts if part.first_at <= moment]
        sure = max(
            (part.reaches(moment) for part in begun), default=moment
        )
        return [part.id for part in begun if part.last_at >= sure]

    @property
    def basis(self) -> str:
        return CANDLES if self.kind == "candle" else SAMPLED

    @property
    def is_by_close(self) -> bool:
        """Whether the timestamp of its candles is their end."""
        return self.timestamp_is == TimestampIs.CLOSE

    @cached_property
    def shown(self) -> dict[str, Any]:
        """For people."""
        return {
            "ids": self.ids,
            "source": self.source,
            "dataset": self.dataset,
            "kind": self.kind,
            "instrument": self.instrument,
            "symbol": self.symbol,
            "interval": _text(self.interval),
            "currency": self.currency,
            "timestamp_is": self.timestamp_is,
        }


_OF_SERIES = fields(WholeSeries)[:-1]


def _text(interval: Interval | None) -> str | None:
    return f"{interval.count}{interval.unit}" if interval else None


async def whole_series(
    database: Database, wanted: Where
) -> list[WholeSeries]:
    """Those that match, in the order of their smallest numbers.

    With those whose data points are all retired, unless `HAVE_POINTS` is among the conditions.
    Raises ProblemError 422 for more than a question may be about.
    """
    query = _SELECT.format(wanted=wanted, most=MAX_CHOSEN + 1)
    rows = await database.rows(query, *wanted.arguments)
    if len(rows) > MAX_CHOSEN:
        raise ProblemError(
            422,
            f"query: more than {MAX_CHOSEN:,} series match: name a source, a dataset or a currency,"
            " or ask for fewer symbols",
        )
    return _whole(row for row in rows if row["first_at"] is not None)


def _whole(rows: Iterable[Any]) -> list[WholeSeries]:
    """Series with their parts, in the order of their smallest numbers."""
    parts: dict[tuple[str | None, ...], list[Part]] = {}
    for row in rows:
        part = Part(
            row["id"],
            row["stream"],
            row["points"],
            _within_ids(row["first_at"]),
            _within_ids(row["last_at"]),
        )
        texts = tuple(row[field.name] for field in _OF_SERIES)
        parts.setdefault(texts, []).append(part)
    return [_series(texts, found) for texts, found in parts.items()]


def _within_ids(moment: datetime) -> datetime:
    """Where data points of a time stand, see shared/identity/point_ids.py."""
    return min(max(moment, EARLIEST), LATEST)


def _series(
    texts: tuple[str | None, ...], parts: list[Part]
) -> WholeSeries:
    names = (field.name for field in _OF_SERIES)
    known: dict[str, Any] = dict(zip(names, texts, strict=True))
    known["interval"] = Interval.parse(known["interval"])
    ordered = sorted(parts, key=lambda part: (part.first_at, part.id))
    return WholeSeries(**known, parts=tuple(ordered))
