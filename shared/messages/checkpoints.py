"""Where a stream stands."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec

from shared.messages.asked import Asked
from shared.messages.base import (
    Count,
    Id,
    Json,
    Message,
    Millis,
    Name,
    Offset,
    Partition,
    Total,
)
from shared.messages.run_events import RunError


class TaskProgress(Message, frozen=True):
    """How far a task came: totals over the pages that it has published."""

    run_id: Id
    task_id: Id
    pages: Count = 0
    records: Total = 0
    notes: list[str] = []
    error: RunError | None = None
    cancelled: bool = False
    cursor_before: str | None = (
        None  # where the stream stood when the task began, as JSON
    )
    profile: Json | None = None  # what the stream was taken for, and why
    asked: list[Asked] = []


class Checkpoint(Message, frozen=True, tag="Checkpoint"):
    """Where a stream stands. An index into the raw topic, which is the truth.

    `sequence` counts the stream's checkpoints: one that does not count further is a stale worker's.
    `time_ms`: of the last page's place, 0 where nobody knows. `beside`: of a task that publishes to
    several partitions, from which offset on each of the others may hold a page of it. `has_spread`:
    whether one has ever done so.
    """

    stream: Name
    cursor: msgspec.Raw
    raw_partition: Partition
    raw_offset: (
        Offset  # of the last page in `raw_partition`, −1 before the first
    )
    current: TaskProgress | None = None
    finished: list[TaskProgress] = []  # the last 50, newest last
    sequence: Total = 0
    time_ms: Millis = 0
    beside: dict[Partition, Offset] = {}
    has_spread: bool = False

    @property
    def pages(self) -> int:
        """Pages that the task which is under way has published."""
        return self.current.pages if self.current else 0

    def following(self) -> Checkpoint:
        """The same place, as the stream's next checkpoint."""
        return msgspec.structs.replace(self, sequence=self.sequence + 1)

    def finished_task(self, task_id: str) -> TaskProgress | None:
        """How a task ended, None where it is not among the last ones."""
        return next(
            (done for done in self.finished if done.task_id == task_id),
            None,
        )


class SpentBudget(Message, frozen=True):
    """How many calls of a month a source has been asked."""

    month: Name
    used: Total
    per_month: Count | None
    per_second: float


class ListedCoin(NamedTuple):
    """A coin as its source lists it. `rank`: 0 where it has none."""

    id: Name
    symbol: Name
    name: Name
    rank: Count
    is_active: bool


class KeptCoins(Message, frozen=True):
    """The coins of a source, as it listed them last.

    `coins`: (symbol, name) of those that news are tagged with, one a symbol. `listed`: all, those
    that are active and well-ranked first.
    """

    fetched_at: Annotated[datetime, msgspec.Meta(tz=True)]
    coins: list[tuple[Name, Name]]
    listed: list[ListedCoin] = []


class ConfiguredStreams(Message, frozen=True):
    """What is configured of a source, how often it is read, and the calls that takes."""

    streams: list[Name]
    calls_a_month: float | None = None
    every_s: float | None = None  # None: by no schedule


class Started(Message, frozen=True):
    """An instance of a service has started."""

    instance: Name


class Trouble(Message, frozen=True):
    """Why the loader cannot store anything; empty when it can."""

    reason: str
