"""What is asked about coverage, and how it is answered, as the OpenAPI document shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from services.gateway.coverage.causes import Cause
from services.gateway.coverage.gaps import EveryIs
from services.gateway.prices.intervals import PATTERN
from services.gateway.prices.schema import NamedSeries
from services.gateway.requests.filters import SeriesFilter
from services.gateway.requests.times import Time, text_or_none
from services.gateway.requests.whole_numbers import InDigits
from services.gateway.schemas.body import RequestBody
from services.gateway.schemas.sources import Budget
from shared.messages.runs import RunStatus

MAX_SERIES = 100


class CoverageQuery(SeriesFilter):
    """The parameters of GET /coverage."""

    start: Time = Field(
        None,
        alias="from",
        description="From when on; without it, from the first time that is known of",
    )
    end: Time = Field(
        None,
        alias="to",
        description="Before this time; without it, to the last time that is known of",
    )
    every: str | None = Field(
        None,
        pattern=PATTERN,
        description=(
            "Of series without an interval: data points further apart than this have a hole between"
        ),
    )
    limit: Annotated[int, InDigits] = Field(
        20, ge=1, le=MAX_SERIES, description="Series at most"
    )
    skip: Annotated[int, InDigits] = Field(0, ge=0, le=2**31 - 1)


class Hole(BaseModel):
    """Times for which there is no data point."""

    start: datetime = Field(serialization_alias="from")
    end: datetime = Field(
        serialization_alias="to", description="Not included"
    )
    missing: int | None = Field(
        description="Data points; null: nobody knows how many there should be"
    )
    cause: Cause
    reason: str | None = Field(
        description="The code of the error, why records were rejected, or why it is unknown"
    )
    run_id: str | None = Field(description="The last run that asked")
    can_fill: bool = Field(
        description="Whether `POST /coverage/fill` would ask the source for it"
    )


class Coverage(NamedSeries):
    """What there is of a series, and what is missing."""

    start: datetime = Field(serialization_alias="from")
    end: datetime = Field(
        serialization_alias="to", description="Not included"
    )
    every_seconds: int | None = Field(
        description="How far apart data points should be; null: of news nobody knows"
    )
    every_is: EveryIs | None = Field(description="How that is known")
    points: int
    expected: int | None = Field(
        description="Data points that there should be; null: nobody knows"
    )
    completeness: float | None = Field(
        description="The share that is there, rounded down; 1: nothing is missing"
    )
    holes: list[Hole]
    more_from: datetime | None = Field(
        description="Holes from here on are not listed: ask with `from`"
    )


class FillBody(RequestBody, SeriesFilter):
    """Which holes, by the same parameters as GET /coverage."""

    start: Annotated[datetime | None, BeforeValidator(text_or_none)] = (
        Field(None, alias="from")
    )
    end: Annotated[datetime | None, BeforeValidator(text_or_none)] = (
        Field(None, alias="to")
    )
    dry_run: bool = Field(
        default=False,
        strict=True,
        description="Says only what it would take",
    )


class FillWindow(BaseModel):
    """Days that a source is asked for."""

    stream: str
    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to", description="Not included")
    calls: int


class Filling(BaseModel):
    """What filling takes. Follow the run at `links.self`."""

    windows: list[FillWindow] | None = Field(
        description="null: an earlier request of this Idempotency-Key told"
    )
    calls: int | None = Field(
        description=(
            "Of the source's budget, at most; a call that fails is tried again and counts again"
        )
    )
    budget: Budget | None = Field(
        description="Of the source, where it has one"
    )
    run_id: str | None = Field(
        description="null: a dry run, or nothing that a source can fill"
    )
    status: RunStatus | None
    links: dict[str, str]
