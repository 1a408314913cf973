"""Reading ingest.raw: the pages of a selection, of a time, at an offset."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.extractor.archive import Kept
from shared.kafka import reading
from shared.messages.commands import OffsetRange, Selection
from shared.messages.headers import Place, place_of
from shared.messages.pages import RawPage
from shared.messages.serialization import UndecodableError, decode, raw_page_decoder
from shared.messages.topics import RAW


async def _first_in_topic(consumer: AIOKafkaConsumer, partition: int) -> Place | None:
    """Where the topic begins and since when; None when it is empty."""
    where = TopicPartition(RAW.name, partition)
    begin, end = (await consumer.beginning_offsets([where]))[where], (await consumer.end_offsets([where]))[where]
    if begin < end:
        async for record in reading.between(consumer, where, begin, begin + 1):
            return Place(record.offset, record.timestamp)
    return None


class TopicReading:
    """Reads the selected pages of a partition. `is_cut_off`: some were removed before they could be read."""

    def __init__(self, consumer: AIOKafkaConsumer, partition: int, selection: Selection, first: Place | None) -> None:
        """`first` is where the topic began when the archive was read up to there."""
        self._consumer, self._where, self._selection, self._first = consumer, TopicPartition(RAW.name, partition), selection, first
        self.is_cut_off = False

    async def pages(self) -> AsyncIterator[Kept]:
        where, selection = self._where, self._selection
        begin, end = (await self._consumer.beginning_offsets([where]))[where], (await self._consumer.end_offsets([where]))[where]
        self.is_cut_off = self._first is not None and begin > self._first.offset
        spans = [each for each in selection.offsets or [] if each.partition == where.partition] or [OffsetRange(partition=where.partition)]
        for span in spans:
            start, stop = max(begin, span.start), min(end, end if span.end is None else span.end)
            if selection.start is not None and not selection.offsets:
                start = max(start, await _offset_at(self._consumer, where, selection.start, end))
            if start >= stop:
                continue
            expected = start
            async for record in reading.between(self._consumer, where, start, stop):
                self.is_cut_off |= record.offset > expected  # the consumer went on where the topic now begins
                expected = record.offset + 1
                if _may_be_meant(record.key or b"", selection):  # the key is the stream: most pages need not be decoded
                    yield Kept(record.value or b"", place_of(record.headers, Place(record.offset, record.timestamp)))


def _may_be_meant(key: bytes, selection: Selection) -> bool:
    if selection.stream is not None:
        return key == selection.stream.encode()
    return selection.source is None or key.startswith(f"{selection.source}/".encode())


async def _offset_at(consumer: AIOKafkaConsumer, where: TopicPartition, moment: str, end: int) -> int:
    """The first message at or after a time. A page that was published again lies later than its time, never earlier."""
    found: dict[Any, Any] = await consumer.offsets_for_times({where: int(datetime.fromisoformat(moment).timestamp() * 1000)})
    return end if found.get(where) is None else int(found[where].offset)


def _page_of(record: Any, stream: str | None = None) -> RawPage | None:
    if stream is not None and record.key != stream.encode():
        return None
    try:
        return decode(raw_page_decoder, record.value)
    except UndecodableError:
        return None


async def _since(consumer: AIOKafkaConsumer, where: TopicPartition, since_ms: int) -> AsyncIterator[Any]:
    """Every record of a partition from a time on to where it ends now."""
    found = (await consumer.offsets_for_times({where: since_ms})).get(where)
    if found is not None:
        end = (await consumer.end_offsets([where]))[where]
        async for record in reading.between(consumer, where, found.offset, end):
            yield record


async def _at(consumer: AIOKafkaConsumer, where: TopicPartition, offset: int) -> Any | None:
    """The record at an offset, or None when it is not there any more."""
    begin, end = (await consumer.beginning_offsets([where]))[where], (await consumer.end_offsets([where]))[where]
    if begin <= offset < end:
        async for record in reading.between(consumer, where, offset, offset + 1):
            return record
    return None
