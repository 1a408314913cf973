"""Bodies of requests and answers, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from shared.events import Source
from shared.runs import RunStatus

_SOURCES = "|".join(Source)
# The pattern is documentation; the validator below says the same in words that help.
StreamName = Annotated[
    str, WithJsonSchema({"type": "string", "minLength": 3, "maxLength": 300, "pattern": rf"^({_SOURCES})/[^\x00-\x1f]+$"})
]


class Kind(StrEnum):
    """What a data point is."""

    TICKER = "ticker"
    CANDLE = "candle"
    PRICE = "price"
    NEWS = "news"


class IngestRequest(BaseModel):
    """What to ingest. Without a body: everything that is configured, from where each stream stands."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"sources": ["csv"]},
                {"from": "2024-01-01", "to": "2024-02-01"},
                {"streams": ["coinpaprika/btc-bitcoin"], "full_refresh": True},
            ]
        },
    )

    sources: list[Source] | None = Field(default=None, max_length=100, description="Only these sources. Absent: all.")
    streams: list[StreamName] | None = Field(
        default=None,
        max_length=10_000,
        description="Only these streams, such as `csv/btc-usd.csv`, `rss/coindesk` or `coinpaprika/btc-bitcoin`. Absent: every stream of the sources.",
    )
    full_refresh: bool = Field(
        default=False, strict=True, description="Read every stream from its start instead of from where it stands. Doubles nothing."
    )

    start: date | None = Field(
        default=None,
        alias="from",
        description="History from this day on, of the sources that have one (CoinPaprika), instead of what is new; with `streams`: of those",
    )
    end: date | None = Field(default=None, alias="to", description="The first day that is not asked for any more. Absent: today")

    @model_validator(mode="after")
    def _days_make_sense(self) -> IngestRequest:
        today = datetime.now(UTC).date()
        if self.start is None:
            if self.end is not None:
                raise ValueError("`to` needs a `from`")
            return self
        end = self.end or today
        if not date(2009, 1, 1) <= self.start < end <= today:
            raise ValueError("`from` must lie before `to`, and both between 2009-01-01 and today")
        return self

    @field_validator("streams")
    @classmethod
    def _of_known_sources(cls, value: list[str] | None) -> list[str] | None:
        for stream in value or []:
            source, slash, name = stream.partition("/")
            if not slash or source not in list(Source):
                raise ValueError(f"{stream!r} is of no known source: a stream begins with {', '.join(f'{known}/' for known in Source)}")
            if not name or len(stream) > 300 or any(character < " " for character in stream):
                raise ValueError(f"{stream[:50]!r} is not the name of a stream")
        return list(dict.fromkeys(value)) if value is not None else None


class IngestAccepted(BaseModel):
    """The run is queued; follow it at `links.self`."""

    run_id: str
    status: RunStatus
    requested_at: datetime
    sources: list[str] | None
    streams: list[str] | None
    full_refresh: bool
    links: dict[str, str]


class RunAccepted(BaseModel):
    """It is done in the background; follow the run at `links.self`."""

    run_id: str
    status: RunStatus
    links: dict[str, str]


class DataPoint(BaseModel):
    """One data point of the unified schema. Numbers are exact decimals. News have title, url, summary and sentiment; prices the rest."""

    id: str
    source: str
    dataset: str
    stream: str
    kind: Kind
    instrument: str | None
    symbol: str | None
    symbols: list[str] | None = Field(description="News: every coin that it is about")
    interval: str | None
    timestamp: datetime = Field(description="When it happened, UTC")
    currency: str | None
    price: float | None
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    market_cap: float | None
    title: str | None
    url: str | None
    summary: str | None
    sentiment: float | None = Field(description="−1 (negative) to 1 (positive)")
    attributes: dict[str, Any] | None
    run_id: str
    page_id: str
    revision: int
    normalizer_version: int
    created_at: datetime
    updated_at: datetime


class Counts(BaseModel):
    """records = inserted + updated + unchanged + skipped + rejected; items_processed = inserted + updated + unchanged."""

    items_processed: int
    records: int
    inserted: int
    updated: int
    unchanged: int
    skipped: int
    rejected: int


class RunFault(BaseModel):
    """Why a task, or the planning of a stream, failed."""

    code: str
    message: str
    stream: str | None = None
    source: str | None = None


class _RunHead(BaseModel):
    run_id: str
    kind: str = Field(description="ingest, requeue, replay, checkpoint")
    preview: str | None = Field(description="Of a replay in preview: open, published or discarded")
    status: RunStatus
    message: str | None
    requested_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_seconds: float | None


class Run(Counts, _RunHead):
    """One execution of the pipeline."""

    errors: list[RunFault]
    sources: dict[str, Counts]
    notes: list[str]
    request: dict[str, Any]


class _TaskHead(BaseModel):
    task_id: str
    source: str
    stream: str
    status: str
    pages: int | None = Field(description="Pages published, known when the task has ended")
    pages_loaded: int
    records_published: int | None = Field(
        description="Records published, known when the task has ended; null when pages had to be read anew"
    )
    missing_pages: list[tuple[int, int]] = Field(
        description="Page numbers that were published and have not been received, as [first, last]"
    )


class Task(Counts, _TaskHead):
    """One stream within the run."""

    started_at: datetime | None
    finished_at: datetime | None
    notes: list[str]
    error: RunFault | None
    profile: dict[str, Any] | None = Field(description="Of a CSV file that was read from its start: what it was taken for, and why")


class Rejections(BaseModel):
    """Rejected records of one kind."""

    reason: str
    stage: str
    field: str | None
    source: str | None
    stream: str | None
    count: int
    example: str = Field(description="What was wrong with one of them")
    example_line: int | None = Field(description="Its line, for a file")


class Ledger(BaseModel):
    """`balanced`: every task has ended, every page published was received, every record stands in exactly one column."""

    balanced: bool
    pages_published: int
    pages_received: int
    pages_missing: int


class RunDetail(Run):
    """A run with its tasks."""

    ledger: Ledger
    tasks: list[Task]
    rejections: list[Rejections]


class Change(BaseModel):
    """A figure of both runs; `difference` is run 2 minus run 1."""

    run_1: int | float | None
    run_2: int | float | None
    difference: int | float | None


class Faults(BaseModel):
    """Errors by where they occur."""

    only_in_run_1: list[RunFault]
    only_in_run_2: list[RunFault]
    in_both: list[RunFault]


class Diff(BaseModel):
    """What differs between two runs."""

    items_processed: Change
    inserted: Change
    updated: Change
    unchanged: Change
    rejected: Change
    duration_seconds: Change
    throughput_per_second: Change
    sources: dict[str, dict[str, Change]]
    errors: Faults


class Comparison(BaseModel):
    """Two runs side by side."""

    run_1: Run
    run_2: Run
    diff: Diff
    links: dict[str, str] = Field(description="`diff`: the two, data point by data point")


class Refusal(BaseModel):
    code: str
    message: str


class Inspection(BaseModel):
    """What a CSV file would be taken for. `profile` is as in a run's tasks, from the first 32 MiB."""

    path: str
    dataset: str
    stream: str
    profile: dict[str, Any] | None
    sample: list[list[str]]
    refused: Refusal | None
