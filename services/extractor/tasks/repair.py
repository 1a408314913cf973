"""Publishing again: missing pages of a run, dead-lettered records, dead-lettered messages. Each is a task, one at a time for a stream."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from services.extractor.archive import Archive
from services.extractor.page_builder import build_page
from services.extractor.raw_topic import _at, _page_of, _since
from services.extractor.sources.base import SourceConnector, find_stream
from services.extractor.tasks.backpressure import FlowControl
from services.extractor.tasks.reporting import named
from services.extractor.tasks.requeue import picked
from shared.errors import TaskError, TransientError
from shared.kafka import publishing
from shared.kafka.partitions import partition_of
from shared.messages.checkpoints import Checkpoint, TaskProgress
from shared.messages.headers import Place, headers_for, is_republished, marked, place_of
from shared.messages.pages import RawPage
from shared.messages.run_events import PagesRepaired, RunError, RunEvent, TaskFailed, TaskFinished, TaskStarted
from shared.messages.serialization import encode, plain, raw
from shared.messages.tasks import ForwardMessages, PagePlace, PageRange, RepairPages, RequeueRecords
from shared.messages.topics import RAW, RUN_EVENTS, TOPICS
from shared.runtime import logs

Again = RepairPages | RequeueRecords | ForwardMessages
log = logs.get(__name__)


class Republisher:
    """Does tasks whose records were read before. Doing one twice changes nothing: pages keep their identity."""

    def __init__(
        self,
        *,
        sources: dict[str, SourceConnector],
        producer: AIOKafkaProducer,
        flow: FlowControl,
        reader: Callable[[], Awaitable[AIOKafkaConsumer]],
        archive: Archive,
    ) -> None:
        self._sources, self._producer, self._flow, self._reader, self._archive = sources, producer, flow, reader, archive

    async def run(self, task: Again) -> None:
        """Do the task and report it. Raises TransientError when Kafka or PostgreSQL is away: then run it again."""
        consumer = await self._reader()
        try:
            if isinstance(task, RepairPages):
                await self._report(await self._repair(task, consumer))
            else:
                await self._report(TaskStarted(**named(task)))
                await self._report(
                    await (self._requeue(task, consumer) if isinstance(task, RequeueRecords) else self._forward(task, consumer))
                )
        except (KafkaError, OSError) as error:
            raise TransientError(f"Kafka cannot be read: {error!r}") from error
        except TransientError:
            raise
        except Exception as error:
            log.error("republishing_crashed", run_id=task.run_id, stream=task.stream, exc_info=error)
            await self._report(_failed(task, f"{type(error).__name__}: {error}"[:500]))
        finally:
            await consumer.stop()

    # -- missing pages ------------------------------------------------------------------------------------------------

    async def _repair(self, task: RepairPages, consumer: AIOKafkaConsumer) -> PagesRepaired:
        wanted = {number for each in task.missing for number in range(each.first, each.last + 1)}
        found: dict[int, RawPage] = {}
        async for record in _since(consumer, TopicPartition(RAW.name, partition_of(task.stream)), task.since_ms):
            page = _page_of(record, task.stream)
            if page is None or page.task_id != task.task_id or page.page_no not in wanted - found.keys():
                continue
            await self._flow.gate(record.partition)
            headers = (
                list(record.headers)
                if is_republished(record.headers)
                else marked(list(record.headers), Place(record.offset, record.timestamp))
            )
            await publishing.forward(self._producer, RAW.name, record, headers, partition=record.partition)
            found[page.page_no] = msgspec.structs.replace(page, records=msgspec.Raw(b"[]"))
        from_source: list[int] = []
        for piece in still_missing(task.missing, found):
            from_source += await self._from_source(task, piece)
        lost = sorted(wanted - found.keys() - set(from_source))
        log.info(
            "pages_repaired", run_id=task.run_id, stream=task.stream, from_topic=len(found), from_source=len(from_source), lost=len(lost)
        )
        return PagesRepaired(
            run_id=task.run_id, task_id=task.task_id, stream=task.stream, from_topic=sorted(found), from_source=from_source, lost=lost
        )

    async def _from_source(self, task: RepairPages, piece: PageRange) -> list[int]:
        """Read the source from the piece's cursor on and publish what comes under its page numbers; returns those."""
        done: list[int] = []
        if piece.cursor is None:
            return done
        start = msgspec.Raw(piece.cursor.encode())
        try:
            connector, info = await find_stream(self._sources, task.source, task.stream)
            is_old = connector.rereads_as_of_page and None not in (piece.offset, piece.time_ms)
            place = Place(piece.offset or 0, piece.time_ms or 0) if is_old else None
            async with contextlib.aclosing(connector.fetch(info, plain(start), resumed=piece.first > 0)) as slices:  # type: ignore[type-var]
                cursor = start
                async for each in slices:
                    if each.records or each.rejections:
                        number = piece.first + len(done)
                        progress = TaskProgress(run_id=task.run_id, task_id=task.task_id, pages=number)
                        position = Checkpoint(stream=task.stream, cursor=cursor, raw_partition=0, raw_offset=-1, current=progress)
                        page = build_page(task, info, each, position)
                        await self._publish(page, place)
                        done.append(number)
                        if number == piece.last:
                            break
                    cursor = raw(each.cursor_after)
        except TaskError as error:
            log.warning("source_cannot_repair", run_id=task.run_id, stream=task.stream, code=error.code, error=error.message)
        return done

    # -- dead letters -------------------------------------------------------------------------------------------------

    async def _requeue(self, task: RequeueRecords, consumer: AIOKafkaConsumer) -> TaskFinished | TaskFailed:
        published = records = 0
        gone: list[str] = []
        for place in task.pages:
            page, first = await self._find(consumer, place)
            if page is None:
                gone.append(place.page_id)
                continue
            again = picked(page, task, place, published)
            if again is None:
                continue
            await self._publish(again, first)
            published, records = published + 1, records + again.record_count
        error = _gone(task, f"{len(gone)} page(s) are neither in {RAW.name} nor in raw_data any more, such as {gone[0]}") if gone else None
        return _end(task, published, records, error)

    async def _find(self, consumer: AIOKafkaConsumer, place: PagePlace) -> tuple[RawPage | None, Place | None]:
        """The page, from the topic or else the archive, and where it first lay."""
        known = None if place.time_ms is None else Place(place.offset, place.time_ms)
        record = await _at(consumer, TopicPartition(RAW.name, place.partition), place.offset)
        page = _page_of(record) if record is not None else None
        if record is not None and page is not None and page.page_id == place.page_id:
            return page, known or place_of(record.headers, Place(record.offset, record.timestamp))
        return await self._archive.page(place.page_id), known

    async def _forward(self, task: ForwardMessages, consumer: AIOKafkaConsumer) -> TaskFinished | TaskFailed:
        gone = 0
        partitions = {topic.name: topic.partitions for topic in TOPICS}
        for place in task.messages:
            is_ours = place.partition < partitions.get(place.topic, 0)
            record = await _at(consumer, TopicPartition(place.topic, place.partition), place.offset) if is_ours else None
            if record is None:
                gone += 1
                continue
            await publishing.forward(self._producer, place.topic, record, list(record.headers), partition=place.partition)
        note = f"{len(task.messages) - gone} message(s) were published again on their topic"
        error = _gone(task, f"{gone} message(s) are not in {task.messages[0].topic} any more") if gone else None
        return _end(task, 0, 0, error, note)

    # -- publishing ---------------------------------------------------------------------------------------------------

    async def _publish(self, page: RawPage, first: Place | None) -> None:
        partition = partition_of(page.stream)
        await self._flow.gate(partition)
        headers = marked(headers_for(page, "extractor", event_id=page.page_id), first)
        await publishing.send(self._producer, RAW.name, encode(page), key=page.stream.encode(), headers=headers, partition=partition)

    async def _report(self, event: RunEvent) -> None:
        await publishing.publish(self._producer, RUN_EVENTS, event, key=event.run_id or "", service="extractor")


