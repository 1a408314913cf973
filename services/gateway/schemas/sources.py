"""Bodies of the sources, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

MAX_FAILING = 100


class Failing(BaseModel):
    """A stream whose last task failed, or that waits since then."""

    stream: str
    failed_at: datetime
    code: str
    message: str
    run_id: str
    not_before: str | None = Field(
        description="Not asked again before this time"
    )


class Budget(BaseModel):
    """Calls of a month (UTC), counted across restarts. `per_month` null: no limit.

    `forecast_per_month`: what the schedule makes in 30 days.
    """

    month: str
    used: int
    per_month: int | None
    per_second: float
    forecast_per_month: int | None = None


class SourceState(BaseModel):
    """A source by the last task of each of its streams."""

    name: str
    streams: int = Field(description="That are configured")
    last_success_at: datetime | None
    failing_streams: int
    failing: list[Failing] = Field(
        description=f"The newest {MAX_FAILING}"
    )
    gone_streams: int = Field(
        description="That were read, and are configured no more"
    )
    gone: list[str] = Field(
        description=f"The first {MAX_FAILING} of them"
    )
    budget: Budget | None


class Refusal(BaseModel):
    """Why a file is not ingested, and what to do about it."""

    code: str
    message: str


class TriedRows(BaseModel):
    """What would become of a file's first rows."""

    rows: int
    refused: dict[str, int] = Field(description="Rows by reason")
    examples: dict[str, list[str]] = Field(
        description="Messages by reason, the first three of each"
    )


class Inspection(BaseModel):
    """What a CSV file would be taken for.

    `profile` is as in a run's tasks, from the first 32 MiB.
    """

    path: str
    dataset: str
    stream: str
    profile: dict[str, Any] | None
    sample: list[list[str]]
    tried: TriedRows | None
    refused: Refusal | None
