"""Bodies of lineage and raw pages, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class RunRef(BaseModel):
    """A run and what it was asked for. Only the id where the run is no longer known."""

    run_id: str
    kind: str | None = None
    status: str | None = None
    requested_at: datetime | None = None
    request: dict[str, Any] | None = None


class RawPageHead(BaseModel):
    """A page of raw records as it was fetched.

    What, from where, when, and where it lies in the topic.
    """

    page_id: str
    topic: str
    partition: int
    offset: int
    broker_time: datetime = Field(description="When the broker took it")
    source: str
    dataset: str
    stream: str
    page_no: int
    record_count: int
    fetched_at: datetime | None
    origin: dict[str, Any] | None = Field(
        description="URL or path, status, validators, bytes, sha256, lines: what the source has"
    )
    run_id: str = Field(description="The run that fetched it")
    task_id: str


class RawPages(BaseModel):
    """Raw pages without their records, newest first."""

    pages: list[RawPageHead]
    pruned_before: datetime | None = Field(
        description="Pages older than this were removed (RAW_RETENTION); null: none ever was"
    )


class RawPageFull(RawPageHead):
    """A raw page with its records as they came."""

    context: Any
    payload: Any = Field(description="The records, in their order")
    rejections: list[dict[str, Any]] | None
    cursor_before: Any
    cursor_after: Any
    read_as: dict[str, Any] | None = Field(
        default=None,
        description="A page of a CSV file: what its columns are taken for by the mapping of now, "
        "with numbers from 1; null where that is refused, and for other sources",
    )


class RawRecord(BaseModel):
    """The record that a data point was made of."""

    index: int | None = Field(
        description="Its place in the page; null: not known of what is retired"
    )
    line: int | None = Field(description="Of a file: its line")
    row: int | None = Field(description="Of a file: its row")
    raw: Any = Field(
        description="As it came; null where the page is no longer kept"
    )


class PageRef(RawPageHead):
    """The raw page, and the run that fetched it."""

    run: RunRef


class Version(BaseModel):
    """The values of a data point for a time, and where they come from."""

    revision: int
    since: datetime
    until: datetime | None = Field(description="null: still so")
    replaced_by: str | None = Field(
        description="The page that replaced it"
    )
    values: dict[str, Any]
    sentiment: dict[str, Any] | None = Field(
        description="News: the words behind the score, their weights, the lexicon's version"
    )
    normalizer_version: int = Field(
        description="The version of the mapping that made it"
    )
    run: RunRef = Field(
        description="The run that wrote it; a replay is not the run that fetched the page"
    )
    record: RawRecord
    page: PageRef | None
    page_id: str


class Lineage(BaseModel):
    """Where a data point comes from, newest version first."""

    id: str
    source: str
    dataset: str
    stream: str
    retired_at: datetime | None = Field(
        description="Since when a better mapping no longer yields it; `/data` does not show it then"
    )
    versions: list[Version]
    notes: list[str] = Field(description="What is missing here, and why")
