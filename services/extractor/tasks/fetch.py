"""One task: fetch a stream from where it stands, publish pages, keep the checkpoint, report the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.extractor.checkpoints import CheckpointStore, after_page, finished, recover
from services.extractor.page_builder import _raw, build_page
from services.extractor.sources.base import Slice, SourceConnector, StreamInfo, clean, find_stream
from services.extractor.tasks.backpressure import FlowControl
from services.extractor.tasks.cancellations import Stops
from services.extractor.tasks.reporting import named
from shared.errors import TaskError, TransientError
from shared.kafka import publishing
from shared.kafka.partitions import partition_of
from shared.messages.base import Json
from shared.messages.checkpoints import Checkpoint, TaskProgress
from shared.messages.pages import RawPage
from shared.messages.run_events import RunError, RunEvent, TaskFailed, TaskFinished, TaskStarted
from shared.messages.serialization import plain
from shared.messages.tasks import FetchStream
from shared.messages.topics import RAW, RUN_EVENTS
from shared.runtime import logs

CHECKPOINT_EVERY_PAGES = 20
MAX_NOTES = 20
MAX_GROUP = 4  # pages published together
T = TypeVar("T")
log = logs.get(__name__)


class TaskRunner:
    """Runs tasks. All it needs is handed in, so that tests can hand in something else."""

    def __init__(
        self,
        *,
        sources: dict[str, SourceConnector],
        producer: AIOKafkaProducer,
        checkpoints: CheckpointStore,
        flow: FlowControl,
        tail_reader: Callable[[], Awaitable[AIOKafkaConsumer]],
        stops: Stops,
    ) -> None:
        self._sources, self._producer, self._checkpoints, self._flow = sources, producer, checkpoints, flow
        self._tail_reader, self._stops = tail_reader, stops

    async def run(self, task: FetchStream) -> None:
        """Do the task to its end and report it. Raises TransientError when Kafka is away: then run it again."""
        partition = partition_of(task.stream)
        checkpoint = await self._checkpoints.latest(task.stream, partition)
        done = next((entry for entry in checkpoint.finished if entry.task_id == task.task_id), None)
        if done is not None:
            await self._report(_end_event(task, done))
            return
        position = await self._recovered(checkpoint, task)
        began = "null" if task.full_refresh or position.current is None else position.current.cursor_before
        await self._report(TaskStarted(**named(task), cursor_before=began))
        position = await self._fetch(task, position, partition)
        if position.current is None:
            raise AssertionError("a running task has its progress in the checkpoint")
        await undisturbed(self._checkpoints.publish(finished(position)))
        await undisturbed(self._report(_end_event(task, position.current)))
        log.info(
            "task_ended",
            run_id=task.run_id,
            stream=task.stream,
            pages=position.current.pages,
            records=position.current.records,
            error=position.current.error and position.current.error.code,
        )

    async def _recovered(self, checkpoint: Checkpoint, task: FetchStream) -> Checkpoint:
        reader = await self._tail_reader()
        try:
            return await recover(checkpoint, task, reader)
        finally:
            await reader.stop()

    async def _fetch(self, task: FetchStream, position: Checkpoint, partition: int) -> Checkpoint:
        """Publish every new page; the outcome stands in the returned position's `current`."""
        try:
            connector, info = await find_stream(self._sources, task.source, task.stream)
            fetched = _slices(connector, info, plain(position.cursor), resumed=position.current is not None and position.current.pages > 0)
            async with contextlib.aclosing(in_groups(fetched, MAX_GROUP)) as groups:
                async for pieces in groups:
                    if self._stops.is_cancelled(task.run_id):
                        return _noted(position, cancelled=True)
                    if why := self._stops.why_stopped(task.task_id):
                        return _stopped(task, position, why)
                    position = await self._take(task, info, pieces, position, partition)
        except TransientError:
            raise
        except Exception as unexpected:
            error = (
                unexpected
                if isinstance(unexpected, TaskError)
                else TaskError("internal_error", f"{type(unexpected).__name__}: {unexpected}")
            )
            if error is not unexpected:
                log.error("task_crashed", run_id=task.run_id, stream=task.stream, exc_info=unexpected)
            log.warning("task_failed", run_id=task.run_id, stream=task.stream, code=error.code, error=error.message)
            return _noted(
                position, error=RunError(code=error.code, message=clean(error.message)[:2000], stream=task.stream, source=task.source)
            )
        return position

    async def _take(self, task: FetchStream, info: StreamInfo, pieces: list[Slice], position: Checkpoint, partition: int) -> Checkpoint:
        """Publish what holds records, as one batch that the broker has whole or not at all: no page is ever missing before another."""
        pages = []
        for piece in pieces:
            if piece.note or piece.profile:
                position = _noted(position, note=piece.note, profile=piece.profile)
            if not piece.records and not piece.rejections:
                position = msgspec.structs.replace(position, cursor=_raw(piece.cursor_after))
                continue
            await self._flow.gate(partition)
            page = build_page(task, info, piece, position)
            pages.append(page)
            position = after_page(position, page, position.raw_offset)
        return await undisturbed(self._publish_pages(task, pages, position, partition)) if pages else position

    async def _publish_pages(self, task: FetchStream, pages: list[RawPage], position: Checkpoint, partition: int) -> Checkpoint:
        last = await publishing.publish_batch(
            self._producer, RAW, [(page.page_id, page) for page in pages], key=task.stream, service="extractor", partition=partition
        )
        position = msgspec.structs.replace(position, raw_offset=last)
        if any(page.page_no % CHECKPOINT_EVERY_PAGES == CHECKPOINT_EVERY_PAGES - 1 for page in pages):
            position = await self._checkpoints.publish(position)
        return position

    async def _report(self, event: RunEvent) -> None:
        await publishing.publish(self._producer, RUN_EVENTS, event, key=event.run_id or "", service="extractor")


