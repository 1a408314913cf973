"""How many messages a consumer group has not committed yet, and how far it has come."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.kafka import clients
from shared.messages.topics import Topic


@dataclass(frozen=True)
class Stand:
    """Of one group in one partition: where the partition begins and ends, and the offset that is read next (−1: none committed)."""

    begin: int
    end: int
    committed: int

    @property
    def position(self) -> int:
        """A position that the topic does not hold any more counts as its beginning: what was removed does not wait."""
        return self.committed if self.begin <= self.committed <= self.end else self.begin

    @property
    def lag(self) -> int:
        return self.end - self.position


Stands = dict[TopicPartition, Stand]


def total(stands: Stands) -> int:
    """Messages that wait."""
    return sum(stand.lag for stand in stands.values())


class LagReader:
    """Asks the broker. One admin client for what is committed, one consumer without a group for where partitions begin and end."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id=client_id)
        self._reader = clients.consumer(bootstrap, client_id, group=None)
        self._started: list[object] = []

    async def start(self, stop: asyncio.Event) -> bool:
        """Wait for the broker; False when stopped first."""
        for client in (self._admin, self._reader):
            if not await clients.start(client, stop, "lag reader"):
                return False
            self._started.append(client)
        return True

    async def stands(self, group: str, *topics: Topic) -> Stands:
        """Raises KafkaError and OSError when the broker is away."""
        partitions = [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]
        begins, ends = await self._reader.beginning_offsets(partitions), await self._reader.end_offsets(partitions)
        committed = await self._admin.list_consumer_group_offsets(group, partitions=partitions)
        return {at: Stand(begins[at], ends[at], committed[at].offset if at in committed else -1) for at in partitions}

    async def close(self) -> None:
        if self._admin in self._started:
            await self._admin.close()
        if self._reader in self._started:
            await self._reader.stop()
