"""RepairPages: publish missing pages of a task again, from the topic or else from the source."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from services.extractor.page_builder import build_page
from services.extractor.raw_topic import page_of, records_since
from services.extractor.sources.base import (
    Slice,
    SourceConnector,
    StreamInfo,
    find_stream,
)
from services.extractor.tasks.backpressure import Backpressure
from services.extractor.tasks.reporting import (
    Reporter,
    explain,
    kafka_must_answer,
)
from services.extractor.tasks.republish import PageRepublisher
from shared.errors import TaskError
from shared.kafka import publishing
from shared.kafka.partitions import partition_of, partitions_of
from shared.messages.checkpoints import Checkpoint, TaskProgress
from shared.messages.headers import (
    BrokerPosition,
    Headers,
    is_republished,
    republished_headers,
)
from shared.messages.pages import RawPage
from shared.messages.run_events import PagesRepaired
from shared.messages.serialization import raw_json, to_python
from shared.messages.tasks import PageRange, RepairPages
from shared.messages.topics import RAW
from shared.runtime import logs

MAX_PAGES = 10_000  # repaired at a time
_NOTHING = msgspec.Raw(b"null")
log = logs.get(__name__)


class RepairHandler:
    """Does RepairPages tasks. Doing one twice changes nothing: pages keep their identity."""

    def __init__(
        self,
        *,
        sources: dict[str, SourceConnector],
        producer: AIOKafkaProducer,
        backpressure: Backpressure,
        new_reader: Callable[[], Awaitable[AIOKafkaConsumer]],
    ) -> None:
        self._sources = sources
        self._producer = producer
        self._reporter = Reporter(producer)
        self._republisher = PageRepublisher(producer, backpressure)
        self._backpressure = backpressure
        self._new_reader = new_reader

    async def run(self, task: RepairPages) -> None:
        """Do the task and report it.

        Raises TransientError while Kafka is unavailable: then run it again.
        """
        consumer = await self._new_reader()
        try:
            await self._reporter.report(
                await self._repair(task, consumer)
            )
        finally:
            await consumer.stop()

    async def _repair(
        self, task: RepairPages, consumer: AIOKafkaConsumer
    ) -> PagesRepaired:
        task = msgspec.structs.replace(
            task, missing=bounded(task.missing)
        )
        wanted = page_numbers(task.missing)
        try:
            with kafka_must_answer():
                found = await self._from_topic(task, consumer, wanted)
                from_source: list[int] = []
                for missing in still_missing(task.missing, found):
                    from_source += await self._from_source(task, missing)
        except Exception as error:  # noqa: BLE001  `explain` logs and sorts them
            explain(error, task, "republishing_crashed")
            return _repaired(task, [], [], sorted(wanted))
        lost = sorted(wanted - found.keys() - set(from_source))
        log.info(
            "pages_repaired",
            run_id=task.run_id,
            stream=task.stream,
            from_topic=len(found),
            from_source=len(from_source),
            lost=len(lost),
        )
        return _repaired(task, sorted(found), from_source, lost)

    async def _from_topic(
        self,
        task: RepairPages,
        consumer: AIOKafkaConsumer,
        wanted: set[int],
    ) -> dict[int, RawPage]:
        """Publish again what still lies in the topic; returns the pages without their records."""
        found: dict[int, RawPage] = {}
        for at in self._places(task):
            if not wanted <= found.keys():
                await self._from_partition(
                    task, consumer, at, wanted, found
                )
        return found

    def _places(self, task: RepairPages) -> list[TopicPartition]:
        """Where pages of the task may lie: the stream's own partition first."""
        home = TopicPartition(RAW.name, partition_of(task.stream))
        connector = self._sources.get(task.source)
        if connector is None or not connector.may_spread:
            return [home]
        return [home, *(at for at in partitions_of(RAW) if at != home)]

    async def _from_partition(
        self,
        task: RepairPages,
        consumer: AIOKafkaConsumer,
        at: TopicPartition,
        wanted: set[int],
        found: dict[int, RawPage],
    ) -> None:
        async for record in records_since(consumer, at, task.since_ms):
            page = page_of(record, task.stream)
            if page is None or page.task_id != task.task_id:
                continue
            if page.page_no not in wanted or page.page_no in found:
                continue
            await self._backpressure.gate(record.partition)
            await publishing.forward(
                self._producer,
                RAW.name,
                record,
                _marked(record),
                partition=record.partition,
            )
            found[page.page_no] = _outline(page)
            if wanted <= found.keys():
                return

    async def _from_source(
        self, task: RepairPages, missing: PageRange
    ) -> list[int]:
        """Read the source from the range's cursor on and publish what comes as its pages.

        Returns their numbers.
        """
        done: list[int] = []
        if missing.cursor is None:
            return done
        try:
            connector, info = await find_stream(
                self._sources, task.source, task.stream
            )
            position = _first_position(connector, missing)
            pages = _pages_again(connector, info, task, missing)
            async with contextlib.aclosing(pages):  # type: ignore[type-var]
                async for page in pages:
                    await self._republisher.publish(
                        page,
                        position,
                        missing.partition if position else None,
                    )
                    done.append(page.page_no)
                    if page.page_no == missing.last:
                        break
        except TaskError as error:
            log.warning(
                "source_cannot_repair",
                run_id=task.run_id,
                stream=task.stream,
                code=error.code,
                error=error.message,
            )
        return done