def still_missing(ranges: Iterable[PageRange], found: dict[int, RawPage]) -> list[PageRange]:
    """The ranges without the pages that were found; a rest begins where the page before it ended. Pure."""
    rest: list[PageRange] = []
    for each in ranges:
        cursor = each.cursor
        first = None
        for number in range(each.first, each.last + 2):
            is_missing = number <= each.last and number not in found
            if is_missing and first is None:
                first = number
            elif not is_missing and first is not None:
                rest.append(msgspec.structs.replace(each, first=first, last=number - 1, cursor=cursor))
                first = None
            if number in found:
                cursor = bytes(found[number].cursor_after).decode()
    return rest


def _failed(task: Again, message: str) -> RunEvent:
    if isinstance(task, RepairPages):
        lost = [number for each in task.missing for number in range(each.first, each.last + 1)]
        return PagesRepaired(run_id=task.run_id, task_id=task.task_id, stream=task.stream, lost=lost)
    return _end(task, 0, 0, RunError(code="internal_error", message=message, stream=task.stream, source=task.source))


def _end(task: Again, pages: int, records: int, error: RunError | None, *notes: str) -> TaskFinished | TaskFailed:
    run_id, task_id, source, stream = task.run_id, task.task_id, task.source, task.stream
    if error is None:
        return TaskFinished(run_id=run_id, task_id=task_id, source=source, stream=stream, pages=pages, records=records, notes=list(notes))
    return TaskFailed(
        run_id=run_id, task_id=task_id, source=source, stream=stream, pages=pages, records=records, notes=list(notes), error=error
    )


def _gone(task: Again, message: str) -> RunError:
    return RunError(code="payload_gone", message=message, stream=task.stream, source=task.source)
