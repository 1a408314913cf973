"""SetCursor: move a stream's checkpoint on request, in turn with the stream's other tasks."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiokafka import AIOKafkaProducer

from services.extractor.checkpoints import CheckpointStore, finished
from services.extractor.sources.base import SourceConnector
from services.extractor.tasks.reporting import Reporter, task_fields
from shared.kafka.partitions import partition_of
from shared.messages.checkpoints import Checkpoint, TaskProgress
from shared.messages.run_events import TaskFinished
from shared.messages.serialization import raw_json, to_python
from shared.messages.tasks import SetCursor
from shared.runtime import logs

MAX_SHOWN = 300  # characters of a cursor in a note
log = logs.get(__name__)


class MoveCheckpointHandler:
    """Does SetCursor tasks. One that is done twice moves the checkpoint once."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        checkpoints: CheckpointStore,
        sources: Mapping[str, SourceConnector],
    ) -> None:
        self._reporter = Reporter(producer)
        self._checkpoints = checkpoints
        self._sources = sources

    async def run(self, task: SetCursor) -> None:
        """Raises TransientError while Kafka is unavailable: then run it again."""
        checkpoint = await self._checkpoints.latest(
            task.stream, partition_of(task.stream)
        )
        done = checkpoint.finished_task(task.task_id)
        if done is None:
            done = await self._move(task, checkpoint)
        event = TaskFinished(
            **task_fields(task), pages=0, records=0, notes=done.notes
        )
        await self._reporter.report(event)

    async def _move(
        self, task: SetCursor, checkpoint: Checkpoint
    ) -> TaskProgress:
        before = bytes(checkpoint.cursor).decode()
        after = task.cursor or "null"
        note = f"the checkpoint was moved from {_shown(before)} to {_shown(after)}"
        done = TaskProgress(
            run_id=task.run_id, task_id=task.task_id, notes=[note]
        )
        cursor = self._to_keep(task)
        moved = msgspec.structs.replace(
            checkpoint, cursor=cursor, current=done
        )
        await self._checkpoints.publish(finished(moved))
        log.info(
            "checkpoint_moved", run_id=task.run_id, stream=task.stream
        )
        return done

    def _to_keep(self, task: SetCursor) -> msgspec.Raw:
        given = to_python(msgspec.Raw((task.cursor or "null").encode()))
        connector = self._sources.get(task.source)
        if connector is not None and isinstance(given, dict):
            given = connector.cursor_to_keep(given)
        return raw_json(given)


def _shown(cursor: str) -> str:
    if cursor == "null":
        return "the start of the stream"
    return (
        cursor if len(cursor) <= MAX_SHOWN else f"{cursor[:MAX_SHOWN]}…"
    )
