"""The partitions of points that a batch needs, made before it.

In transactions of their own: what a batch writes must never wait for a table to be made.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from weakref import WeakKeyDictionary

import psycopg2
import psycopg2.errors
from sqlalchemy import Engine, text

from services.loader.pages.staged_page import StagedPage
from shared.identity.point_ids import (
    LAST_YEAR,
    first_id_at,
    is_of_news,
)
from shared.runtime import logs

# Ids that begin with the same digits lie within 19 hours.
_DIGITS = 6
_SPAN = 1 << 36  # microseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAKE = text("SELECT ensure_partition(:year, :month)")
Month = tuple[int, int]
# Beginnings of ids whose partitions are there.
_known: WeakKeyDictionary[Engine, set[str]] = WeakKeyDictionary()
log = logs.get(__name__)


def ensure_partitions(
    engine: Engine, pages: Iterable[StagedPage]
) -> None:
    """Make what these pages need and is not there. Raises DATABASE_UNAVAILABLE."""
    _ensure(engine, {id_[:_DIGITS] for page in pages for id_ in page.ids})


def ensure_next_partitions(engine: Engine) -> None:
    """Make those of the next weeks ahead. Raises DATABASE_UNAVAILABLE."""
    now = datetime.now(UTC)
    times = (now, now + timedelta(weeks=5))
    _ensure(engine, {first_id_at(time).hex[:_DIGITS] for time in times})


def is_missing(error: psycopg2.Error) -> bool:
    """Whether a row has found no partition, as of a month that was dropped by hand."""
    is_check = isinstance(error, psycopg2.errors.CheckViolation)
    return is_check and "no partition of relation" in str(error)


def forget(engine: Engine) -> None:
    """Ask again for every partition."""
    _known.pop(engine, None)


def _ensure(engine: Engine, beginnings: set[str]) -> None:
    known = _known.setdefault(engine, set())
    wanted = beginnings - known
    months = {
        month
        for beginning in wanted
        if not is_of_news(beginning)
        for month in _months_of(beginning)
    }
    for year, month in sorted(months):
        with engine.begin() as transaction:
            values = {"year": year, "month": month}
            if transaction.execute(MAKE, values).scalar():
                log.info("partition_made", year=year, month=month)
    known |= wanted


def month_of(id_: str) -> Month:
    """The month in which the time of an id (32 hex digits, not of news) lies."""
    return _month_at(int(id_[:12] + id_[13:16], 16))


def _months_of(beginning: str) -> tuple[Month, Month]:
    """The months in which ids with this beginning lie, mostly one."""
    first = int(beginning, 16) * _SPAN
    return _month_at(first), _month_at(first + _SPAN - 1)


def _month_at(micros: int) -> Month:
    try:
        return _month(_EPOCH + timedelta(microseconds=micros))
    except OverflowError:
        return LAST_YEAR, 12


def _month(moment: datetime) -> Month:
    if moment.year > LAST_YEAR:
        return LAST_YEAR, 12
    return moment.year, moment.month
