"""The series of data points: what many of them share stands once, and has a number.

Made before the batch that needs them, in a transaction of their own: a series without points harms
nobody, and no batch waits for another that makes the same one. Its bounds are those of months, so
that they are seldom moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2
import psycopg2.extras
from sqlalchemy import Engine

from services.loader.database import Db, db_of
from services.loader.pages.partitions import month_of
from services.loader.pages.staged_page import (
    Label,
    StagedPage,
)
from shared.identity.ids import text_id
from shared.identity.point_ids import (
    end_of_month,
    first_of_month,
    is_of_news,
)
from shared.messages.points import SERIES_COLUMNS

_SEPARATOR = "\x1f"
_NONE = "\x1e"
_SELECT = """
SELECT replace(key::text, '-', ''), series_id, replace(first_id::text, '-', ''),
       replace(past_id::text, '-', '')
FROM series WHERE key = ANY(%s::uuid[])
"""
_COLUMNS = ", ".join(f'"{name}"' for name in SERIES_COLUMNS)
_UPSERT = f"""
INSERT INTO series AS s (key, {_COLUMNS}, first_id, past_id) VALUES %s
ON CONFLICT (key) DO UPDATE SET first_id = least(s.first_id, excluded.first_id),
    past_id = greatest(s.past_id, excluded.past_id)
RETURNING replace(key::text, '-', ''), series_id
"""


@dataclass
class _Wanted:
    """A series that pages need. `first` and `last`: the ids of its first and its last point."""

    label: Label
    first: str
    last: str

    def include(self, id_: str) -> None:
        self.first = min(self.first, id_)
        self.last = max(self.last, id_)

    def has_times(self) -> bool:
        return not is_of_news(self.first)

    def is_within(
        self, first_id: str | None, past_id: str | None
    ) -> bool:
        """Whether bounds that are stored include it."""
        if not self.has_times():
            return True
        if first_id is None or past_id is None:
            return False
        return first_id <= self.first and self.last < past_id

    def row(self, key: str) -> tuple[Any, ...]:
        if not self.has_times():
            return key, *self.label, None, None
        first = first_of_month(*month_of(self.first))
        past = end_of_month(*month_of(self.last))
        return key, *self.label, first.hex, past.hex


def number_series(engine: Engine, pages: Sequence[StagedPage]) -> None:
    """Give each data point of the pages the number of its series, which is made where it is not.

    Raises DATA_ERRORS for texts that PostgreSQL cannot store, DATABASE_UNAVAILABLE.
    """
    wanted, keys = _wanted(pages)
    if not wanted:
        return
    _refuse_nul(wanted)
    with engine.begin() as transaction:
        numbers = _numbers(db_of(transaction), wanted)
    for page in pages:
        page.series = [numbers[keys[label]] for label in page.labels]


def _wanted(
    pages: Sequence[StagedPage],
) -> tuple[dict[str, _Wanted], dict[Label, str]]:
    """What the pages need by its key, and the keys."""
    wanted: dict[str, _Wanted] = {}
    keys: dict[Label, str] = {}
    for page in pages:
        for label, id_ in zip(page.labels, page.ids, strict=True):
            key = keys.get(label)
            if key is None:
                keys[label] = key = _key(label)
                wanted[key] = _Wanted(label, id_, id_)
            else:
                wanted[key].include(id_)
    return wanted, keys


def _refuse_nul(wanted: dict[str, _Wanted]) -> None:
    """As PostgreSQL would: psycopg2 does not let it."""
    for each in wanted.values():
        if any(text and "\0" in text for text in each.label):
            raise psycopg2.DataError("a text holds NUL (0x00)")


def _key(label: Label) -> str:
    return text_id(
        _SEPARATOR.join(_NONE if text is None else text for text in label)
    )


def _numbers(db: Db, wanted: dict[str, _Wanted]) -> dict[str, int]:
    db.execute(_SELECT, (sorted(wanted),))
    numbers = {}
    rest = dict(wanted)
    for key, number, first_id, past_id in db.fetchall():
        if wanted[key].is_within(first_id, past_id):
            numbers[key] = number
            del rest[key]
    if rest:
        rows = [rest[key].row(key) for key in sorted(rest)]
        numbers.update(
            psycopg2.extras.execute_values(db, _UPSERT, rows, fetch=True)
        )
    return numbers
