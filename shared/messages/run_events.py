"""What happened in a run, in the past tense."""

from __future__ import annotations

from enum import StrEnum

from shared.messages.base import Id, Json, Message


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
    stream: str
    from_topic: list[int] = []
    from_source: list[int] = []
    lost: list[int] = []


class GapReason(StrEnum):
    """Why messages could not be read.

    retention: they were removed before the consumer came to them. recreated: the topic was deleted
    and created again. unknown_position: nobody knows how far the consumer had come, and the topic's
    beginning is gone.
    """

    RETENTION = "retention"
    RECREATED = "recreated"
    UNKNOWN_POSITION = "unknown_position"


class DataGap(Message, frozen=True, tag="DataGap"):
    """Messages were removed before they were read."""

    topic: str
    partition: int
    first_missing: int
    first_available: int
    run_id: Id | None = None
    group: str = ""
    reason: str = GapReason.RETENTION


RunEvent = (
    RunPlanned
    | TaskStarted
    | TaskFinished
    | TaskFailed
    | TaskStopped
    | PagesRepaired
    | RunCancelled
    | DataGap
)
