"""What is asked about instruments, and how it is answered, as the OpenAPI document shows it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field

from services.gateway.requests.filters import NAME, SeriesFilter
from services.gateway.requests.whole_numbers import InDigits


class InstrumentOrder(StrEnum):
    """What comes first. match: what fits `q` best, then what has data points, then by rank."""

    MATCH = "match"
    RANK = "rank"
    SYMBOL = "symbol"
    POINTS = "points"


class InstrumentsQuery(SeriesFilter):
    """The parameters of GET /instruments. With a filter only what has series that match it."""

    q: str | None = Field(
        None,
        **NAME,
        description="A symbol, or a part of a name or an id, in any case",
    )
    sort: InstrumentOrder = InstrumentOrder.MATCH
    limit: Annotated[int, InDigits] = Field(100, ge=1, le=1000)
    skip: Annotated[int, InDigits] = Field(0, ge=0, le=2**31 - 1)


class Candidate(BaseModel):
    """A coin that a symbol may mean."""

    id: str = Field(description="As CoinPaprika names it")
    name: str
    rank: int | None = Field(description="null: it has none")
    is_active: bool


class Instrument(BaseModel):
    """What is priced under a symbol, and how each source names it."""

    symbol: str = Field(description="In lower case")
    name: str | None = Field(
        description="Of the best-ranked coin; null: no list has it"
    )
    rank: int | None = Field(description="Of that coin")
    ambiguous: bool = Field(
        description="Whether more than one active coin has this symbol"
    )
    candidates: list[Candidate] = Field(
        description="The coins of this symbol, best rank first, at most 20"
    )
    ids: dict[str, list[str]] = Field(
        description="`instrument` of the series of each source, at most 20"
    )
    series: int = Field(description="How many there are, news too")
    points: int
    listed_at: datetime | None = Field(
        description="When CoinPaprika's list was fetched; null: the built-in list"
    )
