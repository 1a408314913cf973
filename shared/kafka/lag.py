"""How many messages a consumer group has not committed yet, and how far it has come."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiokafka import TopicPartition

from shared.kafka import clients
from shared.kafka.partitions import partitions_of
from shared.messages.topics import Topic


@dataclass(frozen=True)
class GroupPosition:
    """Where a group stands in one partition.

    `begin`, `end`: of the partition. `committed`: the offset that is read next, −1 where none is.
    """

    begin: int
    end: int
    committed: int

    @property
    def position(self) -> int:
        """The committed offset, or the beginning where the topic no longer holds it.

        What was removed does not wait.
        """
        return (
            self.committed
            if self.begin <= self.committed <= self.end
            else self.begin
        )

    @property
    def is_beyond(self) -> bool:
        """Whether the group stands behind the end: the log has lost its end since."""
        return self.committed > self.end

    @property
    def lag(self) -> int:
        """Messages that wait; none where nobody knows how many of them were read."""
        return 0 if self.is_beyond else self.end - self.position


GroupPositions = dict[TopicPartition, GroupPosition]


def total(positions: GroupPositions) -> int:
    """Messages that wait."""
    return sum(position.lag for position in positions.values())


class LagReader:
    """Asks the broker.

    One admin client for what is committed, one consumer without a group for where partitions begin
    and end.
    """

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._admin = clients.admin(bootstrap, client_id)
        self.reader = clients.consumer(bootstrap, client_id, group=None)
        self._started: list[object] = []

    async def start(self, stop: asyncio.Event) -> bool:
        """Wait for the broker; False when stopped first."""
        for client in (self._admin, self.reader):
            if not await clients.start(client, stop, "lag reader"):
                return False
            self._started.append(client)
        return True

    async def positions(
        self, group: str, *topics: Topic
    ) -> GroupPositions:
        """Of every partition of the topics.

        Raises KafkaError and OSError while the broker is unavailable.
        """
        partitions = [
            at for topic in topics for at in partitions_of(topic)
        ]
        begins = await self.reader.beginning_offsets(partitions)
        ends = await self.reader.end_offsets(partitions)
        committed = await self._admin.list_consumer_group_offsets(
            group, partitions=partitions
        )
        offsets = {at: found.offset for at, found in committed.items()}
        return {
            at: GroupPosition(begins[at], ends[at], offsets.get(at, -1))
            for at in partitions
        }

    async def close(self) -> None:
        if self._admin in self._started:
            await self._admin.close()
        if self.reader in self._started:
            await self.reader.stop()
