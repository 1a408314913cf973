"""Tasks: what extractors do, one at a time for a stream. Typed and frozen like all messages (shared/events.py)."""

from __future__ import annotations

from shared.events import Id, Message


class FetchStream(Message, frozen=True, tag="FetchStream"):
    """One task: fetch one stream for one run. `raw_offset` is the end of the raw partition when it was planned.

    A task that was lost is published again with what is loaded of it: `pages` and `records`, where it goes on counting, and
    `cursor`, where it goes on reading, as JSON.
    """

    run_id: Id
    task_id: Id
    source: str
    stream: str
    full_refresh: bool = False
    raw_offset: int = 0
    pages: int = 0
    records: int = 0
    cursor: str | None = None


class PageRange(Message, frozen=True):
    """Page numbers `first` to `last` of a task that never arrived.

    `cursor` (JSON) is where the source is read for them, None where nobody knows. `offset` and `time_ms` are the place in
    ingest.raw that they take among the task's other pages, so that rows read anew from a file do not overwrite later ones.
    """

    first: int
    last: int
    cursor: str | None
    offset: int | None = None
    time_ms: int | None = None


class RepairPages(Message, frozen=True, tag="RepairPages"):
    """Publish missing pages of a task again: from ingest.raw, where they lie since `since_ms`, else from the source."""

    run_id: Id
    task_id: Id
    source: str
    stream: str
    since_ms: int
    missing: list[PageRange]


class PagePlace(Message, frozen=True):
    """Where a raw page lies, and which of its records are meant (None: all). `time_ms` is the broker's, None where it is not known."""

    page_id: Id
    partition: int
    offset: int
    time_ms: int | None
    records: list[int] | None = None


class RequeueRecords(Message, frozen=True, tag="RequeueRecords"):
    """Publish dead-lettered records of a stream again, as pages of a run of their own."""

    run_id: Id
    task_id: Id
    source: str
    stream: str
    pages: list[PagePlace]


class MessagePlace(Message, frozen=True):
    """Where a message lies."""

    topic: str
    partition: int
    offset: int


class ForwardMessages(Message, frozen=True, tag="ForwardMessages"):
    """Publish dead-lettered messages that belong to no page again, each on its own topic."""

    run_id: Id
    task_id: Id
    source: str
    stream: str
    messages: list[MessagePlace]


Task = FetchStream | RepairPages | RequeueRecords | ForwardMessages
