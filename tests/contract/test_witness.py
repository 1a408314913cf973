"""What `Witness` finds in real topics: what was read, something else, or less."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import (
    AIOKafkaAdminClient,
    NewTopic,
    RecordsToDelete,
)
from aiokafka.structs import OffsetAndMetadata

from shared.kafka import clients
from shared.kafka.gap_aware_consumer import back_gap
from shared.kafka.witness import Back, Cut, Position, Witness
from tests.support.infra import Infrastructure

PARTITIONS = 36
THEN_MS, NOW_MS = 1_700_000_000_000, 1_700_000_100_000


class Topic:
    """A topic of its own, whose group has committed what it read."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.name = f"test.witness.{uuid.uuid4().hex}"
        self.partitions = [
            TopicPartition(self.name, number)
            for number in range(PARTITIONS)
        ]
        self.witness = Witness(bootstrap, self.name)

    async def make(self) -> None:
        async with _started(
            AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        ) as admin:
            await admin.create_topics(
                [NewTopic(self.name, PARTITIONS, replication_factor=1)]
            )

    async def publish(
        self, partition: int, count: int, at_ms: int
    ) -> None:
        async with _started(
            clients.producer(self.bootstrap, "test")
        ) as producer:
            for _ in range(count):
                await producer.send_and_wait(
                    self.name,
                    b"x",
                    partition=partition,
                    timestamp_ms=at_ms,
                )

    async def read_all(self) -> None:
        """Read and commit, as a member of the group does."""
        async with _started(
            clients.consumer(self.bootstrap, "test", group=self.name)
        ) as consumer:
            consumer.assign(self.partitions)
            for at in self.partitions:
                consumer.seek(at, 0)
            ends = await consumer.end_offsets(self.partitions)
            left = sum(ends.values())
            while left:
                read = await consumer.getmany(timeout_ms=500)
                for at, records in read.items():
                    left -= len(records)
                    for record in records:
                        self.witness.saw(
                            at, record.offset, record.timestamp
                        )
            await consumer.commit(self.witness.described(ends))

    async def commit(
        self, offsets: Mapping[TopicPartition, int | OffsetAndMetadata]
    ) -> None:
        async with _started(
            clients.consumer(self.bootstrap, "test", group=self.name)
        ) as consumer:
            consumer.assign(self.partitions)
            await consumer.commit(offsets)

    async def cut(self) -> dict[TopicPartition, Cut]:
        return await Witness(self.bootstrap, self.name).cut(
            self.partitions
        )


@asynccontextmanager
async def _started(client: Any) -> AsyncIterator[Any]:
    await client.start()
    try:
        yield client
    finally:
        close = getattr(client, "stop", None) or client.close
        await close()


async def _read_topic(bootstrap: str, *, says_when: bool = True) -> Topic:
    topic = Topic(bootstrap)
    await topic.make()
    for partition in range(PARTITIONS):
        await topic.publish(partition, 1 + partition % 3, THEN_MS)
    await topic.read_all()
    return topic


def test_a_log_that_only_grew_is_as_it_was_read(
    infra: Infrastructure,
) -> None:
    async def found() -> dict[TopicPartition, Cut]:
        topic = await _read_topic(infra.bootstrap)
        await topic.publish(0, 5, NOW_MS)
        return await topic.cut()

    assert asyncio.run(found()) == {}


def test_all_partitions_are_looked_at_in_one_go(
    infra: Infrastructure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other they took half a second each, and the watchdog ended the service."""

    async def reads() -> int:
        topic = await _read_topic(infra.bootstrap)
        calls: list[object] = []
        original = AIOKafkaConsumer.getmany

        def counted(*args: Any, **named: Any) -> Any:
            calls.append(args)
            return original(*args, **named)

        monkeypatch.setattr(AIOKafkaConsumer, "getmany", counted)
        assert await topic.cut() == {}
        return len(calls)

    assert asyncio.run(reads()) < PARTITIONS / 2


def test_a_log_that_holds_something_else_or_less_is_cut(
    infra: Infrastructure,
) -> None:
    """Kafka forgets a group's position with the topic, so the commits play the other log."""

    async def found() -> tuple[Topic, dict[TopicPartition, Cut]]:
        topic = await _read_topic(infra.bootstrap)
        longer, shorter = topic.partitions[1:3]
        await topic.commit(
            {
                longer: OffsetAndMetadata(1, str(NOW_MS)),
                shorter: OffsetAndMetadata(50, str(THEN_MS)),
            }
        )
        return topic, await topic.cut()

    topic, cut = asyncio.run(found())
    assert cut == {
        topic.partitions[1]: Cut(committed=1, begin=0),
        topic.partitions[2]: Cut(committed=50, begin=0),
    }


def test_what_an_older_release_committed_has_no_witness(
    infra: Infrastructure,
) -> None:
    async def found() -> dict[TopicPartition, Cut]:
        topic = await _read_topic(infra.bootstrap)
        older = dict.fromkeys(topic.partitions, 1)
        await topic.commit(older)
        return await topic.cut()

    assert asyncio.run(found()) == {}


async def test_what_others_know_less_of_is_read_again_from_there(
    infra: Infrastructure,
) -> None:
    topic = Topic(infra.bootstrap)
    await topic.make()
    nothing, less, other_log, untimed, all_of_it, ahead = (
        topic.partitions[:6]
    )
    for at in topic.partitions[:6]:
        await topic.publish(at.partition, 2, THEN_MS)
        await topic.publish(at.partition, 2, NOW_MS)
    await topic.read_all()
    found = await topic.witness.behind(
        {
            nothing: None,
            less: Position(2, THEN_MS),
            other_log: Position(2, NOW_MS),
            untimed: Position(3),
            all_of_it: Position(4, NOW_MS),
            ahead: Position(9, NOW_MS),
            topic.partitions[7]: None,  # of which nothing was read
        }
    )
    assert found == {
        nothing: Back(4, None, 0),
        less: Back(4, 2, 0),
        other_log: Back(4, None, 0),
        untimed: Back(4, 3, 0),
    }


async def test_what_was_removed_meanwhile_is_no_other_log(
    infra: Infrastructure,
) -> None:
    topic = Topic(infra.bootstrap)
    await topic.make()
    at = topic.partitions[0]
    await topic.publish(0, 5, THEN_MS)
    await topic.read_all()
    async with _started(
        AIOKafkaAdminClient(bootstrap_servers=topic.bootstrap)
    ) as admin:
        await admin.delete_records({at: RecordsToDelete(before_offset=3)})
    found = await topic.witness.behind({at: Position(2, THEN_MS)})
    assert found == {at: Back(5, 2, 3)}
    missing = back_gap(at, found[at], "loader")
    assert missing is not None
    assert (missing.first_missing, missing.first_available) == (2, 3)
