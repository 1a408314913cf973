"""What every mapping shares: its shape, and how a data point is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.csvfile.meaning.column_names import OHLC
from shared.errors import BadValueError
from shared.messages.base import Json
from shared.messages.identity import data_id, value_hash
from shared.messages.pages import Rejection, Skip, UnifiedData
from shared.values.amounts import number


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

    events: list[UnifiedData]
    skipped: list[Skip]
    rejected: list[Rejection]


Outcome = list[UnifiedData] | Skip | Rejection
MapRecord = Callable[[int, Any], Outcome]
Compile = Callable[[PageInfo], MapRecord]
MapOne = Callable[[PageInfo, int, Any], Outcome]


def rejecting_bad_values(info: PageInfo, map_one: MapOne) -> MapRecord:
    """A mapping whose BadValueErrors are rejections."""

    def map_record(index: int, record: Any) -> Outcome:
        try:
            return map_one(info, index, record)
        except BadValueError as error:
            return rejection(error)

    return map_record


def rejection(error: BadValueError) -> Rejection:
    return Rejection(
        reason=error.reason, message=error.message, field=error.field
    )


def amount(field: str, value: Any, decimal: str = ".") -> str | None:
    """A number that cannot be negative; None where there is none. Raises BadValueError."""
    found = number(field, value, decimal)
    if found is not None and found.startswith("-"):
        raise _negative(field, found)
    return found


def _negative(field: str, value: str) -> BadValueError:
    return BadValueError(field, "negative", f"{field} is negative: {value}")


def data_point(
    info: PageInfo, index: int, key: tuple[str, ...], **values: Any
) -> UnifiedData:
    """A data point with its identity and the hash over its values.

    `key`: what identifies it within source and dataset.
    """
    return UnifiedData(
        id=data_id(info.source, info.dataset, *key),
        value_hash=value_hash(*values.values()),
        record_index=index,
        **values,
    )


def without_empty(values: Json, taken: tuple[str, ...]) -> Json:
    """What has no column of its own, and something to say."""
    return {
        name: value
        for name, value in values.items()
        if name not in taken and value is not None and value != ""
    }


def check_candle(prices: tuple[str | None, ...]) -> tuple[float, float]:
    """Refuse prices that cannot be those of one candle; returns low and high.

    Raises BadValueError.
    """
    if None in prices:
        role = OHLC[prices.index(None)]
        message = f"{role} is empty while others of the row are not"
        raise BadValueError(role, "missing_value", message)
    open_, high, low, close = [float(price or 0) for price in prices]
    if not (low <= open_ <= high and low <= close <= high):
        role = "high" if high < max(open_, low, close) else "low"
        shown = "open {}, high {}, low {}, close {}".format(*prices)
        raise BadValueError(
            role, "contradiction", f"{shown} contradict each other"
        )
    if low == 0 < high:
        role = OHLC[[open_, high, low, close].index(0)]
        message = f"{role} is 0 while others of the row are not: nothing was traded at that price"
        raise BadValueError(role, "zero_price", message)
    return low, high
