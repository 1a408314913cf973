"""Following a whole topic: every instance reads all partitions, without a consumer group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.blame import last_line
from shared.errors import TransientError
from shared.kafka import clients
from shared.kafka.partitions import partitions_of
from shared.messages.topics import Topic
from shared.runtime import logs
from shared.runtime.memory import Sweeper

A_TURN = 200  # records, before others have theirs
MAX_TOLD = 3  # errors of the records of one answer
log = logs.get(__name__)


class TopicFollower:
    """Hands every record of a topic to `on_record`, in partition order.

    `on_record` is an ordinary function. A record over which it raises is passed over.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: Topic,
        client_id: str,
        on_record: Callable[[Any], None],
    ) -> None:
        self._topic = topic
        self._on_record = on_record
        self._partitions: list[TopicPartition] = []
        self._consumer: AIOKafkaConsumer = clients.consumer(
            bootstrap, client_id, group=None
        )
        # A consumer that waits for news is not answered anything else meanwhile.
        self._asker: AIOKafkaConsumer = clients.consumer(
            bootstrap, f"{client_id}-ends", group=None
        )
        self._moved = asyncio.Condition()
        self._started: list[AIOKafkaConsumer] = []

    async def start(self, stop: asyncio.Event) -> bool:
        """Wait for the broker; False when stopped first."""
        what = f"follower of {self._topic.name}"
        for client in (self._consumer, self._asker):
            if not await clients.start(client, stop, what):
                return False
            self._started.append(client)
        # As many as there are is known once the broker has answered.
        self._partitions = partitions_of(self._topic)
        self._consumer.assign(self._partitions)
        await self._consumer.seek_to_beginning(*self._partitions)
        return True

    async def run(self) -> None:
        """Read until cancelled. A broker that is unavailable is waited for."""
        sweeper = Sweeper()  # what is read at the start is much at once
        while True:
            try:
                batches = await self._consumer.getmany(timeout_ms=500)
            except KafkaError as error:
                log.warning(
                    "follow_failed",
                    topic=self._topic.name,
                    error=str(error),
                )
                await asyncio.sleep(1)
                continue
            for records in batches.values():
                await self._hand_over(records)
            if batches:
                sweeper.sweep()
            async with self._moved:
                self._moved.notify_all()

    async def _hand_over(self, records: Sequence[Any]) -> None:
        """A record that cannot be read is passed over: the loader keeps it as a dead letter.

        Others have their turn between many of them, and many errors are a few lines of the log.
        """
        errors = 0
        for count, record in enumerate(records, 1):
            try:
                self._on_record(record)
            except Exception as error:
                errors += 1
                if errors <= MAX_TOLD:
                    log.error(
                        "record_passed_over",
                        topic=record.topic,
                        partition=record.partition,
                        offset=record.offset,
                        error=last_line(error),
                        exc_info=None
                        if isinstance(error, ValueError)
                        else error,
                    )
            if count % A_TURN == 0:
                await asyncio.sleep(0)
        if errors > MAX_TOLD:
            log.error(
                "records_passed_over",
                topic=self._topic.name,
                count=errors - MAX_TOLD,
            )

    async def catch_up(
        self, timeout_s: float = 10, partition: int | None = None
    ) -> None:
        """Return when everything that stood in the topic at the time of the call was handed over.

        `partition`: of this one alone. Raises TransientError.
        """
        if self._asker not in self._started:
            raise TransientError(
                f"{self._topic.name} is not being read yet"
            )
        wanted = [
            at
            for at in self._partitions
            if partition in (None, at.partition)
        ]
        try:
            async with asyncio.timeout(timeout_s):
                ends = await self._asker.end_offsets(wanted)
                async with self._moved:
                    while not await self._reached(ends):
                        await self._moved.wait()
        except (TimeoutError, KafkaError, OSError) as error:
            message = (
                f"{self._topic.name} cannot be read to its end: {error!r}"
            )
            raise TransientError(message) from error

    async def _reached(self, ends: dict[TopicPartition, int]) -> bool:
        for partition, end in ends.items():
            if await self._consumer.position(partition) < end:
                return False
        return True

    async def close(self) -> None:
        for client in self._started:
            await client.stop()
