"""Bodies of the sources, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

MAX_FAILING = 100


class Failing(BaseModel):
    """A stream whose last task failed."""

    stream: str
    failed_at: datetime
    code: str
    message: str
    run_id: str
    not_before: str | None = Field(
        description="Not asked again before this time"
    )


class Budget(BaseModel):
    """Calls of a month (UTC), counted across restarts. `per_month` null: no limit."""

    month: str
    used: int
    per_month: int | None
    per_second: float


class SourceState(BaseModel):
    """A source by the last task of each of its streams."""

    name: str
    streams: int = Field(description="That were ever read")
    last_success_at: datetime | None
    failing_streams: int
    failing: list[Failing] = Field(description=f"The newest {MAX_FAILING}")
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
