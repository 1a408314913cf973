"""Why nothing can be stored, told to the gateways as a checkpoint of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from aiokafka import AIOKafkaProducer

from shared.errors import TransientError
from shared.kafka import publishing
from shared.kafka.checkpoint_log import TROUBLE
from shared.kafka.partitions import partition_of
from shared.messages.checkpoints import Checkpoint
from shared.messages.serialization import raw_json
from shared.messages.topics import CHECKPOINTS

LOOK_EVERY_S = 1.0


async def tell(
    producer: AIOKafkaProducer, trouble: Callable[[], str]
) -> None:
    """Publish what troubles the loader whenever it changes, until cancelled."""
    told: str | None = None
    while True:
        reason = trouble()
        if reason != told:
            with contextlib.suppress(TransientError):  # told later
                await _publish(producer, reason)
                told = reason
        await asyncio.sleep(LOOK_EVERY_S)


async def _publish(producer: AIOKafkaProducer, reason: str) -> None:
    partition = partition_of(TROUBLE)
    checkpoint = Checkpoint(
        stream=TROUBLE,
        cursor=raw_json({"reason": reason}),
        raw_partition=partition,
        raw_offset=-1,
    )
    await publishing.publish(
        producer,
        CHECKPOINTS,
        checkpoint,
        key=TROUBLE,
        service="loader",
        partition=partition,
    )
