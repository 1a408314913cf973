"""Data points: one as a row, those of a page by column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from shared.messages.base import Count, Json, Message

# The texts that all points of a series share.
SERIES_COLUMNS = (
    "source",
    "dataset",
    "stream",
    "kind",
    "instrument",
    "symbol",
    "interval",
    "currency",
    "timestamp_is",
)
_HEX = b"0123456789abcdef"
_ID_DIGITS = 32


class TimestampIs(StrEnum):
    """What the timestamp of a data point is: the begin or the end of its candle, or its moment."""

    OPEN = "open"
    CLOSE = "close"
    MOMENT = "moment"


class UnifiedData(Message, frozen=True, gc=False):
    """One normalized data point. `id`: its identity; `value_hash`: whether its values changed."""

    id: Annotated[
        str, msgspec.Meta(pattern="^[0-9a-f]{32}$")
    ]  # of a UUID
    value_hash: int  # signed 64 bits over every value below
    record_index: Count
    kind: str  # ticker | candle | price | news
    timestamp: str  # event time, ISO 8601 UTC
    instrument: str | None = None
    symbol: str | None = None
    symbols: list[str] | None = None
    interval: str | None = None
    currency: str | None = None
    price: str | None = None
    open: str | None = None
    high: str | None = None
    low: str | None = None
    close: str | None = None
    volume: str | None = None
    market_cap: str | None = None
    base_volume: str | None = None  # in the coin
    quote_volume: str | None = None  # in the currency
    timestamp_is: str | None = (
        None  # TimestampIs; None where that is not known
    )
    title: str | None = None
    url: str | None = None
    summary: str | None = None
    sentiment: float | None = None
    attributes: Json | None = None


# What all data points share, or a list with the value of each.
Texts = str | list[str | None] | None


class Points(Message, frozen=True):
    """The data points of a page by column: the fields of UnifiedData.

    A field that all points share is said once. `record_index` None: 0, 1, 2 and so on.
    """

    id: list[str] = []
    value_hash: list[int] = []
    record_index: list[Count] | None = None
    kind: str | list[str] = ""
    timestamp: str | list[str] = ""
    instrument: Texts = None
    symbol: Texts = None
    symbols: list[list[str] | None] | None = None
    interval: Texts = None
    currency: Texts = None
    price: Texts = None
    open: Texts = None
    high: Texts = None
    low: Texts = None
    close: Texts = None
    volume: Texts = None
    market_cap: Texts = None
    base_volume: Texts = None
    quote_volume: Texts = None
    timestamp_is: Texts = None
    title: Texts = None
    url: Texts = None
    summary: Texts = None
    sentiment: list[float | None] | None = None
    attributes: list[Json | None] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, which decoding tells as its own error."""
        self._check_lengths()
        self._check_ids()

    def _check_lengths(self) -> None:
        for name in _COLUMNS:
            column = getattr(self, name)
            if isinstance(column, list) and len(column) != len(self):
                raise ValueError(
                    f"{name} has {len(column)} values for {len(self)} data points"
                )

    def _check_ids(self) -> None:
        """All in one go, which takes a tenth of the time."""
        digits = "".join(self.id).encode("utf-8", "surrogatepass")
        are_long = set(map(len, self.id)) <= {_ID_DIGITS}
        if not are_long or digits.translate(None, _HEX):
            raise ValueError("an id is not 32 hex digits")

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def of(cls, rows: Sequence[UnifiedData]) -> Points:
        """The columns of rows."""
        if not rows:
            return cls()
        return cls.by_column(
            **{
                name: list(map(column_of, rows))
                for name, column_of in _GETTERS
            }
        )

    @classmethod
    def by_column(cls, **columns: Any) -> Points:
        """Of fields as they are for all, or as a list: said in the fewest words."""
        return cls(
            **{
                name: _shortest(name, column)
                for name, column in columns.items()
            }
        )

    def rows(self) -> list[UnifiedData]:
        """Each data point."""
        columns = [self.column(name) for name in _COLUMNS]
        return [
            UnifiedData(**dict(zip(_COLUMNS, values, strict=True)))
            for values in zip(*columns, strict=True)
        ]

    def column(self, name: str) -> Sequence[Any]:
        """A field of each data point."""
        column = getattr(self, name)
        if isinstance(column, list):
            return column
        if name == "record_index":
            return range(len(self))
        return [column] * len(self)


_COLUMNS = Points.__struct_fields__
_GETTERS: list[tuple[str, Callable[[UnifiedData], Any]]] = [
    (name, attrgetter(name)) for name in _COLUMNS
]
_ALWAYS_LISTS = frozenset({"id", "value_hash"})
_LISTS_OR_NONE = frozenset({"symbols", "sentiment", "attributes"})


def _shortest(name: str, column: Any) -> Any:
    if name in _ALWAYS_LISTS or not isinstance(column, list):
        return column
    if name == "record_index":
        return None if column == list(range(len(column))) else column
    first = column[0]
    if first != column[-1] or column.count(first) < len(column):
        return column
    return (
        first if first is None or name not in _LISTS_OR_NONE else column
    )
