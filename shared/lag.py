"""How many messages a consumer group has not committed yet, and how far it has come."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient

from shared import kafka
from shared.kafka import TopicPartition
from shared.topics import Topic


@dataclass(frozen=True)
class Backlog:
    """Of one group on one topic, by partition: messages that wait, and the offset that is read next."""

    lag: dict[int, int]
    position: dict[int, int]

    def total(self) -> int:
        return sum(self.lag.values())


class LagReader:
    """Asks the broker. One admin client for what is committed, one consumer without a group for where partitions begin and end."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id=client_id)
        self._reader = kafka.consumer(bootstrap, client_id, group=None)
        self._started: list[object] = []

    async def start(self, stop: asyncio.Event) -> bool:
        """Wait for the broker; False when stopped first."""
        for client in (self._admin, self._reader):
            if not await kafka.start(client, stop, "lag reader"):
                return False
            self._started.append(client)
        return True

    async def backlog(self, group: str, topic: Topic) -> Backlog:
        """Raises KafkaError and OSError when the broker is away."""
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        ends, starts = await self._reader.end_offsets(partitions), await self._reader.beginning_offsets(partitions)
        committed = await self._admin.list_consumer_group_offsets(group, partitions=partitions)
        position = {}
        for at in partitions:
            offset = committed[at].offset if at in committed else -1
            # A position that the topic does not hold any more counts as its beginning: what was removed does not wait.
            position[at.partition] = offset if starts[at] <= offset <= ends[at] else starts[at]
        return Backlog({at.partition: ends[at] - position[at.partition] for at in partitions}, position)

    async def close(self) -> None:
        if self._admin in self._started:
            await self._admin.close()
        if self._reader in self._started:
            await self._reader.stop()
