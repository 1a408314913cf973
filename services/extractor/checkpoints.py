"""Where each stream stands: the compacted checkpoint topic, and the raw topic behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from shared.errors import TransientError
from shared.kafka import publishing, reading
from shared.kafka.checkpoint_log import CheckpointLog
from shared.messages.asked import merged
from shared.messages.checkpoints import Checkpoint, TaskProgress
from shared.messages.headers import is_republished
from shared.messages.pages import RawPage
from shared.messages.serialization import (
    UndecodableError,
    decode,
    raw_json,
    raw_page_decoder,
)
from shared.messages.tasks import FetchStream
from shared.messages.topics import CHECKPOINTS, RAW

REMEMBERED_TASKS = 50


class CheckpointStore(CheckpointLog):
    """The checkpoints, as extractors read and move them."""

    def __init__(
        self, bootstrap: str, producer: AIOKafkaProducer
    ) -> None:
        super().__init__(bootstrap, "extractor-checkpoints")
        self._producer = producer
        self._is_read = False

    async def latest(self, stream: str, partition: int) -> Checkpoint:
        """The newest checkpoint of a stream; one that stands at the start where there is none."""
        if (
            not self._is_read
        ):  # also where streams were when there were fewer partitions
            await self.follower.catch_up()
            self._is_read = True
        await self.follower.catch_up(partition=partition)
        found = self.get(stream)
        if found is None:
            return Checkpoint(
                stream=stream,
                cursor=raw_json(None),
                raw_partition=partition,
                raw_offset=-1,
            )
        if (
            found.raw_partition != partition
        ):  # where the stream was before
            return msgspec.structs.replace(
                found, raw_partition=partition, raw_offset=-1
            )
        return found

    async def publish(self, checkpoint: Checkpoint) -> Checkpoint:
        """Publish it as the stream's next; returns it as published. Raises TransientError."""
        following = checkpoint.following()
        await publishing.publish(
            self._producer,
            CHECKPOINTS,
            following,
            key=following.stream,
            service="extractor",
            partition=following.raw_partition,
        )
        return following


async def recover(
    checkpoint: Checkpoint,
    task: FetchStream,
    kept: AIOKafkaConsumer,
    new_reader: Callable[[], Awaitable[AIOKafkaConsumer]],
) -> Checkpoint:
    """The checkpoint, moved on over the pages that were published after it was written.

    Reads the raw partition from the checkpoint (or from where it ended when the task was planned,
    if that is later) to its end: the raw topic is the truth, the checkpoint an index into it. With
    `full_refresh` only this task's pages count. `kept`: a consumer that tells where the partition
    ends; another is made only where there is something to read. Raises TransientError.
    """
    position = _for_task(checkpoint, task)
    tail = _Tail(task, {done.task_id for done in checkpoint.finished})
    at = TopicPartition(RAW.name, checkpoint.raw_partition)
    try:
        begin, end = await reading.bounds(kept, at)
        start = max(checkpoint.raw_offset + 1, task.raw_offset, begin)
        if start > end:  # the topic was deleted and created again
            start = begin
        if start >= end:
            return position
        reader = await new_reader()
        try:
            async for record in reading.between(reader, at, start, end):
                if _is_first_of(task.stream, record):
                    position = tail.moved_on(position, record)
        finally:
            await reader.stop()
    except (KafkaError, OSError) as error:
        message = f"the end of {at.topic}[{at.partition}] cannot be read"
        raise TransientError(f"{message}: {error!r}") from error
    return position


def _is_first_of(stream: str, record: Any) -> bool:
    """Whether a record is a page of the stream that was not published again."""
    if record.key != stream.encode():
        return False
    return not is_republished(record.headers)


def _for_task(checkpoint: Checkpoint, task: FetchStream) -> Checkpoint:
    """The checkpoint with the task as its current one."""
    if (
        checkpoint.current is not None
        and checkpoint.current.task_id == task.task_id
    ):
        return checkpoint
    progress = TaskProgress(
        run_id=task.run_id,
        task_id=task.task_id,
        pages=task.pages,
        records=task.records,
        cursor_before=bytes(checkpoint.cursor).decode(),
    )
    cursor = checkpoint.cursor
    if task.full_refresh:
        cursor = raw_json(None)
    if task.cursor is not None:
        cursor = msgspec.Raw(task.cursor.encode())
    return msgspec.structs.replace(
        checkpoint, current=progress, cursor=cursor
    )


class _Tail:
    """Reads a stream's pages behind its checkpoint. Pages of a stale worker move nothing."""

    def __init__(
        self, task: FetchStream, finished_tasks: set[str]
    ) -> None:
        self._task = task
        self._finished = finished_tasks
        self._highest: dict[
            str, int
        ] = {}  # of tasks of other runs: their last page number

    def moved_on(self, position: Checkpoint, record: Any) -> Checkpoint:
        try:
            page = decode(raw_page_decoder, record.value)
        except UndecodableError:
            return position
        if page.task_id == self._task.task_id:
            return after_page(position, page, record.offset)
        if self._task.full_refresh or self._is_late(page):
            return position
        return self._after_other_run(position, page, record.offset)

    def _is_late(self, page: RawPage) -> bool:
        if page.task_id in self._finished:
            return True
        return page.page_no <= self._highest.get(page.task_id, -1)

    def _after_other_run(
        self, position: Checkpoint, page: RawPage, offset: int
    ) -> Checkpoint:
        """Another run's page: the task begins after it, unless it has begun."""
        current = position.current
        if current is None or current.pages:
            return position
        self._highest[page.task_id] = page.page_no
        before = bytes(page.cursor_after).decode()
        current = msgspec.structs.replace(current, cursor_before=before)
        return msgspec.structs.replace(
            position,
            current=current,
            cursor=page.cursor_after,
            raw_offset=offset,
        )


def after_page(
    position: Checkpoint, page: RawPage, offset: int
) -> Checkpoint:
    """The position after one more published page. A page found twice counts once."""
    current = position.current
    if current is None or page.page_no < current.pages:
        is_last = (
            current is not None and page.page_no == current.pages - 1
        )
        cursor = page.cursor_after if is_last else position.cursor
        return msgspec.structs.replace(
            position, raw_offset=offset, cursor=cursor
        )
    progress = msgspec.structs.replace(
        current,
        pages=page.page_no + 1,
        records=current.records + page.record_count,
        asked=merged([*current.asked, *page.asked]),
    )
    return msgspec.structs.replace(
        position,
        current=progress,
        cursor=page.cursor_after,
        raw_offset=offset,
    )


def finished(position: Checkpoint) -> Checkpoint:
    """The position with its task listed as finished."""
    if position.current is None:
        return position
    done = msgspec.structs.replace(position.current, cursor_before=None)
    # Only the last one's end may have to be repeated with its profile, which is long.
    before = [_without_profile(entry) for entry in position.finished]
    remembered = [*before, done][-REMEMBERED_TASKS:]
    return msgspec.structs.replace(
        position, current=None, finished=remembered
    )


def _without_profile(entry: TaskProgress) -> TaskProgress:
    return (
        msgspec.structs.replace(entry, profile=None)
        if entry.profile
        else entry
    )
