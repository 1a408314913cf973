"""What tests do to the broker as an operator would, past the proxies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from shared.kafka import clients
from shared.messages.topics import Topic
from tests.chaos.stack import ChaosStack


def on_kafka(
    stack: ChaosStack,
    work: Callable[
        [AIOKafkaProducer, AIOKafkaAdminClient], Awaitable[Any]
    ],
) -> Any:
    async def run() -> Any:
        producer, admin = (
            clients.producer(stack.broker_address, "test"),
            AIOKafkaAdminClient(bootstrap_servers=stack.broker_address),
        )
        await producer.start()
        await admin.start()
        try:
            return await work(producer, admin)
        finally:
            await producer.stop()
            await admin.close()

    return asyncio.run(run())


def remove_messages(stack: ChaosStack, topic: Topic) -> None:
    """As retention does: everything up to the end goes."""

    async def work(
        _producer: AIOKafkaProducer, admin: AIOKafkaAdminClient
    ) -> None:
        await admin.delete_records(
            {
                TopicPartition(topic.name, n): RecordsToDelete(
                    before_offset=-1
                )
                for n in range(topic.partitions)
            }
        )

    on_kafka(stack, work)
