"""Commands: what the gateway asks for, in the imperative."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from shared.messages.base import (
    Id,
    Message,
    Name,
    Offset,
    Partition,
    SeriesId,
)


class StartIngestion(Message, frozen=True, tag="StartIngestion"):
    """Run the pipeline. `sources` None: all. `streams` None: every stream of the sources.

    With `start` and `end` (YYYY-MM-DD, excluded): the history of those days, of the sources that
    have one.
    """

    run_id: Id
    sources: (
        Annotated[list[Name], msgspec.Meta(max_length=100)] | None
    ) = None
    streams: (
        Annotated[list[Name], msgspec.Meta(max_length=10_000)] | None
    ) = None
    full_refresh: bool = False
    requested_at: str | None = None  # the gateway's clock, informational
    start: str | None = None
    end: str | None = None
    notes: list[str] = []


class CancelRun(Message, frozen=True, tag="CancelRun"):
    """End a run's tasks with what they have published."""

    run_id: Id
    requested_at: str | None = None


class RepairRun(Message, frozen=True, tag="RepairRun"):
    """Do again what a run's ledger misses: missing pages, and tasks that nobody works on."""

    run_id: Id
    requested_at: str | None = None


class DeadLetterFilter(Message, frozen=True):
    """Which open dead letters are meant: all fields that are given must match."""

    ids: list[Id] | None = None
    run_id: Id | None = None
    source: str | None = None
    stream: str | None = None
    stage: str | None = None
    reason: str | None = None


class RequeueDeadLetters(Message, frozen=True, tag="RequeueDeadLetters"):
    """Process open dead letters again, as a run of its own."""

    run_id: Id
    letters: DeadLetterFilter
    requested_at: str | None = None


class DiscardDeadLetters(Message, frozen=True, tag="DiscardDeadLetters"):
    """Close open dead letters for good, with a note that says why."""

    letters: DeadLetterFilter
    note: str
    run_id: Id | None = (
        None  # none: a discarded dead letter belongs to no new run
    )


class OffsetRange(Message, frozen=True):
    """Messages of a partition of ingest.raw from `start` to before `end` (None: to its end)."""

    partition: Partition
    start: Offset = 0
    end: Offset | None = None


class ReplayOrigin(StrEnum):
    """Where pages are read again. `auto`: the topic, and the archive for what it no longer has."""

    AUTO = "auto"
    TOPIC = "topic"
    ARCHIVE = "archive"


class ReplayMode(StrEnum):
    """`apply` writes; `preview` keeps what it would write, until published or discarded."""

    APPLY = "apply"
    PREVIEW = "preview"


class Selection(Message, frozen=True):
    """Which raw pages are meant: all fields that are given must match.

    Times are the broker's, of the first publishing, ISO 8601. `symbol`: of their data points those
    about this coin alone.
    """

    start: str | None = None
    end: str | None = None
    offsets: list[OffsetRange] | None = None
    run_id: Id | None = None
    source: str | None = None
    stream: str | None = None
    symbol: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, which decoding tells as its own error."""
        for moment in filter(None, (self.start, self.end)):
            datetime.fromisoformat(moment)

    def spans(self, partition: int) -> list[OffsetRange]:
        """The ranges of a partition that are selected by their offsets."""
        return [
            span
            for span in self.offsets or []
            if span.partition == partition
        ]


class StartReplay(Message, frozen=True, tag="StartReplay"):
    """Normalize raw pages again, with the mapping of today, as a run of its own."""

    run_id: Id
    selection: Selection
    origin: ReplayOrigin = ReplayOrigin.AUTO
    mode: ReplayMode = ReplayMode.APPLY
    requested_at: str | None = None


class PublishReplay(Message, frozen=True, tag="PublishReplay"):
    """Write what a preview has kept."""

    run_id: Id
    requested_at: str | None = None


class DiscardReplay(Message, frozen=True, tag="DiscardReplay"):
    """Drop what a preview has kept."""

    run_id: Id
    requested_at: str | None = None


class MoveCheckpoint(Message, frozen=True, tag="MoveCheckpoint"):
    """Read a stream from another place, as a run of its own.

    `cursor`: as JSON, None for the stream's start.
    """

    run_id: Id
    stream: Name
    cursor: str | None = None
    requested_at: str | None = None


class FindFeeds(Message, frozen=True, tag="FindFeeds"):
    """Look which feeds an address leads to, as a run of its own. Nothing is stored of them."""

    run_id: Id
    url: Name
    requested_at: str | None = None


class RetireSeries(Message, frozen=True, tag="RetireSeries"):
    """Take series out of sight, as a run of its own, by the numbers that the loader gave them.

    What their streams yield later counts again. `preview`: keeps in view what it would do, until it
    is published or discarded.
    """

    run_id: Id
    series: Annotated[list[SeriesId], msgspec.Meta(max_length=10_000)]
    mode: ReplayMode = ReplayMode.APPLY
    requested_at: str | None = None


class UndoRun(Message, frozen=True, tag="UndoRun"):
    """Bring back what a run has taken out of sight."""

    run_id: Id
    requested_at: str | None = None


# Commands that open a run.
RunCommand = (
    StartIngestion
    | RequeueDeadLetters
    | StartReplay
    | MoveCheckpoint
    | FindFeeds
    | RetireSeries
)
Command = (
    RunCommand
    | CancelRun
    | RepairRun
    | DiscardDeadLetters
    | PublishReplay
    | DiscardReplay
    | UndoRun
)
