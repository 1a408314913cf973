"""Pages, run events and checkpoints: messages that cross Kafka, frozen and typed (commands and tasks: shared/commands.py, shared/tasks.py).

Compatibility: a field is only ever added, with a default. A reader ignores fields that it does not know, so that two
versions of a service can run side by side. Times are ISO 8601 texts in UTC; numbers of money are texts, exact.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

import msgspec

SCHEMA_VERSION = 1
MAX_PAGE_RECORDS = 500
MAX_PAGE_BYTES = 512 * 1024  # of raw records as JSON
MAX_PAYLOAD = 64 * 1024  # of a dead letter; characters of a text, bytes of what is no text

Json = dict[str, Any]
# A UUID in its usual form: PostgreSQL, which stores them, must not meet anything else.
Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class Source(StrEnum):
    """A kind of connector, one line each.

    `module`: its name among the extractor's sources and the normalizer's mappings.
    `shares_call_budget`: its streams share a partition, so that one extractor counts its calls.
    """

    COINPAPRIKA = "coinpaprika", "coinpaprika", True
    COINGECKO = "coingecko"
    CSV = "csv", "csv_files"
    RSS = "rss", "feeds"

    module: str
    shares_call_budget: bool

    def __new__(cls, name: str, module: str = "", shares_call_budget: bool = False) -> Self:  # noqa: FBT001, FBT002  an enum's line
        source = str.__new__(cls, name)
        source._value_ = name
        source.module = module or name
        source.shares_call_budget = shares_call_budget
        return source


REPLAY = "replay"  # stands where a source stands, in tasks that read raw pages again
MESSAGES = "messages"  # stands where a source stands, in a run that forwards messages which belong to no page


class Stage(StrEnum):
    """Where a record was rejected."""

    EXTRACT = "extract"
    MAP = "map"
    LOAD = "load"


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all messages."""


# -- pages ------------------------------------------------------------------------------------------------------------


class Rejection(Message, frozen=True):
    """Records that could not be processed, with the reason. `index` None: before the record had a place in its page.

    `count` > 1 stands for the whole page failing alike; `payload` then holds a few samples.
    """

    reason: str
    message: str
    index: int | None = None
    field: str | None = None
    origin: Json | None = None  # line and row of a file, id of an entry
    payload: str | None = None
    count: int = 1
    stage: str = Stage.MAP
    payload_sha256: str | None = None  # of the whole, where `payload` is its beginning


class Skip(Message, frozen=True):
    """A record that carries nothing to load (an exporter's empty day), with the reason. Not an error."""

    index: int
    reason: str


class RawPage(Message, frozen=True, tag="RawPage"):
    """One fetch's answer or one slice of a file: raw records, decoded in syntax only.

    `records` is a JSON array; `context` is what the whole file or answer says about them and is all that a mapping may
    conclude from; `rejections` are records that could not even be decoded.
    """

    page_id: Id
    run_id: Id
    task_id: Id
    source: str
    dataset: str
    stream: str
    page_no: int
    records: msgspec.Raw
    record_count: int
    context: msgspec.Raw
    origin: msgspec.Raw
    fetched_at: str  # the extractor's clock, informational
    cursor_before: msgspec.Raw
    cursor_after: msgspec.Raw
    rejections: list[Rejection] = []


