"""Reading ingest.raw: the pages of a selection, of a time, at an offset."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.extractor.archive import ArchivedPage
from shared.kafka import reading
from shared.messages.commands import OffsetRange, Selection
from shared.messages.headers import BrokerPosition, first_position_of
from shared.messages.pages import RawPage
from shared.messages.serialization import (
    UndecodableError,
    decode,
    raw_page_decoder,
)
from shared.messages.topics import RAW


def page_of(record: Any, stream: str | None = None) -> RawPage | None:
    """The page that a record of ingest.raw holds, None for what is not one (of `stream`)."""
    if stream is not None and record.key != stream.encode():
        return None
    try:
        return decode(raw_page_decoder, record.value)
    except UndecodableError:
        return None


async def records_since(
    consumer: AIOKafkaConsumer, at: TopicPartition, since_ms: int
) -> AsyncIterator[Any]:
    """Every record of a partition from a time on to where it ends now."""
    start = await _first_since(consumer, at, since_ms)
    if start is None:
        return
    _, end = await reading.bounds(consumer, at)
    async for record in reading.between(consumer, at, start, end):
        yield record


async def record_at(
    consumer: AIOKafkaConsumer, at: TopicPartition, offset: int
) -> Any | None:
    """The record at an offset, or None when it is not there any more."""
    begin, end = await reading.bounds(consumer, at)
    if begin <= offset < end:
        async for record in reading.between(
            consumer, at, offset, offset + 1
        ):
            return record
    return None


async def first_in_topic(
    consumer: AIOKafkaConsumer, partition: int
) -> BrokerPosition | None:
    """Where the topic begins and since when; None when it is empty."""
    at = TopicPartition(RAW.name, partition)
    begin, _ = await reading.bounds(consumer, at)
    record = await record_at(consumer, at, begin)
    if record is None:
        return None
    return BrokerPosition(record.offset, record.timestamp)


class TopicReading:
    """Reads the selected pages of a partition.

    `is_cut_off`: some were removed before they could be read.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        partition: int,
        selection: Selection,
        first: BrokerPosition | None,
    ) -> None:
        """`first`: where the topic began when the archive was read up to there."""
        self._consumer = consumer
        self._at = TopicPartition(RAW.name, partition)
        self._selection = selection
        self._first = first
        self.is_cut_off = False

    async def pages(self) -> AsyncIterator[ArchivedPage]:
        begin, end = await reading.bounds(self._consumer, self._at)
        self.is_cut_off = (
            self._first is not None and begin > self._first.offset
        )
        for span in self._spans():
            start, stop = await self._clipped(span, begin, end)
            async for page in self._read(start, stop):
                yield page

    def _spans(self) -> list[OffsetRange]:
        partition = self._at.partition
        spans = self._selection.spans(partition)
        return spans or [OffsetRange(partition=partition)]

    async def _clipped(
        self, span: OffsetRange, begin: int, end: int
    ) -> tuple[int, int]:
        """The part of a span that the topic holds and the selection's time allows."""
        start = max(begin, span.start)
        stop = end if span.end is None else min(end, span.end)
        if (
            self._selection.start is not None
            and not self._selection.offsets
        ):
            since = await _offset_at(
                self._consumer, self._at, self._selection.start, end
            )
            start = max(start, since)
        return start, stop

    async def _read(
        self, start: int, stop: int
    ) -> AsyncIterator[ArchivedPage]:
        if start >= stop:
            return
        expected = start
        async for record in reading.between(
            self._consumer, self._at, start, stop
        ):
            # A jump: the consumer went on where the topic now begins.
            self.is_cut_off |= record.offset > expected
            expected = record.offset + 1
            # The key is the stream: most pages need not be decoded.
            if _may_be_meant(record.key or b"", self._selection):
                yield ArchivedPage(
                    record.value or b"", first_position_of(record)
                )


def _may_be_meant(key: bytes, selection: Selection) -> bool:
    if selection.stream is not None:
        return key == selection.stream.encode()
    return selection.source is None or key.startswith(
        f"{selection.source}/".encode()
    )


async def _offset_at(
    consumer: AIOKafkaConsumer, at: TopicPartition, moment: str, end: int
) -> int:
    """The first message at or after a time.

    A page that was published again lies later than its time, never earlier.
    """
    found = await _first_since(consumer, at, _milliseconds(moment))
    return end if found is None else found


async def _first_since(
    consumer: AIOKafkaConsumer, at: TopicPartition, since_ms: int
) -> int | None:
    """The offset of the first message from a time on; None where there is none.

    Brokers know no times before 1970.
    """
    found = await consumer.offsets_for_times({at: max(0, since_ms)})
    place = found.get(at)
    return int(place.offset) if place else None


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
