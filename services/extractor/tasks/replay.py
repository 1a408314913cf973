"""ReplayPages: read raw pages again and publish them on ingest.replay, to be mapped again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
)
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.extractor.archive import Archive, ArchivedPage
from services.extractor.raw_topic import TopicReading, first_in_topic
from services.extractor.tasks.backpressure import Backpressure
from services.extractor.tasks.cancellations import Cancellations
from services.extractor.tasks.reporting import (
    Reporter,
    explain,
    kafka_must_answer,
    task_fields,
)
from shared.kafka import publishing
from shared.kafka.partitions import partition_of
from shared.messages.commands import ReplayOrigin, Selection
from shared.messages.headers import BrokerPosition
from shared.messages.pages import RawPage, ReplayOf, ReplayPage
from shared.messages.run_events import (
    RunError,
    TaskFailed,
    TaskFinished,
)
from shared.messages.serialization import (
    UndecodableError,
    decode,
    raw_page_decoder,
)
from shared.messages.tasks import ReplayPages
from shared.messages.topics import RAW, REPLAY_PAGES
from shared.runtime import logs
from shared.runtime.room import Room
from shared.values.times import from_ms

MAX_SENDING = 8  # pages of a task on their way to the broker
MAX_SENDING_BYTES = 8 << 20  # of all tasks
Work = Callable[[], Coroutine[Any, Any, None]]
log = logs.get(__name__)


@dataclass
class Progress:
    """What a replay has read so far. A page counts once, however often it lies in the topic."""

    records: dict[str, int] = field(default_factory=dict)  # of each page
    notes: list[str] = field(default_factory=list)

    def finished(
        self, task: ReplayPages, *, is_cancelled: bool = False
    ) -> TaskFinished:
        return TaskFinished(**self._fields(task), cancelled=is_cancelled)

    def failed(self, task: ReplayPages, error: RunError) -> TaskFailed:
        return TaskFailed(**self._fields(task), error=error)

    def _fields(self, task: ReplayPages) -> dict[str, Any]:
        pages = len(self.records)
        records = sum(self.records.values())
        return {
            **task_fields(task),
            "pages": pages,
            "records": records,
            "notes": self.notes,
        }


class Sending:
    """Pages on their way to the broker, a bounded number at a time.

    `room`: for the bytes of all that is sent, also elsewhere.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._sending: set[asyncio.Task[None]] = set()

    async def start(self, work: Work, size: int) -> None:
        """Begin sending one more, of `size` bytes. Raises what an earlier one raised."""
        if len(self._sending) >= MAX_SENDING:
            done, self._sending = await asyncio.wait(
                self._sending, return_when=asyncio.FIRST_COMPLETED
            )
            for each in done:
                await each
        taken = await self._room.take(size)
        sent = asyncio.create_task(work())
        sent.add_done_callback(lambda _: self._room.give_back(taken))
        self._sending.add(sent)

    async def finish(self) -> None:
        """Wait for all of them. Raises what the first that failed raised."""
        for each in self._sending:
            await each


