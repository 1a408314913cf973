"""Reading a stretch of a partition, without a consumer group."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.errors import TransientError

READ_TIMEOUT_S = 20.0


async def bounds(
    consumer: AIOKafkaConsumer, at: TopicPartition
) -> tuple[int, int]:
    """(first offset, offset after the last) of a partition."""
    begins, ends = await asyncio.gather(
        consumer.beginning_offsets([at]), consumer.end_offsets([at])
    )
    return int(begins[at]), int(ends[at])


async def between(
    consumer: AIOKafkaConsumer, at: TopicPartition, start: int, end: int
) -> AsyncIterator[Any]:
    """The records of a partition from `start` to before `end`, which exist.

    Raises TransientError when they do not come.
    """
    consumer.assign([at])
    consumer.seek(at, start)
    arrived_at = time.monotonic()
    while await consumer.position(at) < end:
        records = (await consumer.getmany(at, timeout_ms=500)).get(at, [])
        if records:
            arrived_at = time.monotonic()
        elif time.monotonic() - arrived_at > READ_TIMEOUT_S:
            # The topic may have been created again meanwhile.
            raise TransientError(
                f"{at.topic}[{at.partition}] cannot be read: {start} to {end}"
            )
        for record in records:
            if record.offset < end:
                yield record
