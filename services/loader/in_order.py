"""What is read again comes in the order in which it was published, across topics.

A database that was put back is completed from several topics. A replay must not come before the
pages that it is of, nor a command before what it is about: who was first is told by the broker's
times. One loader gives the same as before; several go on side by side, each in its own order.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.loader.batch import Polled
from shared.kafka.gap_aware_consumer import GapAwareConsumer
from shared.runtime import logs

LAST = (1 << 63, "", 0)
log = logs.get(__name__)


class Merge:
    """The records of partitions that are read again, each up to an end. Pure."""

    def __init__(self) -> None:
        self._ends: dict[TopicPartition, int] = {}
        self._held: dict[TopicPartition, deque[Any]] = {}

    @property
    def is_over(self) -> bool:
        return not self._ends and not self._held

    def begin(self, ends: dict[TopicPartition, int]) -> None:
        """`ends`: the first offset of each that was not read before."""
        self._ends |= ends

    def forget(self, kept: set[TopicPartition]) -> None:
        """Partitions that are others' now."""
        for at in (self._ends.keys() | self._held.keys()) - kept:
            self._ends.pop(at, None)
            self._held.pop(at, None)

    def add(self, found: Polled) -> Polled:
        """Hold what is read again; returns the rest."""
        rest: Polled = {}
        for at, records in found.items():
            if at in self._ends or at in self._held:
                self._held.setdefault(at, deque()).extend(records)
                if records[-1].offset + 1 >= self._ends.get(at, 0):
                    self._ends.pop(at, None)
            else:
                rest[at] = records
        return rest

    def full(self) -> set[TopicPartition]:
        """Of which enough is held: no more is to be read of them for now."""
        return set(self._held)

    def take(self, most: int) -> Polled:
        """The oldest records, of one partition; nothing while an older one may still come."""
        if self._ends.keys() - self._held.keys() or not self._held:
            return {}
        at = min(self._held, key=self._head)
        held = self._held[at]
        others = min(
            (self._head(each) for each in self._held if each != at),
            default=LAST,
        )
        taken: list[Any] = []
        while held and len(taken) < most and self._head(at) < others:
            taken.append(held.popleft())
        if not held:
            del self._held[at]
        return {at: taken}

    def _head(self, at: TopicPartition) -> tuple[int, str, int]:
        return (self._held[at][0].timestamp, at.topic, at.partition)


class InOrder:
    """As the reader, but for what it reads again."""

    def __init__(
        self, reader: GapAwareConsumer, consumer: AIOKafkaConsumer
    ) -> None:
        self._reader = reader
        self._consumer = consumer
        self._merge = Merge()
        self._paused: set[TopicPartition] = set()

    @property
    def is_reading_again(self) -> bool:
        return not self._merge.is_over

    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> Polled:
        """As that of the reader; of what is read again one partition at a time."""
        found = await self._reader.getmany(
            timeout_ms=timeout_ms, max_records=max_records
        )
        self._merge.begin(self._reader.taken_back())
        if self._merge.is_over:
            return found
        self._merge.forget(set(self._consumer.assignment()))
        rest = self._merge.add(found)
        taken = rest or self._merge.take(max_records)
        self._pause(self._merge.full())
        if self._merge.is_over:
            log.info("read_again")
        return taken

    def _pause(self, full: set[TopicPartition]) -> None:
        """Bounds what is held to one poll of each partition."""
        assigned = set(self._consumer.assignment())
        self._consumer.pause(*(full & assigned))
        self._consumer.resume(*((self._paused - full) & assigned))
        self._paused = full & assigned
