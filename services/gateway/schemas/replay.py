"""Bodies of replays and previews, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from services.gateway.schemas.diff import FieldChange
from services.gateway.schemas.ingest import StreamName
from services.gateway.times import as_utc
from shared.messages.base import Source
from shared.messages.commands import OffsetRange, ReplayMode, ReplayOrigin, Selection
from shared.messages.topics import PARTITIONS


class Offsets(BaseModel):
    """Messages of one partition of ingest.raw."""

    model_config = ConfigDict(extra="forbid")

    partition: int = Field(ge=0, lt=PARTITIONS, strict=True)
    start: int = Field(default=0, alias="from", ge=0, le=2**62, strict=True, description="The first offset")
    end: int | None = Field(
        default=None, alias="to", ge=0, le=2**62, strict=True, description="The first offset that is not meant. Absent: to the end"
    )


class ReplayRequest(BaseModel):
    """Which raw pages to normalize again. Everything that is given must match; without anything: all of them."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"source": "csv", "mode": "preview"},
                {"run_id": "0b9d4c1e-8f5a-4b0e-9d51-6a9a4f6f0a11"},
                {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "origin": "archive"},
                {"offsets": [{"partition": 0, "from": 100, "to": 200}], "origin": "topic"},
            ]
        },
    )

    start: datetime | None = Field(
        default=None, alias="from", description="Pages first published at or after this time (no zone means UTC)"
    )
    end: datetime | None = Field(default=None, alias="to", description="Pages first published before this time")
    offsets: list[Offsets] | None = Field(default=None, min_length=1, max_length=1000, description="Places in ingest.raw instead of times")
    run_id: UUID | None = Field(default=None, description="Pages of this run")
    source: Source | None = None
    stream: StreamName | None = Field(default=None, max_length=300)
    symbol: str | None = Field(
        default=None, min_length=1, max_length=50, pattern=r"^[^\x00]+$", description="Of the pages' data points only those about this coin"
    )
    origin: ReplayOrigin = Field(
        default=ReplayOrigin.AUTO,
        description="`topic`, `archive` (raw_data), or `auto`: the topic, and the archive for what the topic holds no more",
    )
    mode: ReplayMode = Field(default=ReplayMode.APPLY, description="`preview` writes nothing that `/data` shows until it is published")

    @model_validator(mode="after")
    def _range_makes_sense(self) -> ReplayRequest:
        if self.offsets and (self.start or self.end):
            raise ValueError("give either times (`from`, `to`) or `offsets`")
        start, end = as_utc(self.start), as_utc(self.end)
        if start and end and start >= end:
            raise ValueError("`from` must lie before `to`")
        for each in self.offsets or []:
            if each.end is not None and each.end <= each.start:
                raise ValueError("the `from` of offsets must lie before their `to`")
        return self

    def selection(self) -> Selection:
        start, end = as_utc(self.start), as_utc(self.end)
        spans = (
            None
            if self.offsets is None
            else [OffsetRange(partition=each.partition, start=each.start, end=each.end) for each in self.offsets]
        )
        return Selection(
            start=start.isoformat() if start else None, end=end.isoformat() if end else None, offsets=spans,
            run_id=str(self.run_id) if self.run_id else None, source=str(self.source) if self.source else None, stream=self.stream,
            symbol=self.symbol.lower() if self.symbol else None,
        )  # fmt: skip

    @field_validator("start", "end", mode="before")
    @classmethod
    def _no_number(cls, value: object) -> object:
        if isinstance(value, int | float):
            raise ValueError("write a time such as 2026-01-31T12:00:00Z")  # noqa: TRY004  pydantic turns it into a 422
        return value


class PreviewKind(StrEnum):
    """newer_stays: something newer came after the preview's page, and publishing leaves it."""

    ADDED = "added"
    CHANGED = "changed"
    RETIRED = "retired"
    NEWER_STAYS = "newer_stays"


class PreviewChange(BaseModel):
    """What publishing would do to one data point."""

    id: str
    kind: PreviewKind
    source: str
    stream: str
    fields: list[FieldChange]


class PreviewDiff(BaseModel):
    """What publishing a preview would do to the data as they are now."""

    run_id: str
    preview: str = Field(description="open, published or discarded")
    counts: dict[str, int]
    by_source: dict[str, dict[str, int]]
    by_field: dict[str, int] = Field(description="In how many changed data points each field differs")
    changes: list[PreviewChange]