class UnifiedData(Message, frozen=True, gc=False):
    """One normalized data point. `id` is its identity, `value_hash` tells whether its values changed."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]  # of a UUID
    value_hash: int  # signed 64 bits over every value below
    record_index: int
    kind: str  # ticker | candle | price | news
    timestamp: str  # event time, ISO 8601 UTC
    instrument: str | None = None
    symbol: str | None = None
    symbols: list[str] | None = None
    interval: str | None = None
    currency: str | None = None
    price: str | None = None
    open: str | None = None
    high: str | None = None
    low: str | None = None
    close: str | None = None
    volume: str | None = None
    market_cap: str | None = None
    title: str | None = None
    url: str | None = None
    summary: str | None = None
    sentiment: float | None = None
    attributes: Json | None = None


class ReplayOf(Message, frozen=True):
    """The replay that a page is part of. `mode` and `symbol` as it was asked for."""

    run_id: Id
    task_id: Id
    mode: str
    symbol: str | None = None


class ReplayPage(Message, frozen=True, tag="ReplayPage"):
    """A raw page read again, with its place in ingest.raw when it was first published (`raw_time`: the broker's, ms since the epoch)."""

    replay: ReplayOf
    raw: msgspec.Raw  # the RawPage as it was published
    raw_partition: int
    raw_offset: int
    raw_time: int


class UnifiedPage(Message, frozen=True, tag="UnifiedPage"):
    """What a raw page became: records = data points' records + skipped + rejected. Carries the raw page as it came."""

    page_id: Id
    events: list[UnifiedData]
    record_count: int
    raw: msgspec.Raw  # the RawPage
    raw_partition: int
    raw_offset: int
    raw_time: int  # the broker's, ms since the epoch
    normalizer_version: int
    skipped: list[Skip] = []
    rejected: list[Rejection] = []
    replay: ReplayOf | None = None


# -- run events -------------------------------------------------------------------------------------------------------


class PlannedTask(Message, frozen=True):
    """A task as RunPlanned names it."""

    task_id: Id
    source: str
    stream: str


class RunError(Message, frozen=True):
    """Why a task, or a request for a stream, failed."""

    code: str
    message: str
    stream: str | None = None
    source: str | None = None


class RunPlanned(Message, frozen=True, tag="RunPlanned"):
    """All tasks of a run are published. `errors` are streams or sources that could not be planned.

    A run of very many tasks takes several messages; `is_last` marks the one that completes the plan.
    """

    run_id: Id
    tasks: list[PlannedTask] = []
    errors: list[RunError] = []
    notes: list[str] = []
    is_last: bool = True


class TaskStarted(Message, frozen=True, tag="TaskStarted"):
    """An extractor works on the task. `cursor_before`: where it began to read, as JSON."""

    run_id: Id
    task_id: Id
    source: str
    stream: str
    cursor_before: str | None = None


class TaskFinished(Message, frozen=True, tag="TaskFinished"):
    """All pages of the task are published: numbers 0 to `pages` − 1."""

    run_id: Id
    task_id: Id
    source: str
    stream: str
    pages: int
    records: int
    notes: list[str] = []
    cancelled: bool = False
    profile: Json | None = None  # what the stream was taken for, and why


class TaskFailed(Message, frozen=True, tag="TaskFailed"):
    """The task cannot go on. What it has published (`pages`) still loads."""

    run_id: Id
    task_id: Id
    source: str
    stream: str
    pages: int
    records: int
    error: RunError
    notes: list[str] = []
    profile: Json | None = None


class RunCancelled(Message, frozen=True, tag="RunCancelled"):
    """Tasks of the run end as soon as they see this."""

    run_id: Id


class TaskStopped(Message, frozen=True, tag="TaskStopped"):
    """The source of a task has gone bad as a whole: the task ends, and its stream stands where it stood before it."""

    run_id: Id
    task_id: Id
    message: str


class PagesRepaired(Message, frozen=True, tag="PagesRepaired"):
    """Missing pages were published again; `lost` are those that neither topic nor source has any more."""

    run_id: Id
    task_id: Id
    stream: str
    from_topic: list[int] = []
    from_source: list[int] = []
    lost: list[int] = []


class GapReason(StrEnum):
    """Why messages could not be read."""

    RETENTION = "retention"  # they were removed before the consumer came to them
    RECREATED = "recreated"  # the topic was deleted and created again
    UNKNOWN_POSITION = "unknown_position"  # nobody knows how far the consumer had come, and the topic's beginning is gone


class DataGap(Message, frozen=True, tag="DataGap"):
    """Messages were removed before they were read."""

    topic: str
    partition: int
    first_missing: int
    first_available: int
    run_id: Id | None = None
    group: str = ""
    reason: str = GapReason.RETENTION


RunEvent = RunPlanned | TaskStarted | TaskFinished | TaskFailed | TaskStopped | PagesRepaired | RunCancelled | DataGap


# -- checkpoints ------------------------------------------------------------------------------------------------------


class TaskProgress(Message, frozen=True):
    """How far a task came: totals over the pages that it has published."""

    run_id: Id
    task_id: Id
    pages: int = 0
    records: int = 0
    notes: list[str] = []
    error: RunError | None = None
    cancelled: bool = False
    cursor_before: str | None = None  # where the stream stood when the task began, as JSON
    profile: Json | None = None  # what the stream was taken for, and why


class Checkpoint(Message, frozen=True, tag="Checkpoint"):
    """Where a stream stands. An index into the raw topic, which is the truth.

    `sequence` counts the stream's checkpoints: one that does not count further is of a process that was frozen and had a successor.
    """

    stream: str
    cursor: msgspec.Raw
    raw_partition: int
    raw_offset: int  # of the stream's last page, −1 before the first
    current: TaskProgress | None = None
    finished: list[TaskProgress] = []  # the last 50, newest last
    sequence: int = 0
