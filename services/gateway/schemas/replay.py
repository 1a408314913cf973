"""Bodies of replays and previews, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from services.gateway.requests.times import as_utc, now
from services.gateway.schemas.body import RequestBody
from services.gateway.schemas.diff import FieldChange, PointTime
from services.gateway.schemas.ingest import StreamName
from shared.messages.base import Source
from shared.messages.commands import (
    OffsetRange,
    ReplayMode,
    ReplayOrigin,
    Selection,
    StartReplay,
)
from shared.messages.topics import MAX_PARTITIONS, layout


class Offsets(RequestBody):
    """Messages of one partition of ingest.raw."""

    partition: int = Field(ge=0, lt=MAX_PARTITIONS, strict=True)
    start: int = Field(
        default=0,
        alias="from",
        ge=0,
        le=2**62,
        strict=True,
        description="The first offset",
    )
    end: int | None = Field(
        default=None,
        alias="to",
        ge=0,
        le=2**62,
        strict=True,
        description="The offset before which they end. Absent: to the end",
    )

    @field_validator("partition")
    @classmethod
    def _is_there(cls, value: int) -> int:
        if value >= layout.partitions:
            raise ValueError(
                f"ingest.raw has {layout.partitions}, from 0 on"
            )
        return value

    def is_empty(self) -> bool:
        return self.end is not None and self.end <= self.start

    def as_range(self) -> OffsetRange:
        return OffsetRange(
            partition=self.partition, start=self.start, end=self.end
        )


class ReplayRequest(RequestBody):
    """Which raw pages to normalize again. All that is given must match.

    Without anything: all of them.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"source": "csv", "mode": "preview"},
                {"run_id": "0b9d4c1e-8f5a-4b0e-9d51-6a9a4f6f0a11"},
                {
                    "from": "2026-01-01T00:00:00Z",
                    "to": "2026-01-02T00:00:00Z",
                    "origin": "archive",
                },
                {
                    "offsets": [{"partition": 0, "from": 100, "to": 200}],
                    "origin": "topic",
                },
            ]
        },
    )

    start: datetime | None = Field(
        default=None,
        alias="from",
        description="Pages first published at or after this time (no zone means UTC)",
    )
    end: datetime | None = Field(
        default=None,
        alias="to",
        description="Pages first published before this time",
    )
    offsets: list[Offsets] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="Places in ingest.raw instead of times",
    )
    run_id: UUID | None = Field(
        default=None, description="Pages of this run"
    )
    source: Source | None = None
    stream: StreamName | None = Field(default=None, max_length=300)
    symbol: str | None = Field(
        default=None,
        min_length=1,
        max_length=50,
        pattern=r"^[^\x00]+$",
        description="Of the pages' data points only those about this coin",
    )
    origin: ReplayOrigin = Field(
        default=ReplayOrigin.AUTO,
        description=(
            "`topic`, `archive` (raw_data), or `auto`: the topic, and the archive for what the "
            "topic no longer holds"
        ),
    )
    mode: ReplayMode = Field(
        default=ReplayMode.APPLY,
        description="`preview` writes nothing that `/data` shows until it is published",
    )

    @model_validator(mode="after")
    def _check_range(self) -> ReplayRequest:
        if self.offsets and (self.start or self.end):
            raise ValueError(
                "give either times (`from`, `to`) or `offsets`"
            )
        start = as_utc(self.start)
        end = as_utc(self.end)
        if start and end and start >= end:
            raise ValueError("`from` must lie before `to`")
        if any(each.is_empty() for each in self.offsets or ()):
            raise ValueError(
                "the `from` of offsets must lie before their `to`"
            )
        return self

    def selection(self) -> Selection:
        """As the command carries it."""
        return Selection(
            start=_iso(self.start),
            end=_iso(self.end),
            offsets=self._ranges(),
            run_id=None if self.run_id is None else str(self.run_id),
            source=None if self.source is None else str(self.source),
            stream=self.stream,
            symbol=self.symbol and self.symbol.lower(),
        )

    def command(self, run_id: str) -> StartReplay:
        """The command that opens the run."""
        return StartReplay(
            run_id=run_id,
            selection=self.selection(),
            origin=self.origin,
            mode=self.mode,
            requested_at=now(),
        )

    def _ranges(self) -> list[OffsetRange] | None:
        if self.offsets is None:
            return None
        return [each.as_range() for each in self.offsets]

    @field_validator("start", "end", mode="before")
    @classmethod
    def _no_number(cls, value: object) -> object:
        if isinstance(value, int | float):
            message = "write a time such as 2026-01-31T12:00:00Z"
            raise ValueError(message)  # noqa: TRY004  pydantic turns it into a 422
        return value


def _iso(moment: datetime | None) -> str | None:
    in_utc = as_utc(moment)
    return None if in_utc is None else in_utc.isoformat()


class PreviewKind(StrEnum):
    """What publishing does to a data point.

    newer_stays: something newer came after the preview's page, and publishing leaves it.
    """

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
    timestamp: PointTime
    fields: list[FieldChange]


class PreviewDiff(BaseModel):
    """What publishing a preview would do to the data as they are now."""

    run_id: str
    preview: str = Field(description="open, published or discarded")
    counts: dict[str, int]
    by_source: dict[str, dict[str, int]]
    by_field: dict[str, int] = Field(
        description="In how many changed data points each field differs"
    )
    changes: list[PreviewChange]
