"""Bodies of runs, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from shared.messages.runs import RunStatus


class RunAccepted(BaseModel):
    """It is done in the background; follow the run at `links.self`."""

    run_id: str
    status: RunStatus
    links: dict[str, str]


class Counts(BaseModel):
    """What became of records.

    records = inserted + updated + unchanged + skipped + rejected; items_processed = inserted +
    updated + unchanged.
    """

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
    kind: str = Field(
        description="ingest, requeue, replay, checkpoint, retire"
    )
    preview: str | None = Field(
        description=(
            "Of a replay in preview: open, published or discarded; of series that are retired also "
            "undone"
        )
    )
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
    pages: int | None = Field(
        description="Pages published, known when the task has ended"
    )
    pages_loaded: int
    records_published: int | None = Field(
        description=(
            "Records published, known when the task has ended; null when pages had to be read again"
        )
    )
    missing_pages: list[tuple[int, int]] = Field(
        description="Numbers of pages that were published and not received, as [first, last]"
    )


class Skips(BaseModel):
    """Records that carry nothing to load, by reason."""

    reason: str
    count: int
    examples: list[str] = Field(
        description="A few of them: a coin's id, a line of a file"
    )


class SkipsOfStream(Skips):
    """With their stream."""

    stream: str


class Task(Counts, _TaskHead):
    """One stream within the run."""

    started_at: datetime | None
    finished_at: datetime | None
    skips: list[Skips]
    notes: list[str]
    error: RunFault | None
    profile: dict[str, Any] | None = Field(
        description="Of a CSV file that was read from its start: what it was taken for, and why"
    )


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
    """What was published and what was received.

    `balanced`: every task has ended, every page published was received, every record stands in
    exactly one column.
    """

    balanced: bool
    pages_published: int
    pages_received: int
    pages_missing: int


class RunDetail(Run):
    """A run with its tasks."""

    ledger: Ledger
    tasks: list[Task]
    rejections: list[Rejections]
    skips: list[SkipsOfStream]


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
    links: dict[str, str] = Field(
        description="`diff`: the two, data point by data point"
    )
