"""What every mapping shares: its shape, and how a data point is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.errors import BadValueError
from shared.identity.ids import natural_key, text_id, value_hash
from shared.identity.point_ids import point_id
from shared.messages.base import Json
from shared.messages.pages import Rejection, Skip
from shared.messages.points import Points, UnifiedData


@dataclass(frozen=True)
class PageInfo:
    """All that a mapping may know besides the record."""

    source: str
    dataset: str
    stream: str
    context: Json
    fetched_at: str


@dataclass(frozen=True)
class MappedPage:
    """What the records of a page became."""

    points: Points
    skipped: list[Skip]
    rejected: list[Rejection]


_SAID_OF_OTHERS = frozenset(
    {"base_volume", "quote_volume", "timestamp_is"}
)
Outcome = list[UnifiedData] | Skip | Rejection
MapRecord = Callable[[int, Any], Outcome]
Compile = Callable[[PageInfo], MapRecord]
# All records of a page as data points; None where they have to be looked at one by one.
MapAtOnce = Callable[[PageInfo, list[Any]], Points | None]
MapOne = Callable[[PageInfo, int, Any], Outcome]


def rejecting_bad_values(
    info: PageInfo, map_one: MapOne, time_of: Callable[[Any], str]
) -> MapRecord:
    """A mapping whose BadValueErrors are rejections.

    `time_of`: reads a record's time. What yields nothing says its time where that can be read.
    """

    def map_record(index: int, record: Any) -> Outcome:
        try:
            outcome = map_one(info, index, record)
        except BadValueError as error:
            outcome = rejection(error)
        if isinstance(outcome, list):
            return outcome
        return timed(outcome, time_of, record)

    return map_record


def timed(
    outcome: Skip | Rejection, time_of: Callable[[Any], str], record: Any
) -> Skip | Rejection:
    """With the record's time, where that can be read."""
    try:
        moment = time_of(record)
    except (BadValueError, AttributeError):  # or it is no object at all
        return outcome
    return msgspec.structs.replace(outcome, event_time=moment)


def rejection(error: BadValueError) -> Rejection:
    return Rejection(
        reason=error.reason, message=error.message, field=error.field
    )


def data_point(
    info: PageInfo, index: int, key: tuple[str, ...], **values: Any
) -> UnifiedData:
    """A data point with its identity and the hash over its values.

    `key`: what identifies it within source and dataset.
    """
    name = text_id(natural_key(info.source, info.dataset, *key))
    return UnifiedData(
        id=point_id(values["kind"], values["timestamp"], name),
        value_hash=value_hash(*own_values(values)),
        record_index=index,
        **values,
    )


def own_values(values: Json) -> list[Any]:
    """What is a value of its own, and not said of another: in what a volume is counted."""
    own = [
        value
        for name, value in values.items()
        if name not in _SAID_OF_OTHERS
    ]
    money = values.get("quote_volume")
    if money is not None and money != values.get("volume"):
        own.append(money)
    return own


def without_empty(values: Json, taken: tuple[str, ...]) -> Json:
    """What has no column of its own, and something to say."""
    return {
        name: value
        for name, value in values.items()
        if name not in taken and value is not None and value != ""
    }
