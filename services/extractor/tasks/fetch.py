"""FetchStream: read a stream from where it stands, publish pages, keep the checkpoint."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Sequence,
)
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.extractor.checkpoints import (
    CheckpointStore,
    after_page,
    finished,
    published,
    recover,
)
from services.extractor.page_builder import build_page, storable_json
from services.extractor.planning.configuration import Configuration
from services.extractor.sources.base import (
    Slice,
    SourceConnector,
    StreamInfo,
    clean,
    find_stream,
)
from services.extractor.tasks import spreading
from services.extractor.tasks.backpressure import Backpressure
from services.extractor.tasks.cancellations import Cancellations
from services.extractor.tasks.read_ahead import in_groups
from services.extractor.tasks.reporting import (
    Reporter,
    explain,
    task_error,
    task_fields,
)
from shared.errors import TaskError
from shared.kafka import publishing
from shared.kafka.partitions import partition_of
from shared.messages.asked import Asked, merged
from shared.messages.base import Json
from shared.messages.checkpoints import Checkpoint, TaskProgress
from shared.messages.pages import RawPage
from shared.messages.run_events import (
    RunError,
    TaskFailed,
    TaskFinished,
    TaskStarted,
)
from shared.messages.serialization import to_python
from shared.messages.tasks import FetchStream
from shared.messages.topics import RAW
from shared.monitoring import metrics
from shared.runtime import logs
from shared.runtime.lifecycle import finish_despite_cancel

CHECKPOINT_EVERY_PAGES = 20
MAX_NOTES = 20
log = logs.get(__name__)


class FetchHandler:
    """Does FetchStream tasks. One that is delivered again only repeats its end."""

    def __init__(
        self,
        *,
        sources: dict[str, SourceConnector],
        producer: AIOKafkaProducer,
        checkpoints: CheckpointStore,
        backpressure: Backpressure,
        new_reader: Callable[[], Awaitable[AIOKafkaConsumer]],
        kept: AIOKafkaConsumer,
        cancellations: Cancellations,
        configuration: Configuration,
        spread_from_page: int,
    ) -> None:
        """`kept`: a consumer without a group that is started once, see `recover`."""
        self._sources = sources
        self._producer = producer
        self._reporter = Reporter(producer)
        self._checkpoints = checkpoints
        self._backpressure = backpressure
        self._new_reader = new_reader
        self._kept = kept
        self._cancellations = cancellations
        self._configuration = configuration
        self._spread_from_page = spread_from_page

    async def run(self, task: FetchStream) -> None:
        """Do the task to its end and report it.

        Raises TransientError while Kafka is unavailable: then run it again.
        """
        partition = partition_of(task.stream)
        checkpoint = await self._checkpoints.latest(
            task.stream, partition
        )
        done = checkpoint.finished_task(task.task_id)
        if done is not None:
            await self._reporter.report(_end_event(task, done))
            return
        position = await recover(
            checkpoint, task, self._kept, self._new_reader
        )
        # Nothing waits for it: the source is read meanwhile.
        started = asyncio.ensure_future(
            self._reporter.report(_start_event(task, position))
        )
        try:
            position = await self._fetch(task, position)
        finally:
            await finish_despite_cancel(started)
        await finish_despite_cancel(
            self._checkpoints.publish(finished(position))
        )
        await finish_despite_cancel(
            self._reporter.report(_end_event(task, _progress(position)))
        )
        _log_end(task, _progress(position))

    async def _fetch(
        self, task: FetchStream, position: Checkpoint
    ) -> Checkpoint:
        """Publish every new page; the outcome stands in the returned position's `current`."""
        try:
            connector, info = await self._find(task)
        except Exception as error:  # noqa: BLE001  `explain` logs and sorts them
            return _noted(
                position, error=explain(error, task, "task_crashed")
            )
        try:
            slices = _slices(connector, info, position)
            async with contextlib.aclosing(
                in_groups(slices, spreading.GROUP_PAGES)
            ) as groups:
                async for pieces in groups:
                    ended = self._ended_early(task, position)
                    if ended is not None:
                        return ended
                    if not connector.may_spread:
                        position = await self._publish(
                            task, info, pieces, position
                        )
                        continue
                    for turn in spreading.turns(pieces, position.pages):
                        position = await self._publish(
                            task,
                            info,
                            turn,
                            await self._spread(position, turn),
                        )
        except Exception as error:  # noqa: BLE001  as above
            told = explain(error, task, "task_crashed")
            cursor = (
                to_python(position.cursor) if position.pages else None
            )
            asked = connector.asked_in_vain(info, cursor, told.code)
            return _noted(position, error=told, asked=asked)
        return position

    async def _find(
        self, task: FetchStream
    ) -> tuple[SourceConnector, StreamInfo]:
        """Raises TaskError `unknown_stream`, TransientError."""
        await self._configuration.begin()
        try:
            return await find_stream(
                self._sources, task.source, task.stream
            )
        except TaskError:
            # It may have been added a moment ago.
            await self._configuration.catch_up()
            return await find_stream(
                self._sources, task.source, task.stream
            )

    def _ended_early(
        self, task: FetchStream, position: Checkpoint
    ) -> Checkpoint | None:
        """The position of a task that was cancelled or stopped, None for one that goes on."""
        if self._cancellations.is_cancelled(task.run_id):
            return _noted(position, cancelled=True)
        reason = self._cancellations.why_stopped(task.task_id)
        return (
            None if reason is None else _stopped(task, position, reason)
        )

    async def _publish(
        self,
        task: FetchStream,
        info: StreamInfo,
        pieces: list[Slice],
        position: Checkpoint,
    ) -> Checkpoint:
        """Publish what holds records, as one batch that the broker has whole or not at all.

        So no page is ever missing before another.
        """
        pages = []
        partition = spreading.partition_of_next(position, pieces)
        after_ms = position.time_ms if position.has_spread else None
        for piece in pieces:
            if piece.note or piece.profile:
                position = _noted(
                    position, note=piece.note, profile=piece.profile
                )
            if not piece.records and not piece.rejections:
                cursor = storable_json(piece.cursor_after)
                position = msgspec.structs.replace(
                    _noted(position, asked=piece.asked), cursor=cursor
                )
                continue
            await self._backpressure.gate(
                partition, is_beside=bool(position.beside)
            )
            page = build_page(task, info, piece, position, after_ms)
            pages.append(page)
            position = after_page(position, page)
        if not pages:
            return position
        return await finish_despite_cancel(
            self._publish_pages(task.stream, pages, position, partition)
        )

    async def _publish_pages(
        self,
        stream: str,
        pages: list[RawPage],
        position: Checkpoint,
        partition: int,
    ) -> Checkpoint:
        messages = [(page.page_id, page) for page in pages]
        last, told_ms = await publishing.publish_batch(
            self._producer,
            RAW,
            messages,
            key=stream,
            service="extractor",
            partition=partition,
        )
        time_ms = spreading.time_of_place(position, told_ms)
        position = published(position, partition, last, time_ms)
        records = sum(page.record_count for page in pages)
        metrics.count_pages(pages[0].source, len(pages), records)
        if any(
            (page.page_no + 1) % CHECKPOINT_EVERY_PAGES == 0
            for page in pages
        ):
            position = await self._checkpoints.publish(position)
        return position

    async def _spread(
        self, position: Checkpoint, turn: list[Slice]
    ) -> Checkpoint:
        """From a number of pages on, note which offsets of other partitions may hold some.

        In the checkpoint, before the first lies there. Raises TransientError.
        """
        if not spreading.is_due(position, turn, self._spread_from_page):
            return position
        beside = await spreading.ends_beside(
            self._kept, position.raw_partition
        )
        return await finish_despite_cancel(
            self._checkpoints.publish(spreading.begun(position, beside))
        )


