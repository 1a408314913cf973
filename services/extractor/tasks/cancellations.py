"""What ends a task early: its run was cancelled, or its source has gone bad as a whole.

Both are read from ingest.run-events.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from shared.kafka.topic_follower import TopicFollower
from shared.messages.run_events import RunCancelled, TaskStopped
from shared.messages.serialization import (
    UndecodableError,
    decode,
    run_event_decoder,
)
from shared.messages.topics import RUN_EVENTS

REMEMBERED = 10_000


class Cancellations:
    """Follows the topic from its start."""

    def __init__(self, bootstrap: str) -> None:
        self._reasons: OrderedDict[str, str] = (
            OrderedDict()
        )  # by run or task
        self.follower = TopicFollower(
            bootstrap, RUN_EVENTS, "extractor-run-events", self._on_record
        )

    def _on_record(self, record: Any) -> None:
        try:
            event = decode(run_event_decoder, record.value)
        except UndecodableError:
            return  # the loader, which reads the same topic, keeps it as a dead letter
        if isinstance(event, RunCancelled):
            self._remember(event.run_id, "")
        elif isinstance(event, TaskStopped):
            self._remember(event.task_id, event.message)

    def _remember(self, key: str, reason: str) -> None:
        self._reasons[key] = reason
        if len(self._reasons) > REMEMBERED:
            self._reasons.popitem(last=False)

    def is_cancelled(self, run_id: str) -> bool:
        return run_id in self._reasons

    def why_stopped(self, task_id: str) -> str | None:
        """What is wrong with the task's source, or None."""
        return self._reasons.get(task_id)