class ReplayHandler:
    """Does ReplayPages tasks. Done twice, one publishes only what is not applied yet."""

    def __init__(
        self,
        *,
        producer: AIOKafkaProducer,
        backpressure: Backpressure,
        new_reader: Callable[[], Awaitable[AIOKafkaConsumer]],
        archive: Archive,
        cancellations: Cancellations,
    ) -> None:
        self._producer = producer
        self._reporter = Reporter(producer)
        self._backpressure = backpressure
        self._new_reader = new_reader
        self._archive = archive
        self._cancellations = cancellations
        self._room = Room(MAX_SENDING_BYTES)

    async def run(self, task: ReplayPages) -> None:
        """Do the task and report it.

        Raises TransientError while Kafka or PostgreSQL is unavailable: then run it again.
        """
        await self._reporter.run(task, self._new_reader, self._outcome)

    async def _outcome(
        self, task: ReplayPages, consumer: AIOKafkaConsumer
    ) -> TaskFinished | TaskFailed:
        progress = Progress()
        try:
            with kafka_must_answer():
                return await self._replay(task, consumer, progress)
        except Exception as error:  # noqa: BLE001  `explain` logs and sorts them
            return progress.failed(
                task, explain(error, task, "replay_crashed")
            )

    async def _replay(
        self,
        task: ReplayPages,
        consumer: AIOKafkaConsumer,
        progress: Progress,
    ) -> TaskFinished:
        applied = await self._archive.applied(task.run_id, task.task_id)
        counts = await self._archive.partition_counts()
        sending = Sending(self._room)
        pages = self._pages(task, consumer, progress)
        closing = contextlib.aclosing(pages)  # type: ignore[type-var]
        async with self._backpressure.replaying(), closing:
            async for found in pages:
                if self._is_cancelled(task):
                    await sending.finish()
                    return progress.finished(task, is_cancelled=True)
                page = selected_page(found, task.selection)
                if page is None or page.page_id in progress.records:
                    continue
                if not _is_counted(task.partition, page, found, counts):
                    continue  # a copy, which the task of its own partition counts
                progress.records[page.page_id] = page.record_count
                if page.page_id not in applied:
                    await self._backpressure.replay_gate(
                        lambda: self._is_cancelled(task)
                    )
                    publish = partial(self._publish, task, page, found)
                    await sending.start(publish, len(found.value))
        await sending.finish()
        log.info(
            "task_ended",
            run_id=task.run_id,
            stream=task.stream,
            pages=len(progress.records),
            applied_before=len(applied),
        )
        return progress.finished(task)

    def _is_cancelled(self, task: ReplayPages) -> bool:
        return self._cancellations.is_cancelled(task.run_id)

    async def _publish(
        self, task: ReplayPages, page: RawPage, found: ArchivedPage
    ) -> None:
        replay = ReplayOf(
            run_id=task.run_id,
            task_id=task.task_id,
            mode=task.mode,
            symbol=task.selection.symbol,
        )
        message = ReplayPage(
            replay=replay,
            raw=msgspec.Raw(found.value),
            raw_partition=task.partition,
            raw_offset=found.position.offset,
            raw_time=found.position.time_ms,
        )
        await publishing.publish(
            self._producer,
            REPLAY_PAGES,
            message,
            key=page.stream,
            service="extractor",
            partition=task.partition,
            event_id=page.page_id,
            run_id=task.run_id,
        )

    # -- reading ----------------------------------------------------------------------------------

    async def _pages(
        self,
        task: ReplayPages,
        consumer: AIOKafkaConsumer,
        progress: Progress,
    ) -> AsyncIterator[ArchivedPage]:
        """The pages of the partition in the order of their first publishing.

        The archive's, where it is asked, then the topic's.
        """
        first = None
        if task.origin != ReplayOrigin.ARCHIVE:
            first = await first_in_topic(consumer, task.partition)
        if task.origin != ReplayOrigin.TOPIC:
            await self._note_pruning(task, progress)
            async for page in self._archived(task, first):
                yield page
        if task.origin != ReplayOrigin.ARCHIVE:
            async for page in self._from_topic(
                task, consumer, first, progress
            ):
                yield page
        is_topic_alone = task.origin == ReplayOrigin.TOPIC
        if is_topic_alone and await self._missing(task, progress):
            # What came meanwhile is in the topic by now.
            async for page in TopicReading(
                consumer, task.partition, task.selection, first
            ).pages():
                yield page
            await self._note_missing(task, progress)
        if task.origin == ReplayOrigin.AUTO:
            # What a log has lost with its end, after it was loaded.
            async for page in self._archive.pages(
                task.partition,
                task.selection,
                before=None,
                without=progress.records,
            ):
                yield page

    async def _from_topic(
        self,
        task: ReplayPages,
        consumer: AIOKafkaConsumer,
        first: BrokerPosition | None,
        progress: Progress,
    ) -> AsyncIterator[ArchivedPage]:
        name = f"{RAW.name}[{task.partition}]"
        is_topic_alone = task.origin == ReplayOrigin.TOPIC
        if (
            is_topic_alone
            and first is not None
            and _is_cut_off(task, first)
        ):
            progress.notes.append(
                f"{name} begins at offset {first.offset}: what was before is not in it any more, "
                "origin `auto` reads that from the archive"
            )
        reading = TopicReading(
            consumer, task.partition, task.selection, first
        )
        async for page in reading.pages():
            yield page
        if not reading.is_cut_off:
            return
        # Retention went on meanwhile. Pages that were read already count once.
        if is_topic_alone:
            progress.notes.append(
                f"{name}: pages were removed while they were read; "
                "origin `auto` finds them in the archive"
            )
            return
        begin = await first_in_topic(consumer, task.partition)
        async for page in self._archived(task, begin):
            yield page

    def _archived(
        self, task: ReplayPages, before: BrokerPosition | None
    ) -> AsyncIterator[ArchivedPage]:
        return self._archive.pages(
            task.partition, task.selection, before=before
        )

    async def _missing(
        self, task: ReplayPages, progress: Progress
    ) -> int:
        """Pages that the archive has and that were not read."""
        return await self._archive.count(
            task.partition, task.selection, progress.records
        )

    async def _note_missing(
        self, task: ReplayPages, progress: Progress
    ) -> None:
        missing = await self._missing(task, progress)
        if missing:
            progress.notes.append(
                f"{RAW.name}[{task.partition}]: {missing} pages that were loaded are not in the "
                "topic any more: origin `auto` finds them in the archive"
            )

    async def _note_pruning(
        self, task: ReplayPages, progress: Progress
    ) -> None:
        pruned = await self._archive.pruned_before()
        if pruned is None or _is_since(task.selection, pruned):
            return
        progress.notes.append(
            f"the archive keeps raw pages since {pruned:%Y-%m-%dT%H:%M:%SZ} (RAW_RETENTION): "
            "older ones cannot be replayed from it"
        )


