"""What happened in a run, in the past tense."""

from __future__ import annotations

from enum import StrEnum

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

# In the note of a task that left a source alone, which failed lately.
NOT_ASKED_AGAIN = "is not asked again before"


class PlannedTask(Message, frozen=True):
    """A task as RunPlanned names it."""

    task_id: Id
    source: Name
    stream: Name


class RunError(Message, frozen=True):
    """Why a task, or a request for a stream, failed."""

    code: Name
    message: str
    stream: Name | None = None
    source: Name | None = None


class RunPlanned(Message, frozen=True, tag="RunPlanned"):
    """All tasks of a run are published.

    `errors`: streams or sources that could not be planned. A run of very many tasks takes several
    messages; `is_last` marks the one that completes the plan.
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
    source: Name
    stream: Name
    cursor_before: str | None = None


class TaskFinished(Message, frozen=True, tag="TaskFinished"):
    """All pages of the task are published: numbers 0 to `pages` − 1."""

    run_id: Id
    task_id: Id
    source: Name
    stream: Name
    pages: Count
    records: Total
    notes: list[str] = []
    cancelled: bool = False
    profile: Json | None = None  # what the stream was taken for, and why
    asked: list[Asked] = []


class TaskFailed(Message, frozen=True, tag="TaskFailed"):
    """The task cannot go on. What it has published (`pages`) still loads."""

    run_id: Id
    task_id: Id
    source: Name
    stream: Name
    pages: Count
    records: Total
    error: RunError
    notes: list[str] = []
    profile: Json | None = None
    asked: list[Asked] = []


class RunCancelled(Message, frozen=True, tag="RunCancelled"):
    """Tasks of the run end as soon as they see this."""

    run_id: Id


class TaskStopped(Message, frozen=True, tag="TaskStopped"):
    """The source of a task has gone bad as a whole.

    The task ends, and its stream stands where it stood before it.
    """

    run_id: Id
    task_id: Id
    message: str


class PagesRepaired(Message, frozen=True, tag="PagesRepaired"):
    """Missing pages were published again. `lost`: those that neither topic nor source has."""

    run_id: Id
    task_id: Id
    stream: Name
    from_topic: list[Count] = []
    from_source: list[Count] = []
    lost: list[Count] = []


class GapReason(StrEnum):
    """Why messages could not be read.

    retention: they were removed before the consumer came to them. recreated: the topic was deleted
    and created again. unknown_position: nobody knows how far the consumer had come, and the topic's
    beginning is gone. cut: the log is not the one that was read; it has lost its end, or was made
    anew.
    """

    RETENTION = "retention"
    RECREATED = "recreated"
    UNKNOWN_POSITION = "unknown_position"
    CUT = "cut"


class DataGap(Message, frozen=True, tag="DataGap"):
    """Messages were removed before they were read."""

    topic: Name
    partition: Partition
    first_missing: Offset
    first_available: Offset
    run_id: Id | None = None
    group: Name = ""
    reason: str = GapReason.RETENTION


class RunEnded(Message, frozen=True, tag="RunEnded"):
    """A run is over, as its ledger says. Told again where it was not sure to have arrived."""

    run_id: Id
    kind: Name
    status: Name
    message: str | None = None


class DeliveryTried(Message, frozen=True, tag="DeliveryTried"):
    """A webhook was told something, or could not be. `status`: of its answer, if there was one."""

    notification_id: Id
    webhook: Name
    event: Name
    url: Name
    attempt: Count
    at: Millis
    data: Json
    status: Count | None = None
    error: str | None = None
    is_over: bool = False  # it arrived, or is tried no more
    run_id: Id | None = None  # it belongs to none


class KeysUsed(Message, frozen=True, tag="KeysUsed"):
    """When a gateway was asked last with each key, by the key's id."""

    used_at: dict[Id, Millis]
    run_id: Id | None = None  # it belongs to none


RunEvent = (
    RunPlanned
    | TaskStarted
    | TaskFinished
    | TaskFailed
    | TaskStopped
    | PagesRepaired
    | RunCancelled
    | DataGap
    | RunEnded
    | DeliveryTried
    | KeysUsed
)
