"""Reading without silent jumps: consumers have `auto_offset_reset=none`, and what they cannot read is a DataGap.

Where Kafka knows no position of the group, or one outside of what the topic still holds, the partition is read from its
beginning; whatever was read before is recognised further down the path (receipts, checkpoints).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from shared.errors import TransientError
from shared.kafka import publishing
from shared.messages.run_events import DataGap, GapReason
from shared.messages.topics import RUN_EVENTS
from shared.runtime import logs

OnGap = Callable[[DataGap], Awaitable[None]]
Remembered = Callable[[TopicPartition], Awaitable[int | None]]
log = logs.get(__name__)


async def nothing_remembered(_partition: TopicPartition) -> int | None:
    """For consumers that keep their position in Kafka only."""
    return None


def gap(partition: TopicPartition, position: int | None, remembered: int | None, begin: int, end: int, group: str) -> DataGap | None:
    """What is missing, given where the group stood (None: Kafka does not know) and what the partition holds. Pure."""
    stood = remembered if position is None else position
    if stood is None:
        reason, stood = GapReason.UNKNOWN_POSITION, 0
        missing = begin > 0
    else:
        reason = GapReason.RECREATED if stood > end else GapReason.RETENTION
        missing = stood > end or stood < begin
    if not missing:
        return None
    return DataGap(
        topic=partition.topic, partition=partition.partition, first_missing=stood, first_available=begin, group=group, reason=reason
    )


class Reader:
    """A consumer of a group that says what it had to leave out."""

    def __init__(self, consumer: AIOKafkaConsumer, group: str, on_gap: OnGap, remembered: Remembered = nothing_remembered) -> None:
        self._consumer, self._group, self._on_gap, self._remembered = consumer, group, on_gap, remembered

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        """As aiokafka's; nothing when a partition had to be placed first, or while the broker is away."""
        try:
            return await self._read(timeout_ms, max_records)
        except (KafkaError, OSError, TransientError) as error:
            log.warning("reading_postponed", group=self._group, error=repr(error))
            await asyncio.sleep(1)
            return {}

    async def _read(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        try:
            return dict(await self._consumer.getmany(timeout_ms=timeout_ms, max_records=max_records))
        except NoOffsetForPartitionError as error:
            await self._place(error.args[0], None)
        except OffsetOutOfRangeError as error:
            for partition, position in error.args[0].items():
                await self._place(partition, position)
        return {}

    async def _place(self, partition: TopicPartition, position: int | None) -> None:
        remembered = await self._remembered(partition) if position is None else None
        begin = (await self._consumer.beginning_offsets([partition]))[partition]
        end = (await self._consumer.end_offsets([partition]))[partition]
        if position is not None and begin <= position <= end:
            return  # the broker was between two states; the position is good again
        found = gap(partition, position, remembered, begin, end, self._group)
        if found is not None:
            log.error("data_gap", topic=found.topic, partition=found.partition, first_missing=found.first_missing, first_available=begin, reason=found.reason)  # fmt: skip
            await self._on_gap(found)
            await self._consumer.commit({partition: begin})  # so that it is said once
        if partition in self._consumer.assignment():
            self._consumer.seek(partition, begin)


def publisher(producer: Any, service: str) -> OnGap:
    """An `on_gap` that puts the gap on ingest.run-events. Raises TransientError: then the partition is placed again later."""

    async def publish(found: DataGap) -> None:
        await publishing.publish(producer, RUN_EVENTS, found, key=found.topic, service=service)

    return publish
