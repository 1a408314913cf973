"""Where each stream stands: the compacted checkpoint topic, and the raw topic behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from shared.errors import TransientError
from shared.kafka import publishing, reading
from shared.kafka.checkpoint_log import CheckpointLog
from shared.messages.asked import merged
from shared.messages.checkpoints import Checkpoint, TaskProgress
from shared.messages.headers import is_republished
from shared.messages.pages import RawPage, place_ms
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
                found, raw_partition=partition, raw_offset=-1, beside={}
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
    if that is later) to its end, and those that a task published to beside it: the raw topic is the
    truth, the checkpoint an index into it. With `full_refresh` only this task's pages count.
    `kept`: a consumer that tells where a partition ends; another is made only where there is
    something to read. Raises TransientError.
    """
    position = _for_task(checkpoint, task)
    tail = _Tail(task, {done.task_id for done in checkpoint.finished})
    starts = {
        checkpoint.raw_partition: max(
            checkpoint.raw_offset + 1, task.raw_offset
        ),
        **checkpoint.beside,
    }
    try:
        spans = [
            span
            for partition, start in starts.items()
            if (span := await _span(kept, partition, start)) is not None
        ]
        if spans:
            async for record in _records(spans, task.stream, new_reader):
                position = tail.moved_on(position, record)
    except (KafkaError, OSError) as error:
        raise TransientError(
            f"the end of {RAW.name} cannot be read: {error!r}"
        ) from error
    if position.pages == 0:  # those beside were another task's
        return msgspec.structs.replace(position, beside={})
    return position


class _Span(NamedTuple):
    """What is read of a partition."""

    at: TopicPartition
    start: int
    end: int


async def _span(
    kept: AIOKafkaConsumer, partition: int, start: int
) -> _Span | None:
    at = TopicPartition(RAW.name, partition)
    begin, end = await reading.bounds(kept, at)
    start = max(start, begin)
    if start > end:  # the topic was deleted and created again
        start = begin
    return _Span(at, start, end) if start < end else None


async def _records(
    spans: list[_Span],
    stream: str,
    new_reader: Callable[[], Awaitable[AIOKafkaConsumer]],
) -> AsyncIterator[Any]:
    """The pages of a stream that were not published again, in their order.

    Of several partitions they are few: a task tells often where it stands.
    """
    reader = await new_reader()
    held = []
    try:
        for span in spans:
            async for record in reading.between(reader, *span):
                if not _is_first_of(stream, record):
                    continue
                if len(spans) == 1:
                    yield record
                else:
                    held.append(record)
    finally:
        await reader.stop()
    for record in sorted(held, key=_time_of):
        yield record


def _time_of(record: Any) -> int:
    """Of its place: a group of pages is published after the one before it, wherever it lies."""
    try:
        page = decode(raw_page_decoder, record.value)
    except UndecodableError:
        return int(record.timestamp)
    return place_ms(record.timestamp, page.after_ms)


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
            position = after_page(position, page)
        elif self._task.full_refresh or self._is_late(page):
            return position
        else:
            found = self._after_other_run(position, page)
            if found is None:
                return position
            position = found
        return published(
            position,
            record.partition,
            record.offset,
            place_ms(record.timestamp, page.after_ms),
        )

    def _is_late(self, page: RawPage) -> bool:
        if page.task_id in self._finished:
            return True
        return page.page_no <= self._highest.get(page.task_id, -1)

    def _after_other_run(
        self, position: Checkpoint, page: RawPage
    ) -> Checkpoint | None:
        """Another run's page: the task begins after it, unless it has begun: then None."""
        current = position.current
        if current is None or current.pages:
            return None
        self._highest[page.task_id] = page.page_no
        before = bytes(page.cursor_after).decode()
        current = msgspec.structs.replace(current, cursor_before=before)
        return msgspec.structs.replace(
            position,
            current=current,
            cursor=page.cursor_after,
        )


def published(
    position: Checkpoint, partition: int, offset: int, time_ms: int
) -> Checkpoint:
    """The position after a page, or several, whose last lies there."""
    if partition != position.raw_partition:
        beside = {**position.beside, partition: offset + 1}
        return msgspec.structs.replace(
            position, beside=beside, time_ms=time_ms
        )
    return msgspec.structs.replace(
        position, raw_offset=offset, time_ms=time_ms
    )


def after_page(position: Checkpoint, page: RawPage) -> Checkpoint:
    """The position after one more published page. A page found twice counts once."""
    current = position.current
    if current is None or page.page_no < current.pages:
        is_last = (
            current is not None and page.page_no == current.pages - 1
        )
        cursor = page.cursor_after if is_last else position.cursor
        return msgspec.structs.replace(position, cursor=cursor)
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
        position, current=None, finished=remembered, beside={}
    )


def _without_profile(entry: TaskProgress) -> TaskProgress:
    return (
        msgspec.structs.replace(entry, profile=None)
        if entry.profile
        else entry
    )
