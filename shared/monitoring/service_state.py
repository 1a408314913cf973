"""How an instance of a service is, told on ingest.services for the gateways to show."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from typing import Annotated

import msgspec
from aiokafka import AIOKafkaProducer

from shared import __version__
from shared.errors import TransientError
from shared.kafka import publishing
from shared.messages.base import Message, Millis, Name, Total
from shared.messages.topics import SERVICES
from shared.monitoring import metrics
from shared.runtime import memory
from shared.runtime.health import Health

TOLD_EVERY_S = 5.0
LOOK_EVERY_S = 1.0
STARTED_AT = time.time()
Short = Annotated[
    str,
    msgspec.Meta(max_length=100, pattern="^[^\\x00-\\x1f\\x7f-\\x9f]*$"),
]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e12)]


class ServiceState(Message, frozen=True, tag="ServiceState"):
    """Of one instance, at the broker's time of the message.

    `records` and `cpu_seconds` count from its start on.
    """

    service: Short
    instance: Short
    version: Short
    started_at: Millis
    ready: bool
    reason: Name
    records: Total
    memory_bytes: Total
    cpu_seconds: Seconds
    waiting: Total | None = None  # messages that wait for it and its like


service_state_decoder = msgspec.json.Decoder(ServiceState)


def state_of(service: str, instance: str, health: Health) -> ServiceState:
    """How this process is now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    known = health.state
    return ServiceState(
        service=service,
        instance=instance,
        version=__version__,
        started_at=round(STARTED_AT * 1000),
        ready=bool(known["ready"]),
        reason=str(known["reason"]),
        records=metrics.counted_records(),
        memory_bytes=memory.resident(),
        cpu_seconds=round(used.ru_utime + used.ru_stime, 3),
        waiting=known.get("lag"),
    )


async def tell(
    producer: AIOKafkaProducer,
    service: str,
    instance: str,
    health: Health,
) -> None:
    """Publish how this process is, until cancelled: now and then, and when it gets ready or ill."""
    told: tuple[bool, str] | None = None
    told_at = 0.0
    while True:
        state = state_of(service, instance, health)
        how = (state.ready, state.reason)
        if how != told or time.monotonic() >= told_at + TOLD_EVERY_S:
            told, told_at = how, time.monotonic()
            await _publish(producer, state)
        await asyncio.sleep(LOOK_EVERY_S)


async def _publish(
    producer: AIOKafkaProducer, state: ServiceState
) -> None:
    # One that is not told is followed by the next.
    with contextlib.suppress(TransientError):
        await publishing.publish(
            producer,
            SERVICES,
            state,
            key=state.instance,
            service=state.service,
        )
