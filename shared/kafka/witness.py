"""Whether a partition still holds what a group has read of it.

A log that has lost its end, as by a power cut, or that was made anew, may have grown past the
offset that a group has committed: reading on there would leave out in silence what is new. So each
commit says, as its metadata, when the record before it was appended.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from shared.kafka import clients, reading

REMEMBERED = 5_000  # records of a partition


@dataclass(frozen=True)
class Cut:
    """A partition that is to be read from its beginning. `committed`: where the group stood."""

    committed: int
    begin: int


class Witness:
    """What a member of a group has read, and what it finds of that."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._times: defaultdict[
            TopicPartition, OrderedDict[int, int]
        ] = defaultdict(OrderedDict)

    def saw(self, at: TopicPartition, offset: int, time_ms: int) -> None:
        """Remember a record that was read."""
        times = self._times[at]
        times[offset] = time_ms
        if len(times) > REMEMBERED:
            times.popitem(last=False)

    def described(
        self, offsets: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """Offsets to commit, each with the time of the record before it."""
        return {
            at: OffsetAndMetadata(offset, self._metadata(at, offset))
            for at, offset in offsets.items()
        }

    def _metadata(self, at: TopicPartition, offset: int) -> str:
        time_ms = self._times[at].get(offset - 1)
        return "" if time_ms is None else str(time_ms)

    async def cut(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, Cut]:
        """Those that do not hold what the group has read. Raises KafkaError, OSError."""
        committed = await self._committed(partitions)
        if not committed:
            return {}
        reader = clients.consumer(
            self._bootstrap, f"{self._group}-witness", group=None
        )
        await reader.start()
        try:
            found = {
                at: await _cut(reader, at, stood)
                for at, stood in committed.items()
            }
        finally:
            await reader.stop()
        return {at: cut for at, cut in found.items() if cut is not None}

    async def _committed(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._bootstrap,
            client_id=f"{self._group}-witness",
        )
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(
                self._group, partitions=list(partitions)
            )
        finally:
            await admin.close()
        return {at: each for at, each in found.items() if each.offset > 0}


async def _cut(
    reader: AIOKafkaConsumer, at: TopicPartition, stood: OffsetAndMetadata
) -> Cut | None:
    begin, end = await reading.bounds(reader, at)
    cut = Cut(stood.offset, begin)
    if stood.offset > end:
        return cut
    last = stood.offset - 1
    if last < begin or not stood.metadata.isdigit():
        return (
            None  # removed by retention, or committed by an older release
        )
    record = await _record_at(reader, at, last)
    is_same = record is not None and record.timestamp == int(
        stood.metadata
    )
    return None if is_same else cut


async def _record_at(
    reader: AIOKafkaConsumer, at: TopicPartition, offset: int
) -> Any:
    async for record in reading.between(reader, at, offset, offset + 1):
        return record
    return None
