"""Replay: raw pages read again, from ingest.raw or from the archive, and published on ingest.replay for the mapping of today."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.extractor.archive import Archive, Kept
from services.extractor.raw_topic import TopicReading, _first_in_topic
from services.extractor.tasks.backpressure import FlowControl
from services.extractor.tasks.cancellations import Stops
from services.extractor.tasks.reporting import named
from shared.errors import TransientError
from shared.kafka import publishing
from shared.messages.commands import ReplayOrigin, Selection
from shared.messages.headers import Place
from shared.messages.pages import RawPage, ReplayOf, ReplayPage
from shared.messages.run_events import RunError, RunEvent, TaskFailed, TaskFinished, TaskStarted
from shared.messages.serialization import UndecodableError, decode, raw_page_decoder
from shared.messages.tasks import ReplayPages
from shared.messages.topics import RAW, REPLAY_PAGES, RUN_EVENTS
from shared.runtime import logs

AT_ONCE = 8  # pages on their way to the broker
log = logs.get(__name__)


@dataclass
class Progress:
    """What a replay has read so far. A page counts once, however often it lies in the topic."""

    records: dict[str, int] = field(default_factory=dict)  # of each page
    notes: list[str] = field(default_factory=list)

    def ended(self, task: ReplayPages, *, is_cancelled: bool = False) -> TaskFinished:
        return TaskFinished(**named(task), **self._counts(), notes=self.notes, cancelled=is_cancelled)

    def failed(self, task: ReplayPages, message: str) -> TaskFailed:
        error = RunError(code="internal_error", message=message, stream=task.stream, source=task.source)
        return TaskFailed(**named(task), **self._counts(), notes=self.notes, error=error)

    def _counts(self) -> dict[str, Any]:
        return {"pages": len(self.records), "records": sum(self.records.values())}


class Replayer:
    """Does replay tasks. Done twice, one publishes only what is not applied yet."""

    def __init__(
        self,
        *,
        producer: AIOKafkaProducer,
        flow: FlowControl,
        reader: Callable[[], Awaitable[AIOKafkaConsumer]],
        archive: Archive,
        stops: Stops,
    ) -> None:
        self._producer, self._flow, self._reader, self._archive, self._stops = producer, flow, reader, archive, stops

    async def run(self, task: ReplayPages) -> None:
        """Do the task and report it. Raises TransientError when Kafka or PostgreSQL is away: then run it again."""
        consumer = await self._reader()
        try:
            await self._report(TaskStarted(**named(task)))
            progress = Progress()
            try:
                await self._report(await self._replay(task, consumer, progress))
            except (KafkaError, OSError) as error:
                raise TransientError(f"Kafka cannot be read: {error!r}") from error
            except TransientError:
                raise
            except Exception as error:
                log.error("replay_crashed", run_id=task.run_id, stream=task.stream, exc_info=error)
                await self._report(progress.failed(task, f"{type(error).__name__}: {error}"[:500]))
        finally:
            await consumer.stop()

    async def _replay(self, task: ReplayPages, consumer: AIOKafkaConsumer, progress: Progress) -> TaskFinished:
        applied = await self._archive.applied(task.run_id, task.task_id)
        replay = ReplayOf(run_id=task.run_id, task_id=task.task_id, mode=task.mode, symbol=task.selection.symbol)
        sending: set[asyncio.Task[None]] = set()
        async with self._flow.replaying(), contextlib.aclosing(self._pages(task, consumer, progress)) as pages:  # type: ignore[type-var]
            async for kept in pages:
                if self._stops.is_cancelled(task.run_id):
                    await _all(sending)
                    return progress.ended(task, is_cancelled=True)
                page = _meant(kept, task.selection)
                if page is None or page.page_id in progress.records:
                    continue
                progress.records[page.page_id] = page.record_count
                if page.page_id in applied:
                    continue
                await self._flow.replay_gate(lambda: self._stops.is_cancelled(task.run_id))
                if len(sending) >= AT_ONCE:
                    done, sending = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
                    await _all(done)
                sending.add(asyncio.create_task(self._publish(task, replay, page, kept)))
        await _all(sending)
        log.info("task_ended", run_id=task.run_id, stream=task.stream, pages=len(progress.records), applied_before=len(applied))
        return progress.ended(task)

    async def _publish(self, task: ReplayPages, replay: ReplayOf, page: RawPage, kept: Kept) -> None:
        message = ReplayPage(
            replay=replay,
            raw=msgspec.Raw(kept.value),
            raw_partition=task.partition,
            raw_offset=kept.place.offset,
            raw_time=kept.place.time_ms,
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

    async def _report(self, event: RunEvent) -> None:
        await publishing.publish(self._producer, RUN_EVENTS, event, key=event.run_id or "", service="extractor")

    # -- reading ------------------------------------------------------------------------------------------------------

    async def _pages(self, task: ReplayPages, consumer: AIOKafkaConsumer, progress: Progress) -> AsyncIterator[Kept]:
        """The pages of the partition in the order of their first publishing: the archive's, where it is asked, then the topic's."""
        first = None if task.origin == ReplayOrigin.ARCHIVE else await _first_in_topic(consumer, task.partition)
        if task.origin != ReplayOrigin.TOPIC:
            if pruned := await self._archive.pruned_before():
                progress.notes += _pruned(task.selection, pruned)
            async for kept in self._archive.pages(task.partition, task.selection, before=first):
                yield kept
        elif first is not None and first.offset > 0 and _is_cut_off(task, first):
            progress.notes.append(
                f"{RAW.name}[{task.partition}] begins at offset {first.offset}: what was before is not in it any more, "
                "origin `auto` reads that from the archive"
            )
        if task.origin == ReplayOrigin.ARCHIVE:
            return
        reading = TopicReading(consumer, task.partition, task.selection, first)
        async for kept in reading.pages():
            yield kept
        if not reading.is_cut_off:
            return
        # Retention went on meanwhile. Pages that were read already count once.
        if task.origin == ReplayOrigin.TOPIC:
            progress.notes.append(
                f"{RAW.name}[{task.partition}]: pages were removed while they were read; origin `auto` finds them in the archive"
            )
            return
        async for kept in self._archive.pages(task.partition, task.selection, before=await _first_in_topic(consumer, task.partition)):
            yield kept


async def _all(tasks: set[asyncio.Task[None]]) -> None:
    for each in tasks:
        await each


def _meant(kept: Kept, selection: Selection) -> RawPage | None:
    """The page if it is one that is meant. What is no page is nobody's."""
    try:
        page = decode(raw_page_decoder, kept.value)
    except UndecodableError:
        return None
    given = ((selection.run_id, page.run_id), (selection.source, page.source), (selection.stream, page.stream))
    is_meant = all(wanted is None or wanted == found for wanted, found in given)
    return page if is_meant and _is_in_time(selection, kept.place.time_ms) else None


def _is_in_time(selection: Selection, time_ms: int) -> bool:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return (selection.start is None or datetime.fromisoformat(selection.start) <= moment) and (
        selection.end is None or moment < datetime.fromisoformat(selection.end)
    )


def _is_cut_off(task: ReplayPages, first: Place) -> bool:
    """Whether something that is meant may lie before the topic's beginning."""
    if task.selection.offsets:
        return any(each.partition == task.partition and each.start < first.offset for each in task.selection.offsets)
    return task.selection.start is None or datetime.fromisoformat(task.selection.start).timestamp() * 1000 < first.time_ms


def _pruned(selection: Selection, before: datetime) -> list[str]:
    if selection.start is not None and datetime.fromisoformat(selection.start) >= before:
        return []
    return [f"the archive keeps raw pages since {before:%Y-%m-%dT%H:%M:%SZ} (RAW_RETENTION): older ones cannot be replayed from it"]
