"""Bodies of series, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from services.gateway.requests.filters import NAME, SeriesFilter
from services.gateway.requests.whole_numbers import InDigits
from services.gateway.schemas.data import Kind
from shared.messages.asked import AskedOutcome
from shared.messages.base import Source
from shared.messages.points import TimestampIs


class SeriesOrder(StrEnum):
    """What series are listed by."""

    ID = "id"
    SYMBOL = "symbol"
    POINTS = "points"
    FIRST = "first"
    LAST = "last"
    ARRIVED_AT = "arrived_at"
    COMPLETENESS = "completeness"


class SeriesQuery(SeriesFilter):
    """Which series."""

    stream: str | None = Field(
        None,
        **NAME,
        description="The file, feed or answer they are read from",
    )
    sort: SeriesOrder = SeriesOrder.ID
    order: Literal["asc", "desc"] = "asc"
    limit: Annotated[int, InDigits] = Field(100, ge=1, le=1000)
    skip: Annotated[int, InDigits] = Field(0, ge=0, le=2**31 - 1)

    def values(self) -> dict[str, list[str] | None]:
        stream = None if self.stream is None else [self.stream]
        return {**super().values(), "stream": stream}


class Series(BaseModel):
    """What data points share, and how many there are. docs/data-model.md.

    What is retired does not count.
    """

    id: int = Field(description="Given by this database")
    source: Source
    dataset: str
    stream: str
    kind: Kind
    instrument: str | None
    symbol: str | None
    interval: str | None
    currency: str | None
    timestamp_is: TimestampIs | None
    points: int
    first: datetime | None = Field(
        description="The time of the first data point; null: there is none"
    )
    last: datetime | None = Field(
        description="The time of the last data point"
    )
    arrived_at: datetime | None = Field(
        description="When a data point was last added"
    )
    expected: int | None = Field(
        description="How many there should be from the first to the last; null: nobody knows"
    )
    completeness: float | None = Field(
        description="The share that is there, rounded down; `GET /coverage` says what is not"
    )


class AskedRange(BaseModel):
    """Times for which a stream's source was asked, and what came of it."""

    first: datetime
    last: datetime = Field(description="Included")
    outcome: AskedOutcome
    reason: str | None = Field(
        description="The code of the error, or why records were rejected or skipped"
    )
    every_seconds: int | None = Field(
        description="It was asked moment by moment, never further apart; null: all of it was"
    )
    run_id: str = Field(description="The last run that asked")
