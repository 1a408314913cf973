"""Tasks: what extractors do, one at a time for a stream."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shared.identity.ids import task_id
from shared.messages.base import (
    REPLAY,
    Count,
    Id,
    Message,
    Millis,
    Name,
    Offset,
    Partition,
    Source,
    Total,
)
from shared.messages.commands import (
    FindFeeds,
    MoveCheckpoint,
    ReplayMode,
    ReplayOrigin,
    Selection,
    StartReplay,
)
from shared.messages.topics import layout


class FetchStream(Message, frozen=True, tag="FetchStream"):
    """Fetch one stream for one run. `raw_offset`: the end of the raw partition when planned.

    A task that was lost is published again with what is loaded of it: `pages` and `records`, where
    it goes on counting, and `cursor`, where it goes on reading, as JSON.
    """

    run_id: Id
    task_id: Id
    source: Name
    stream: Name
    full_refresh: bool = False
    raw_offset: Offset = 0
    pages: Count = 0
    records: Total = 0
    cursor: str | None = None


class PageRange(Message, frozen=True):
    """Page numbers `first` to `last` of a task that never arrived.

    `cursor` (JSON): where the source is read for them, None where nobody knows. `offset`,
    `time_ms`, `partition`: the place in ingest.raw that they take among the task's other pages, so
    that rows read again from a file do not overwrite later ones.
    """

    first: Count
    last: Count
    cursor: str | None
    offset: Offset | None = None
    time_ms: Millis | None = None
    partition: Partition | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, which decoding tells as its own error."""
        if self.last < self.first:
            raise ValueError("a range must not end before it begins")


class RepairPages(Message, frozen=True, tag="RepairPages"):
    """Publish missing pages of a task again.

    From ingest.raw, where they lie since `since_ms`, else from the source.
    """

    run_id: Id
    task_id: Id
    source: Name
    stream: Name
    since_ms: Millis
    missing: Annotated[list[PageRange], msgspec.Meta(max_length=1_000)]


class PagePlace(Message, frozen=True):
    """Where a raw page lies, and which of its records are meant (None: all).

    `time_ms` is the broker's, None where it is not known.
    """

    page_id: Id
    partition: Partition
    offset: Offset
    time_ms: Millis | None
    records: list[Count] | None = None


class RequeueRecords(Message, frozen=True, tag="RequeueRecords"):
    """Publish dead-lettered records of a stream again, as pages of a run of their own."""

    run_id: Id
    task_id: Id
    source: Name
    stream: Name
    pages: list[PagePlace]


class MessagePlace(Message, frozen=True):
    """Where a message lies."""

    topic: Name
    partition: Partition
    offset: Offset


class ForwardMessages(Message, frozen=True, tag="ForwardMessages"):
    """Publish dead-lettered messages that belong to no page again, each on its own topic."""

    run_id: Id
    task_id: Id
    source: Name
    stream: Name
    messages: list[MessagePlace]


class ReplayPages(Message, frozen=True, tag="ReplayPages"):
    """Publish raw pages of one partition again, on ingest.replay.

    Its stream is `replay/<partition>`.
    """

    run_id: Id
    task_id: Id
    source: Name
    stream: Name
    partition: Partition
    selection: Selection
    origin: ReplayOrigin
    mode: ReplayMode


class SetCursor(Message, frozen=True, tag="SetCursor"):
    """Move a stream's checkpoint: `cursor` as JSON, None for the start of the stream."""

    run_id: Id
    task_id: Id
    source: Name
    stream: Name
    cursor: str | None = None


class LookForFeeds(Message, frozen=True, tag="LookForFeeds"):
    """Which feeds an address leads to, told at the end of the task."""

    run_id: Id
    task_id: Id
    source: Name
    stream: Name
    url: Name


Task = (
    FetchStream
    | RepairPages
    | RequeueRecords
    | ForwardMessages
    | ReplayPages
    | SetCursor
    | LookForFeeds
)


def replay_tasks(command: StartReplay) -> list[ReplayPages]:
    """The tasks of a replay: one for each partition that may hold a page. The same each time."""
    selection = command.selection
    partitions = set(range(layout.partitions))
    if selection.offsets is not None:
        partitions &= {span.partition for span in selection.offsets}
    return [
        _replay_task(command, partition)
        for partition in sorted(partitions)
    ]


def _replay_task(command: StartReplay, partition: int) -> ReplayPages:
    run_id = command.run_id
    stream = f"{REPLAY}/{partition}"
    return ReplayPages(
        run_id=run_id,
        task_id=task_id(run_id, stream),
        source=REPLAY,
        stream=stream,
        partition=partition,
        selection=command.selection,
        origin=command.origin,
        mode=command.mode,
    )


def look_for_feeds(command: FindFeeds) -> LookForFeeds:
    """The one task of a run that looks for feeds."""
    # One a run, so that none waits for another.
    stream = f"{Source.RSS}/@found-{command.run_id[:8]}"
    return LookForFeeds(
        run_id=command.run_id,
        task_id=task_id(command.run_id, stream),
        source=Source.RSS,
        stream=stream,
        url=command.url,
    )


def set_cursor(command: MoveCheckpoint) -> SetCursor:
    """The one task of a run that moves a checkpoint."""
    stream = command.stream
    return SetCursor(
        run_id=command.run_id,
        task_id=task_id(command.run_id, stream),
        source=stream.partition("/")[0],
        stream=stream,
        cursor=command.cursor,
    )
