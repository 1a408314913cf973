"""Reading without silent jumps: what a consumer cannot read is a DataGap.

Consumers have `auto_offset_reset=none`. Where Kafka knows no position of the group, or one outside
of what the topic still holds, the partition is read from its beginning. Whatever was read before is
recognised further down the path (receipts, checkpoints).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from shared.errors import TransientError
from shared.kafka import publishing, reading
from shared.kafka.witness import Back, Cut, Position, Witness
from shared.messages.run_events import DataGap, GapReason
from shared.messages.topics import RUN_EVENTS
from shared.runtime import logs

OnGap = Callable[[DataGap], Awaitable[None]]
Polled = dict[TopicPartition, list[Any]]
Remembered = Callable[[TopicPartition], Awaitable[Position | None]]
log = logs.get(__name__)


async def nothing_remembered(
    _partition: TopicPartition,
) -> Position | None:
    """For consumers that keep their position in Kafka only."""
    return None


def gap(
    partition: TopicPartition,
    position: int | None,
    remembered: int | None,
    begin: int,
    end: int,
    group: str,
) -> DataGap | None:
    """What is missing, given where the group stood and what the partition holds. Pure.

    `position`: None where Kafka does not know it. `remembered`: what is known besides.
    """
    stood = remembered if position is None else position
    if stood is None:
        reason = GapReason.UNKNOWN_POSITION
        stood = 0
        is_missing = begin > 0
    else:
        reason = (
            GapReason.RECREATED if stood > end else GapReason.RETENTION
        )
        is_missing = not begin <= stood <= end
    if not is_missing:
        return None
    return DataGap(
        topic=partition.topic,
        partition=partition.partition,
        first_missing=stood,
        first_available=begin,
        group=group,
        reason=reason,
    )


def cut_gap(partition: TopicPartition, cut: Cut, group: str) -> DataGap:
    """What a log that is not the one which was read leaves open."""
    return DataGap(
        topic=partition.topic,
        partition=partition.partition,
        first_missing=cut.committed,
        first_available=cut.begin,
        group=group,
        reason=GapReason.CUT,
    )


def back_gap(
    partition: TopicPartition, back: Back, group: str
) -> DataGap | None:
    """What is gone of a partition that is to be read again."""
    return gap(
        partition, None, back.offset, back.begin, back.committed, group
    )


class GapAwareConsumer:
    """A consumer of a group that reports what it had to leave out."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        group: str,
        on_gap: OnGap,
        remembered: Remembered = nothing_remembered,
        *,
        witness: Witness | None = None,
    ) -> None:
        """`witness`: whether partitions still hold what was read of them.

        `remembered`: how far others know a partition. One of which they know less than the group
        has committed, as a database that was put back, is read again from there.
        """
        self._consumer = consumer
        self._witness = witness
        self._verified: set[TopicPartition] = set()
        self._group = group
        self._on_gap = on_gap
        self._remembered = remembered
        self._taken_back: dict[TopicPartition, int] = {}

    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Any]]:
        """As aiokafka's.

        Nothing when a partition had to be placed first, or while the broker is unavailable.
        """
        try:
            return await self._read(timeout_ms, max_records)
        except (KafkaError, OSError, TransientError) as error:
            log.warning(
                "reading_postponed", group=self._group, error=repr(error)
            )
            await asyncio.sleep(1)
            return {}

    async def _read(
        self, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Any]]:
        try:
            found = await self._consumer.getmany(
                timeout_ms=timeout_ms, max_records=max_records
            )
            return await self._witnessed(dict(found))
        except NoOffsetForPartitionError as error:
            await self._place(error.args[0], None)
        except OffsetOutOfRangeError as error:
            for partition, position in error.args[0].items():
                await self._place(partition, position)
        return {}

    def taken_back(self) -> dict[TopicPartition, int]:
        """Partitions that are read again since this was asked last, and up to where."""
        taken, self._taken_back = self._taken_back, {}
        return taken

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Commit offsets, with what `Witness` needs. Raises KafkaError."""
        if self._witness is None:
            await self._consumer.commit(offsets)
        else:
            await self._consumer.commit(self._witness.described(offsets))

    async def _witnessed(self, found: Polled) -> Polled:
        """What was read, without that of partitions which have to be read from their beginning."""
        if self._witness is None:
            return found
        assigned = set(self._consumer.assignment())
        try:
            await self._verify(assigned - self._verified, found)
        except BaseException:
            for at, records in found.items():
                if at in self._consumer.assignment():
                    self._consumer.seek(at, records[0].offset)
            raise
        self._verified = assigned
        for at, records in found.items():
            for record in records:
                self._witness.saw(at, record.offset, record.timestamp)
        return found

    async def _verify(
        self, partitions: set[TopicPartition], found: Polled
    ) -> None:
        """Of partitions that came to this consumer a moment ago."""
        if not partitions or self._witness is None:
            return
        for at, cut in (await self._witness.cut(partitions)).items():
            found.pop(at, None)
            await self._report(
                at, cut_gap(at, cut, self._group), cut.begin
            )
            partitions = partitions - {at}
        if self._remembered is not nothing_remembered:
            await self._go_back(self._witness, partitions, found)

    async def _go_back(
        self,
        witness: Witness,
        partitions: set[TopicPartition],
        found: Polled,
    ) -> None:
        """To where what was read is known still."""
        known = {at: await self._remembered(at) for at in partitions}
        for at, back in (await witness.behind(known)).items():
            found.pop(at, None)
            start = max(back.begin, back.offset or 0)
            self._taken_back[at] = back.committed
            log.warning(
                "reading_again",
                topic=at.topic,
                partition=at.partition,
                committed=back.committed,
                start=start,
            )
            await self._report(at, back_gap(at, back, self._group), start)
            # So that nobody takes what is read again for loaded.
            await self._consumer.commit({at: start})

    async def _place(
        self, partition: TopicPartition, position: int | None
    ) -> None:
        """Read a partition from its beginning, and report what is missing before it."""
        remembered = (
            await self._remembered(partition)
            if position is None
            else None
        )
        begin, end = await reading.bounds(self._consumer, partition)
        if position is not None and begin <= position <= end:
            return  # the broker was between two states; the position is good again
        found = gap(
            partition,
            position,
            remembered and remembered.offset,
            begin,
            end,
            self._group,
        )
        await self._report(partition, found, begin)

    async def _report(
        self, partition: TopicPartition, found: DataGap | None, begin: int
    ) -> None:
        """Report a gap and read on from the beginning."""
        if found is not None:
            log.error(
                "data_gap",
                topic=found.topic,
                partition=found.partition,
                first_missing=found.first_missing,
                first_available=begin,
                reason=found.reason,
            )
            await self._on_gap(found)
            await self._consumer.commit(
                {partition: begin}
            )  # so that it is reported once
        if partition in self._consumer.assignment():
            self._consumer.seek(partition, begin)


def publisher(producer: Any, service: str) -> OnGap:
    """An `on_gap` that puts the gap on ingest.run-events.

    Raises TransientError: then the partition is placed again later.
    """

    async def publish(found: DataGap) -> None:
        await publishing.publish(
            producer, RUN_EVENTS, found, key=found.topic, service=service
        )

    return publish
