"""RequeueRecords and ForwardMessages: publish dead-lettered records and messages again."""

from __future__ import annotations

from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from services.extractor.archive import Archive
from services.extractor.raw_topic import page_of, record_at
from services.extractor.tasks.backpressure import Backpressure
from services.extractor.tasks.reporting import (
    NewReader,
    Reporter,
    explain,
    kafka_must_answer,
    task_error,
    task_fields,
)
from services.extractor.tasks.republish import PageRepublisher
from shared.identity.ids import page_id
from shared.kafka import publishing
from shared.messages.base import Json
from shared.messages.headers import BrokerPosition, first_position_of
from shared.messages.pages import RawPage
from shared.messages.run_events import (
    RunError,
    TaskFailed,
    TaskFinished,
)
from shared.messages.serialization import (
    UndecodableError,
    decode,
    encode,
    exact_decoder,
    raw_json,
    task_decoder,
    to_python,
)
from shared.messages.tasks import (
    ForwardMessages,
    MessagePlace,
    PagePlace,
    RequeueRecords,
)
from shared.messages.topics import RAW, TOPICS

Ended = TaskFinished | TaskFailed
_TOPICS = {topic.name: topic for topic in TOPICS}


class RequeueHandler:
    """Does RequeueRecords tasks. Doing one twice changes nothing: pages keep their identity."""

    def __init__(
        self,
        *,
        producer: AIOKafkaProducer,
        backpressure: Backpressure,
        new_reader: NewReader,
        archive: Archive,
    ) -> None:
        self._reporter = Reporter(producer)
        self._republisher = PageRepublisher(producer, backpressure)
        self._new_reader = new_reader
        self._archive = archive

    async def run(self, task: RequeueRecords) -> None:
        """Do the task and report it.

        Raises TransientError while Kafka or PostgreSQL is unavailable: then run it again.
        """
        await self._reporter.run(task, self._new_reader, self._outcome)

    async def _outcome(
        self, task: RequeueRecords, consumer: AIOKafkaConsumer
    ) -> Ended:
        try:
            with kafka_must_answer():
                return await self._requeue(task, consumer)
        except Exception as error:  # noqa: BLE001  `explain` logs and sorts them
            return _ended(
                task, error=explain(error, task, "republishing_crashed")
            )

    async def _requeue(
        self, task: RequeueRecords, consumer: AIOKafkaConsumer
    ) -> Ended:
        published = 0
        records = 0
        gone: list[str] = []
        for place in task.pages:
            page, first = await self._find(consumer, place)
            if page is None:
                gone.append(place.page_id)
                continue
            chosen = chosen_records(page, task, place, published)
            if chosen is not None:
                await self._republisher.publish(
                    chosen, first, place.partition
                )
                published += 1
                records += chosen.record_count
        error = None
        if gone:
            message = (
                f"{len(gone)} page(s) are neither in {RAW.name} nor in raw_data any more, "
                f"such as {gone[0]}"
            )
            error = task_error(task, "payload_gone", message)
        return _ended(task, published, records, error)

    async def _find(
        self, consumer: AIOKafkaConsumer, place: PagePlace
    ) -> tuple[RawPage | None, BrokerPosition | None]:
        """The page, from the topic or else the archive, and where it first lay."""
        known = None
        if place.time_ms is not None:
            known = BrokerPosition(place.offset, place.time_ms)
        at = TopicPartition(RAW.name, place.partition)
        record = await record_at(consumer, at, place.offset)
        page = page_of(record) if record is not None else None
        if page is not None and page.page_id == place.page_id:
            return page, known or first_position_of(record)
        return await self._archive.page(place.page_id), known


