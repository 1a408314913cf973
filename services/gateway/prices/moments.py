"""The price at a moment: the last one that was known then, never a later one.

A candle's close is known at its end. Where a file does not say how long its candles are, their open
is known at their timestamp.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from services.gateway.database import Database
from services.gateway.prices.bars import replaced, stood_at
from services.gateway.prices.intervals import Interval
from services.gateway.prices.series import (
    CANDLES,
    EARLIEST,
    LATEST,
    WholeSeries,
)
from shared.identity.point_ids import first_id_at

_MICROSECOND = timedelta(microseconds=1)
MANY = (
    200  # prices, from which on they are looked for beside the event loop
)
_FIRST = UUID(int=0)
_VALUE = "CASE a.value WHEN 'close' THEN close WHEN 'open' THEN open ELSE price END AS price"
_LAST = f"""
SELECT id, "timestamp", {_VALUE} FROM points
WHERE points.series_id = a.series_id AND points.id < a.past AND {{condition}}
ORDER BY points.id DESC LIMIT 1
"""
_SELECT = f"""
SELECT a.n, a.series_id, p.id::text, p."timestamp", p.price::text
FROM unnest($1::int[], $2::int[], $3::uuid[], $4::text[]) AS a (n, series_id, past, value)
CROSS JOIN LATERAL ({_LAST.format(condition="retired_at IS NULL")}) AS p
"""
# Of what was replaced since only what lies behind that which still stands.
_SELECT_THEN = f"""
SELECT a.n, a.series_id, p.id::text, p."timestamp", p.price::text
FROM unnest($1::int[], $2::int[], $3::uuid[], $4::text[]) AS a (n, series_id, past, value)
LEFT JOIN LATERAL ({_LAST.format(condition=stood_at("$5"))}) AS standing ON true
CROSS JOIN LATERAL (
    SELECT standing.id, standing."timestamp", standing.price WHERE standing.id IS NOT NULL
    UNION ALL
    (SELECT id, "timestamp", {_VALUE}
     FROM ({replaced("$5", "coalesce(standing.id, $6)", "a.past", "= a.series_id")}) AS r
     ORDER BY id DESC LIMIT 1)
    ORDER BY id DESC LIMIT 1
) AS p
"""


@dataclass(frozen=True)
class Wanted:
    """A price that is asked for: of these series, the nearest to a moment."""

    moment: datetime
    series: Sequence[WholeSeries]


@dataclass(frozen=True)
class Found:
    """A price, and since when it was known. `price`: exact, as JSON."""

    series: WholeSeries
    id: str
    time: datetime
    price: msgspec.Raw

    def number(self) -> Decimal:
        return Decimal(bytes(self.price).decode())

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
    database: Database,
    wanted: Sequence[Wanted],
    as_of: datetime | None = None,
) -> list[Found | None]:
    """For each the price that was known last; of equally old ones that of the first series.

    `as_of`: by the data as they were then.
    """
    columns = await _aside(wanted, _columns, wanted, as_of is None)
    if not columns:
        return [None] * len(wanted)
    if as_of is None:
        rows = await database.rows(_SELECT, *columns)
    else:
        rows = await database.rows(_SELECT_THEN, *columns, as_of, _FIRST)
    found: list[Found | None] = await _aside(
        wanted, _nearest, wanted, rows
    )
    return found


async def _aside(
    wanted: Sequence[Wanted], work: Callable[..., Any], *arguments: Any
) -> Any:
    """Much work in a thread, so that other requests are answered beside it."""
    if len(wanted) < MANY:
        return work(*arguments)
    return await asyncio.to_thread(work, *arguments)


def _columns(
    wanted: Sequence[Wanted],
    is_of_now: bool,  # noqa: FBT001
) -> list[list[Any]]:
    looks = list(_looks(wanted, is_of_now=is_of_now))
    return [list(column) for column in zip(*looks, strict=True)]


def _looks(
    wanted: Iterable[Wanted], *, is_of_now: bool
) -> Iterator[tuple[int, int, UUID, str]]:
    """(number of what is wanted, series, what lies behind, which value)."""
    for number, each in enumerate(wanted):
        for series in each.series:
            last = _last(series, each.moment)
            past = first_id_at(last + _MICROSECOND)
            # Which parts had a data point then is not known.
            parts = series.last_before(last) if is_of_now else series.ids
            for part in parts:
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


def _found(series: WholeSeries, row: Any) -> Found:
    known = row["timestamp"]
    length = _length(series)
    if length is not None:
        known = length.later(known, 1)
    return Found(
        series, row["id"], known, msgspec.Raw(row["price"].encode())
    )


def _length(series: WholeSeries) -> Interval | None:
    """How long after its timestamp the close of a candle is known; None where at once."""
    is_at_once = series.basis != CANDLES or series.is_by_close
    return None if is_at_once else series.interval


def _last(series: WholeSeries, moment: datetime) -> datetime:
    """The last timestamp that could be known then."""
    moment = min(max(moment, EARLIEST), LATEST)
    length = _length(series)
    return moment if length is None else length.later(moment, -1)


def _value(series: WholeSeries) -> str:
    if series.basis != CANDLES:
        return "price"
    return "close" if series.interval or series.is_by_close else "open"
