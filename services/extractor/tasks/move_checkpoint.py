"""SetCursor: move a stream's checkpoint on request, in turn with the stream's other tasks."""

from __future__ import annotations

import msgspec
from aiokafka import AIOKafkaProducer

from services.extractor.checkpoints import CheckpointStore, finished
from services.extractor.tasks.reporting import Reporter, task_fields
from shared.kafka.partitions import partition_of
from shared.messages.checkpoints import Checkpoint, TaskProgress
from shared.messages.run_events import TaskFinished
from shared.messages.tasks import SetCursor
from shared.runtime import logs

MAX_SHOWN = 300  # characters of a cursor in a note
log = logs.get(__name__)


class MoveCheckpointHandler:
    """Does SetCursor tasks. One that is done twice moves the checkpoint once."""

    def __init__(
        self, producer: AIOKafkaProducer, checkpoints: CheckpointStore
    ) -> None:
        self._reporter = Reporter(producer)
        self._checkpoints = checkpoints

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
        cursor = msgspec.Raw(after.encode())
        moved = msgspec.structs.replace(
            checkpoint, cursor=cursor, current=done
        )
        await self._checkpoints.publish(finished(moved))
        log.info(
            "checkpoint_moved", run_id=task.run_id, stream=task.stream
        )
        return done


def _shown(cursor: str) -> str:
    if cursor == "null":
        return "the start of the stream"
    return (
        cursor if len(cursor) <= MAX_SHOWN else f"{cursor[:MAX_SHOWN]}…"
    )
