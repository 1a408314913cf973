"""Reading a stretch of a partition, without a consumer group."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.errors import TransientError

READ_TIMEOUT_S = 20.0


async def between(consumer: AIOKafkaConsumer, where: TopicPartition, start: int, end: int) -> AsyncIterator[Any]:
    """The records of a partition from `start` to before `end`, which exist. Raises TransientError when they do not come."""
    consumer.assign([where])
    consumer.seek(where, start)
    came_at = time.monotonic()
    while await consumer.position(where) < end:
        records = (await consumer.getmany(where, timeout_ms=500)).get(where, [])
        if records:
            came_at = time.monotonic()
        elif time.monotonic() - came_at > READ_TIMEOUT_S:  # the topic may have been created again meanwhile
            raise TransientError(f"{where.topic}[{where.partition}] cannot be read from {start} to {end}")
        for record in records:
            if record.offset < end:
                yield record
