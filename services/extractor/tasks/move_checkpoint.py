"""Moving a stream's checkpoint because somebody asks for it, in turn with the stream's tasks."""

from __future__ import annotations

import msgspec
from aiokafka import AIOKafkaProducer

from services.extractor.checkpoints import CheckpointStore, finished
from services.extractor.tasks.reporting import named
from shared.kafka import publishing
from shared.kafka.partitions import partition_of
from shared.messages.checkpoints import TaskProgress
from shared.messages.run_events import TaskFinished
from shared.messages.tasks import SetCursor
from shared.messages.topics import RUN_EVENTS
from shared.runtime import logs

MAX_SHOWN = 300  # characters of a cursor in a note
log = logs.get(__name__)


class CursorMover:
    """Does SetCursor tasks. One that is done twice moves the checkpoint once."""

    def __init__(self, producer: AIOKafkaProducer, checkpoints: CheckpointStore) -> None:
        self._producer, self._checkpoints = producer, checkpoints

    async def run(self, task: SetCursor) -> None:
        """Raises TransientError when Kafka is away: then run it again."""
        checkpoint = await self._checkpoints.latest(task.stream, partition_of(task.stream))
        done = next((entry for entry in checkpoint.finished if entry.task_id == task.task_id), None)
        if done is None:
            before, after = bytes(checkpoint.cursor).decode(), task.cursor or "null"
            note = f"the checkpoint was moved from {_shown(before)} to {_shown(after)}"
            done = TaskProgress(run_id=task.run_id, task_id=task.task_id, notes=[note])
            moved = msgspec.structs.replace(checkpoint, cursor=msgspec.Raw(after.encode()), current=done)
            await self._checkpoints.publish(finished(moved))
            log.info("checkpoint_moved", run_id=task.run_id, stream=task.stream)
        event = TaskFinished(**named(task), pages=0, records=0, notes=done.notes)
        await publishing.publish(self._producer, RUN_EVENTS, event, key=task.run_id, service="extractor")


def _shown(cursor: str) -> str:
    if cursor == "null":
        return "the start of the stream"
    return cursor if len(cursor) <= MAX_SHOWN else f"{cursor[:MAX_SHOWN]}…"
