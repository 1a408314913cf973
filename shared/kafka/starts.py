"""Starts after an end that nobody asked for, told on ingest.checkpoints."""

from __future__ import annotations

import os
import socket
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer

from shared.kafka import publishing
from shared.kafka.partitions import partition_of
from shared.messages.checkpoints import Checkpoint, Started
from shared.messages.serialization import raw_json
from shared.messages.topics import CHECKPOINTS

STARTED = "@started"
WINDOW_MS = 600_000
MANY = 5  # starts of one instance within the window


async def announce(
    producer: AIOKafkaProducer, service: str, health_file: str | None
) -> None:
    """Tell that this instance was started again. Raises TransientError."""
    name = f"{service}/{STARTED}"
    partition = partition_of(name)
    started = Checkpoint(
        stream=name,
        cursor=raw_json(Started(instance=instance_name(health_file))),
        raw_partition=partition,
        raw_offset=-1,
    )
    await publishing.publish(
        producer,
        CHECKPOINTS,
        started,
        key=name,
        service=service,
        partition=partition,
    )


def instance_name(health_file: str | None) -> str:
    """The same after a restart: the container, natively the place of the health file."""
    own = Path(health_file).stem if health_file else str(os.getpid())
    return f"{socket.gethostname()[:100]}/{own[:100]}"


class Starts:
    """The starts that were told, by service and instance. Pure."""

    def __init__(self) -> None:
        self._times: defaultdict[tuple[str, str], deque[int]] = (
            defaultdict(lambda: deque(maxlen=MANY))
        )

    def saw(self, stream: str, cursor: bytes, time_ms: int) -> None:
        """`time_ms`: the broker's."""
        started = msgspec.json.decode(cursor, type=Started)
        service = stream.partition("/")[0]
        self._times[service, started.instance].append(time_ms)

    def reasons(self, now_ms: int) -> Iterator[str]:
        """Who starts again and again, as a code and a sentence."""
        for (service, instance), times in self._times.items():
            is_often = len(times) == MANY
            if is_often and times[0] > now_ms - WINDOW_MS:
                minutes = WINDOW_MS // 60_000
                yield (
                    f"restarts: the {service} {instance} was started {MANY} times or more in "
                    f"{minutes} minutes"
                )