async def _slices(
    connector: SourceConnector, info: StreamInfo, position: Checkpoint
) -> AsyncGenerator[Slice, None]:
    cursor = to_python(position.cursor)
    resumed = position.pages > 0
    async for piece in connector.fetch(info, cursor, resumed=resumed):
        yield piece


def _progress(position: Checkpoint) -> TaskProgress:
    if position.current is None:
        raise AssertionError(
            "a running task has its progress in the checkpoint"
        )
    return position.current


def _noted(
    position: Checkpoint,
    *,
    note: str | None = None,
    error: RunError | None = None,
    cancelled: bool = False,
    profile: Json | None = None,
    asked: Sequence[Asked] = (),
) -> Checkpoint:
    """The position with something more known about its task."""
    current = position.current or TaskProgress(run_id="", task_id="")
    changes: Json = {"cancelled": cancelled or current.cancelled}
    if note:
        changes["notes"] = [*current.notes, clean(note)][:MAX_NOTES]
    if error:
        changes["error"] = error
    if profile:
        changes["profile"] = clean(profile)
    if asked:
        changes["asked"] = merged([*current.asked, *asked])
    progress = msgspec.structs.replace(current, **changes)
    return msgspec.structs.replace(position, current=progress)


def _stopped(
    task: FetchStream, position: Checkpoint, reason: str
) -> Checkpoint:
    """The task has failed, and its stream stands where it stood before it.

    So what the bad source said is read again once it is corrected.
    """
    failed = _noted(
        position, error=task_error(task, "too_many_rejections", reason)
    )
    before = position.current.cursor_before if position.current else None
    return msgspec.structs.replace(
        failed, cursor=msgspec.Raw((before or "null").encode())
    )


def _start_event(task: FetchStream, position: Checkpoint) -> TaskStarted:
    before = _cursor_before(task, position)
    return TaskStarted(**task_fields(task), cursor_before=before)


def _cursor_before(task: FetchStream, position: Checkpoint) -> str | None:
    if position.current is None or task.full_refresh:
        return "null"
    return position.current.cursor_before


def _end_event(
    task: FetchStream, done: TaskProgress
) -> TaskFinished | TaskFailed:
    fields = {**task_fields(task), **_counts(done)}
    if done.error is not None:
        return TaskFailed(**fields, error=done.error)
    return TaskFinished(**fields, cancelled=done.cancelled)


def _counts(done: TaskProgress) -> dict[str, Any]:
    return {
        "pages": done.pages,
        "records": done.records,
        "notes": done.notes,
        "profile": done.profile,
        "asked": done.asked,
    }


def _log_end(task: FetchStream, done: TaskProgress) -> None:
    log.info(
        "task_ended",
        run_id=task.run_id,
        stream=task.stream,
        pages=done.pages,
        records=done.records,
        error=done.error and done.error.code,
    )
