"""Where a stream stands."""

from __future__ import annotations

import msgspec

from shared.messages.base import Id, Json, Message
from shared.messages.run_events import RunError

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
