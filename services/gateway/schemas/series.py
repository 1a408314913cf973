"""Bodies of series, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from services.gateway.requests.whole_numbers import InDigits
from services.gateway.schemas.data import Kind
from shared.messages.asked import AskedOutcome
from shared.messages.base import Source
from shared.messages.points import TimestampIs

_TEXT: dict[str, Any] = {
    "min_length": 1,
    "max_length": 500,
    "pattern": r"^[^\x00]+$",
}


class SeriesQuery(BaseModel):
    """Which series. All that is given must match."""

    source: Source | None = None
    dataset: str | None = Field(None, **_TEXT)
    stream: str | None = Field(None, **_TEXT)
    kind: Kind | None = None
    instrument: str | None = Field(None, **_TEXT)
    symbol: str | None = Field(
        None, **_TEXT, description="Such as `btc`, in any case"
    )
    interval: str | None = Field(None, **_TEXT)
    currency: str | None = Field(None, **_TEXT)
    limit: Annotated[int, InDigits] = Field(100, ge=1, le=1000)
    skip: Annotated[int, InDigits] = Field(0, ge=0, le=2**31 - 1)


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