async def _slices(connector: SourceConnector, info: StreamInfo, cursor: object, *, resumed: bool) -> AsyncGenerator[Slice, None]:
    async for piece in connector.fetch(info, cursor, resumed=resumed):
        yield piece


async def in_groups(items: AsyncGenerator[T, None], most: int) -> AsyncGenerator[list[T], None]:
    """What `items` yields, read ahead: as many at a time as are ready, at most `most`. Its error comes after all that it yielded."""
    ready: asyncio.Queue[T | None] = asyncio.Queue(most)

    async def read() -> None:
        try:
            async with contextlib.aclosing(items):
                async for item in items:
                    await ready.put(item)
        except Exception:
            await ready.put(None)
            raise
        await ready.put(None)

    reader = asyncio.create_task(read())
    try:
        is_last = False
        while not is_last:
            group = [await ready.get()]
            while not ready.empty() and len(group) < most:
                group.append(ready.get_nowait())
            found = [item for item in group if item is not None]
            is_last = len(found) < len(group)
            if found:
                yield found
        await reader
    finally:
        reader.cancel()
        await asyncio.wait([reader])


async def undisturbed(work: Awaitable[T]) -> T:
    """Await to the end even when cancelled meanwhile, so that what is published is also known to be; then be cancelled."""
    inner = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(inner)
    except asyncio.CancelledError:
        await asyncio.wait([inner])
        raise


def _noted(
    position: Checkpoint, *, note: str | None = None, error: RunError | None = None, cancelled: bool = False, profile: Json | None = None
) -> Checkpoint:
    current = position.current or TaskProgress(run_id="", task_id="")
    notes = [*current.notes, clean(note)][:MAX_NOTES] if note else current.notes
    progress = msgspec.structs.replace(
        current,
        notes=notes,
        error=error or current.error,
        cancelled=cancelled or current.cancelled,
        profile=clean(profile) if profile else current.profile,
    )
    return msgspec.structs.replace(position, current=progress)


def _stopped(task: FetchStream, position: Checkpoint, why: str) -> Checkpoint:
    """The task has failed, and its stream stands where it stood before: what the bad source said is read again when it is mended."""
    failed = _noted(position, error=RunError(code="too_many_rejections", message=why, stream=task.stream, source=task.source))
    before = position.current.cursor_before if position.current else None
    return msgspec.structs.replace(failed, cursor=msgspec.Raw((before or "null").encode()))


def _end_event(task: FetchStream, done: TaskProgress) -> TaskFinished | TaskFailed:
    if done.error is not None:
        return TaskFailed(**named(task), pages=done.pages, records=done.records, notes=done.notes, error=done.error, profile=done.profile)
    return TaskFinished(
        **named(task), pages=done.pages, records=done.records, notes=done.notes, cancelled=done.cancelled, profile=done.profile
    )
