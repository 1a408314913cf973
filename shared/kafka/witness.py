"""Whether a partition still holds what a group has read of it.

A log that has lost its end, as by a power cut, or that was made anew, may have grown past the
offset that a group has committed: reading on there would leave out in silence what is new. So each
commit says, as its metadata, when the record before it was appended.
"""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import (
    AsyncIterator,
    Collection,
    Iterable,
    Mapping,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from shared.errors import TransientError
from shared.kafka import clients

REMEMBERED = 5_000  # records of a partition
TIMEOUT_S = 8.0  # without a record


@dataclass(frozen=True)
class Cut:
    """A partition that is to be read from its beginning. `committed`: where the group stood."""

    committed: int
    begin: int


class Position(NamedTuple):
    """Where a partition is read on, and the broker's time of the record before, if it is known."""

    offset: int
    time_ms: int | None = None


@dataclass(frozen=True)
class Back:
    """A partition of which others know less than its group has committed.

    `offset`: up to where they know it; None: nothing, or of another log.
    """

    committed: int
    offset: int | None
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
        """Those that do not hold what the group has read.

        Raises KafkaError, OSError, TransientError.
        """
        committed = await self._committed(partitions)
        if not committed:
            return {}
        async with self._reading() as reader:
            return await _cuts(reader, committed)

    async def behind(
        self, known: Mapping[TopicPartition, Position | None]
    ) -> dict[TopicPartition, Back]:
        """Those of which less is `known` than the group has committed.

        Raises KafkaError, OSError, TransientError.
        """
        committed = await self._committed(known)
        late = {
            at: known[at]
            for at, stood in committed.items()
            if _is_behind(known[at], stood.offset)
        }
        if not late:
            return {}
        async with self._reading() as reader:
            begins = await reader.beginning_offsets(list(late))
            places = await _verified(reader, late, begins)
        return {
            at: Back(committed[at].offset, places[at], begins[at])
            for at in late
        }

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AIOKafkaConsumer]:
        reader = clients.consumer(
            self._bootstrap,
            f"{self._group}-witness",
            group=None,
            fetch_max_bytes=clients.FETCH_BYTES,
            fetch_max_wait_ms=clients.BUSY_MAX_WAIT_MS,
        )
        await reader.start()
        try:
            yield reader
        finally:
            await reader.stop()

    async def _committed(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        admin = clients.admin(self._bootstrap, f"{self._group}-witness")
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(
                self._group, partitions=list(partitions)
            )
        finally:
            await admin.close()
        return {at: each for at, each in found.items() if each.offset > 0}


async def _cuts(
    reader: AIOKafkaConsumer,
    committed: Mapping[TopicPartition, OffsetAndMetadata],
) -> dict[TopicPartition, Cut]:
    begins = await reader.beginning_offsets(list(committed))
    ends = await reader.end_offsets(list(committed))
    lasts = {
        at: stood.offset - 1
        for at, stood in committed.items()
        # What was removed by retention, or committed by an older release, has no witness.
        if begins[at] < stood.offset <= ends[at]
        and stood.metadata.isdigit()
    }
    found = await _records_at(reader, lasts)
    return {
        at: Cut(stood.offset, begins[at])
        for at, stood in committed.items()
        if stood.offset > ends[at]
        or (at in lasts and not _is_same(found[at], stood))
    }


def _is_behind(known: Position | None, committed: int) -> bool:
    return known is None or known.offset < committed


async def _verified(
    reader: AIOKafkaConsumer,
    known: Mapping[TopicPartition, Position | None],
    begins: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int | None]:
    """The offsets, without those that are of another log. Raises TransientError."""
    lasts = {
        at: place.offset - 1
        for at, place in known.items()
        if place and _can_be_verified(place, begins[at])
    }
    found = await _records_at(reader, lasts)
    return {
        at: _offset_of(place, found.get(at))
        for at, place in known.items()
    }


def _can_be_verified(place: Position, begin: int) -> bool:
    return place.time_ms is not None and place.offset > begin


def _offset_of(place: Position | None, last: Any) -> int | None:
    """None for a place of another log. `last`: the record before it, where it was asked for."""
    if place is None or (last and last.timestamp != place.time_ms):
        return None
    return place.offset


def _is_same(record: Any, stood: OffsetAndMetadata) -> bool:
    seen = (stood.offset - 1, int(stood.metadata))
    return (record.offset, record.timestamp) == seen


async def _records_at(
    reader: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Any]:
    """The first record at each offset or after it. Raises TransientError.

    All partitions at once: a service waits for this whenever it is given partitions.
    """
    if offsets:
        reader.assign(list(offsets))
    for at, offset in offsets.items():
        reader.seek(at, offset)
    found: dict[TopicPartition, Any] = {}
    arrived_at = time.monotonic()
    while len(found) < len(offsets):
        read = await reader.getmany(timeout_ms=200)
        for at, records in read.items():
            found.setdefault(at, records[0])
            reader.pause(at)
            arrived_at = time.monotonic()
        if time.monotonic() - arrived_at > TIMEOUT_S:
            missing = sorted(set(offsets) - set(found))
            raise TransientError(f"cannot be read: {missing}")
    return found
