"""What every mapping shares: its shape, and how a data point is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.csvfile.column_names import OHLC
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
    events: list[UnifiedData]
    skipped: list[Skip]
    rejected: list[Rejection]


Outcome = list[UnifiedData] | Skip | Rejection
MapRecord = Callable[[int, Any], Outcome]
Compile = Callable[[PageInfo], MapRecord]


def rejection(error: BadValueError) -> Rejection:
    return Rejection(reason=error.reason, message=error.message, field=error.field)


def amount(field: str, value: Any) -> str | None:
    """A number that cannot be negative; None where there is none. Raises BadValueError."""
    found = number(field, value)
    if found is not None and found.startswith("-"):
        raise BadValueError(field, "negative", f"{field} is negative: {found}")
    return found


def data_point(info: PageInfo, index: int, key: tuple[str, ...], **values: Any) -> UnifiedData:
    """A data point with its identity (`key`, within source and dataset) and the hash over its values."""
    return UnifiedData(id=data_id(info.source, info.dataset, *key), value_hash=value_hash(*values.values()), record_index=index, **values)


def check_candle(prices: tuple[str | None, ...]) -> tuple[float, float]:
    """Refuse prices that cannot be those of one candle; returns low and high."""
    if None in prices:
        role = OHLC[prices.index(None)]
        raise BadValueError(role, "missing_value", f"{role} is empty while others of the row are not")
    open_, high, low, close = [float(price or 0) for price in prices]
    if not (low <= open_ <= high and low <= close <= high):
        role = "high" if high < max(open_, low, close) else "low"
        raise BadValueError(role, "contradiction", "open {}, high {}, low {}, close {} contradict each other".format(*prices))
    if low == 0 < high:
        role = next(role for role, price in zip(OHLC, (open_, high, low, close), strict=True) if price == 0)
        raise BadValueError(role, "zero_price", f"{role} is 0 while others of the row are not: nothing was traded at that price")
    return low, high