class ForwardHandler:
    """Does ForwardMessages tasks: each message goes to the topic that it came from."""

    def __init__(
        self, *, producer: AIOKafkaProducer, new_reader: NewReader
    ) -> None:
        self._producer = producer
        self._reporter = Reporter(producer)
        self._new_reader = new_reader

    async def run(self, task: ForwardMessages) -> None:
        """Do the task and report it. Raises TransientError while Kafka is unavailable."""
        await self._reporter.run(task, self._new_reader, self._outcome)

    async def _outcome(
        self, task: ForwardMessages, consumer: AIOKafkaConsumer
    ) -> Ended:
        try:
            with kafka_must_answer():
                return await self._forward(task, consumer)
        except Exception as error:  # noqa: BLE001  `explain` logs and sorts them
            return _ended(
                task, error=explain(error, task, "republishing_crashed")
            )

    async def _forward(
        self, task: ForwardMessages, consumer: AIOKafkaConsumer
    ) -> Ended:
        gone = 0
        for place in task.messages:
            record = await _message_at(consumer, place)
            if record is None:
                gone += 1
                continue
            await publishing.forward(
                self._producer,
                place.topic,
                record,
                list(record.headers),
                partition=place.partition,
            )
        forwarded = len(task.messages) - gone
        error = None
        if gone:
            message = (
                f"{gone} message(s) are not in {task.messages[0].topic} any more, "
                "or are themselves tasks to publish messages again"
            )
            error = task_error(task, "payload_gone", message)
        note = (
            f"{forwarded} message(s) were published again on their topic"
        )
        return _ended(task, error=error, notes=[note])


async def _message_at(
    consumer: AIOKafkaConsumer, place: MessagePlace
) -> Any | None:
    """The message, None where it is not there any more or may not be published again."""
    topic = _TOPICS.get(place.topic)
    if topic is None or place.partition >= topic.partitions:
        return None
    record = await record_at(
        consumer,
        TopicPartition(place.topic, place.partition),
        place.offset,
    )
    return None if record is None or _forwards(record) else record


def _forwards(record: Any) -> bool:
    """Whether a message is a task of this kind, which might publish itself again for ever."""
    try:
        task = decode(task_decoder, record.value)
    except UndecodableError:
        return False
    return isinstance(task, ForwardMessages)


def chosen_records(
    page: RawPage, task: RequeueRecords, place: PagePlace, page_no: int
) -> RawPage | None:
    """A page of the task with the chosen records of an older page; None when it has none. Pure."""
    records = exact_decoder.decode(page.records)
    wanted = (
        range(len(records)) if place.records is None else place.records
    )
    # Each once: many times the same would be more than fits into memory.
    indexes = sorted({index for index in wanted if index < len(records)})
    if not indexes:
        return None
    chosen = encode([records[index] for index in indexes])
    return msgspec.structs.replace(
        page,
        page_id=page_id(task.run_id, task.stream, page_no, chosen),
        run_id=task.run_id,
        task_id=task.task_id,
        page_no=page_no,
        records=msgspec.Raw(chosen),
        record_count=len(indexes),
        origin=raw_json(_origin_of_chosen(page, indexes)),
        rejections=[],
        after_ms=None,  # it stands right behind the page
    )


def _origin_of_chosen(page: RawPage, indexes: list[int]) -> Json:
    """The page's origin, with the line and row of each chosen record where it is of a file."""
    origin: Json = to_python(page.origin)
    if "first_row" in origin:
        lines = origin.get("lines")
        rows = origin.get("rows")  # of a page that was requeued itself
        first_line = origin.get("first_line", 0)
        origin["lines"] = [
            lines[n] if lines else first_line + n for n in indexes
        ]
        origin["rows"] = [
            rows[n] if rows else origin["first_row"] + n for n in indexes
        ]
    origin["requeued_from"] = page.page_id
    return origin


def _ended(
    task: RequeueRecords | ForwardMessages,
    pages: int = 0,
    records: int = 0,
    error: RunError | None = None,
    notes: list[str] | None = None,
) -> Ended:
    fields: Json = {
        **task_fields(task),
        "pages": pages,
        "records": records,
    }
    fields["notes"] = notes or []
    if error is None:
        return TaskFinished(**fields)
    return TaskFailed(**fields, error=error)