def _is_counted(
    partition: int,
    page: RawPage,
    found: ArchivedPage,
    counts: Collection[int],
) -> bool:
    """Whether the page belongs there, with so many partitions or as many as then.

    One that may lie in any partition lies in one alone.
    """
    if found.is_archived or page.after_ms is not None:
        return True
    return any(
        partition == partition_of(page.stream, count) for count in counts
    )


def selected_page(
    found: ArchivedPage, selection: Selection
) -> RawPage | None:
    """The page if the selection means it. Pure; what is not a page is never meant."""
    try:
        page = decode(raw_page_decoder, found.value)
    except UndecodableError:
        return None
    wanted = (
        (selection.run_id, page.run_id),
        (selection.source, page.source),
        (selection.stream, page.stream),
    )
    if any(value is not None and value != own for value, own in wanted):
        return None
    return (
        page if _is_in_time(selection, found.position.time_ms) else None
    )


def _is_in_time(selection: Selection, time_ms: int) -> bool:
    moment = from_ms(time_ms)
    if selection.start is not None and moment < _time(selection.start):
        return False
    return selection.end is None or moment < _time(selection.end)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _is_since(selection: Selection, moment: datetime) -> bool:
    return (
        selection.start is not None
        and datetime.fromisoformat(selection.start) >= moment
    )


def _is_cut_off(task: ReplayPages, first: BrokerPosition) -> bool:
    """Whether something that is meant may lie before the topic's beginning."""
    if first.offset == 0:
        return False
    selection = task.selection
    if selection.offsets:
        spans = selection.spans(task.partition)
        return any(span.start < first.offset for span in spans)
    if selection.start is None:
        return True
    return (
        datetime.fromisoformat(selection.start).timestamp() * 1000
        < first.time_ms
    )