def _outline(page: RawPage) -> RawPage:
    """A page without what it holds, of which a part would keep all of the message."""
    return msgspec.structs.replace(
        page,
        records=_NOTHING,
        context=_NOTHING,
        origin=_NOTHING,
        cursor_before=_NOTHING,
        cursor_after=page.cursor_after.copy(),
        rejections=[],
    )


async def _pages_again(
    connector: SourceConnector,
    info: StreamInfo,
    task: RepairPages,
    missing: PageRange,
) -> AsyncIterator[RawPage]:
    """Pages of the source from the range's cursor on, numbered from its first."""
    cursor = msgspec.Raw((missing.cursor or "null").encode())
    number = missing.first
    slices = connector.fetch(
        info, to_python(cursor), resumed=missing.first > 0
    )
    async with contextlib.aclosing(slices):  # type: ignore[type-var]
        async for piece in slices:
            if piece.records or piece.rejections:
                yield _page_at(task, info, piece, number, cursor)
                number += 1
            cursor = raw_json(piece.cursor_after)


def _page_at(
    task: RepairPages,
    info: StreamInfo,
    piece: Slice,
    number: int,
    cursor: msgspec.Raw,
) -> RawPage:
    progress = TaskProgress(
        run_id=task.run_id, task_id=task.task_id, pages=number
    )
    position = Checkpoint(
        stream=task.stream,
        cursor=cursor,
        raw_partition=0,
        raw_offset=-1,
        current=progress,
    )
    return build_page(task, info, piece, position)


def _first_position(
    connector: SourceConnector, missing: PageRange
) -> BrokerPosition | None:
    """The place that pages of a file take among the task's others; None: they are new."""
    if (
        not connector.rereads_as_of_page
        or missing.offset is None
        or missing.time_ms is None
    ):
        return None
    return BrokerPosition(missing.offset, missing.time_ms)


def _marked(record: object) -> Headers:
    headers = list(record.headers)  # type: ignore[attr-defined]
    if is_republished(headers):
        return headers
    here = BrokerPosition(record.offset, record.timestamp)  # type: ignore[attr-defined]
    return republished_headers(headers, here)


def page_numbers(ranges: Iterable[PageRange]) -> set[int]:
    """Every page number of the ranges."""
    return {
        number
        for each in ranges
        for number in range(each.first, each.last + 1)
    }


def bounded(ranges: Iterable[PageRange]) -> list[PageRange]:
    """As many of them as are repaired at a time; the rest is asked for again."""
    found = []
    left = MAX_PAGES
    for each in ranges:
        if left <= 0:
            break
        last = min(each.last, each.first + left - 1)
        found.append(msgspec.structs.replace(each, last=last))
        left -= each.last - each.first + 1
    return found


def still_missing(
    ranges: Iterable[PageRange], found: dict[int, RawPage]
) -> list[PageRange]:
    """The ranges without the pages that were found. Pure.

    What is left of a range begins where the page before it ended.
    """
    rest: list[PageRange] = []
    for wanted in ranges:
        rest += _without_found(wanted, found)
    return rest


def _without_found(
    wanted: PageRange, found: dict[int, RawPage]
) -> list[PageRange]:
    rest: list[PageRange] = []
    cursor = wanted.cursor
    first: int | None = None
    for number in range(wanted.first, wanted.last + 2):
        is_missing = number <= wanted.last and number not in found
        if is_missing and first is None:
            first = number
        elif not is_missing and first is not None:
            left = msgspec.structs.replace(
                wanted, first=first, last=number - 1, cursor=cursor
            )
            rest.append(left)
            first = None
        if number in found:
            cursor = bytes(found[number].cursor_after).decode()
    return rest


def _repaired(
    task: RepairPages,
    from_topic: list[int],
    from_source: list[int],
    lost: list[int],
) -> PagesRepaired:
    return PagesRepaired(
        run_id=task.run_id,
        task_id=task.task_id,
        stream=task.stream,
        from_topic=from_topic,
        from_source=from_source,
        lost=lost,
    )
