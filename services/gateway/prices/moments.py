"""The price at a moment: the last one that was known then, never a later one.

A candle's close is known at its end. Where a file does not say how long its candles are, their open
is known at their timestamp.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from services.gateway.database import Database
from services.gateway.prices.choice import CANDLES, PriceSeries
from services.gateway.prices.intervals import Interval
from shared.identity.point_ids import first_id_at

_MICROSECOND = timedelta(microseconds=1)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)  # what ids can say
_SELECT = """
SELECT a.n, a.series_id, p.id::text, p."timestamp", p.price::text
FROM unnest($1::int[], $2::int[], $3::uuid[], $4::text[]) AS a (n, series_id, past, value)
CROSS JOIN LATERAL (
    SELECT id, "timestamp",
           CASE a.value WHEN 'close' THEN close WHEN 'open' THEN open ELSE price END AS price
    FROM points
    WHERE points.series_id = a.series_id AND points.id < a.past AND retired_at IS NULL
    ORDER BY points.id DESC LIMIT 1
) AS p
"""


@dataclass(frozen=True)
class Wanted:
    """A price that is asked for: of these series, the nearest to a moment."""

    moment: datetime
    series: Sequence[PriceSeries]


@dataclass(frozen=True)
class Found:
    """A price, and since when it was known. `price`: exact, as JSON."""

    series: PriceSeries
    id: str
    time: datetime
    price: msgspec.Raw

    def shown(self, moment: datetime) -> dict[str, Any]:
        return {
            "price": self.price,
            "currency": self.series.currency,
            "time": self.time,
            "seconds_before": (moment - self.time).total_seconds(),
            "id": self.id,
            "series": self.series.shown,
        }


async def last_known(
    database: Database, wanted: Sequence[Wanted]
) -> list[Found | None]:
    """For each the price that was known last; of equally old ones that of the first series."""
    looks = list(_looks(wanted))
    if not looks:
        return [None] * len(wanted)
    columns = map(list, zip(*looks, strict=True))
    rows = await database.rows(_SELECT, *columns)
    return _nearest(wanted, rows)


def _looks(
    wanted: Iterable[Wanted],
) -> Iterator[tuple[int, int, UUID, str]]:
    """(number of what is wanted, series, what lies behind, which value)."""
    for number, each in enumerate(wanted):
        for series in each.series:
            last = _last(series, each.moment)
            if last is None:
                continue
            past = first_id_at(last + _MICROSECOND)
            for part in series.last_before(last):
                yield number, part, past, _value(series)


def _nearest(
    wanted: Sequence[Wanted], rows: Iterable[Any]
) -> list[Found | None]:
    by_place = {
        (row["n"], row["series_id"]): row
        for row in rows
        if row["price"] is not None
    }
    answers: list[Found | None] = []
    for number, each in enumerate(wanted):
        found = [
            _found(series, by_place[number, part])
            for series in each.series
            for part in series.ids
            if (number, part) in by_place
        ]
        # max takes the first of equals.
        answers.append(max(found, key=lambda one: one.time, default=None))
    return answers


def _found(series: PriceSeries, row: Any) -> Found:
    known = row["timestamp"]
    length = _length(series)
    if length is not None:
        known = length.later(known, 1)
    return Found(
        series, row["id"], known, msgspec.Raw(row["price"].encode())
    )


def _length(series: PriceSeries) -> Interval | None:
    """How long after its timestamp the close of a candle is known; None where at once."""
    is_at_once = series.basis != CANDLES or series.is_by_close
    return None if is_at_once else series.interval


def _last(series: PriceSeries, moment: datetime) -> datetime | None:
    """The last timestamp that could be known then; None where nothing was."""
    if moment < series.first_at:
        return None
    moment = min(moment, _LATEST)
    length = _length(series)
    return moment if length is None else length.later(moment, -1)


def _value(series: PriceSeries) -> str:
    if series.basis != CANDLES:
        return "price"
    return "close" if series.interval or series.is_by_close else "open"
