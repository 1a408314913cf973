"""aiokafka with its unsafe defaults set: acks=all, idempotent, no auto-commit, nothing skipped."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.messages.topics import MAX_MESSAGE_BYTES
from shared.runtime import logs
from shared.runtime.lifecycle import sleep_or_stop

SESSION_TIMEOUT_MS = 10_000
FETCH_BYTES = 2 * 1024 * 1024  # of a partition at a time; a larger message comes all the same, alone


# A consumer of pages asks a broker for one thing at a time: while it waits for news of its empty partitions, it cannot be
# given more of a busy one.
PAGES_MAX_WAIT_MS = 50
log = logs.get(__name__)


def producer(bootstrap: str, client_id: str) -> AIOKafkaProducer:
    """An idempotent producer: a retry inside it cannot double or reorder messages."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap, client_id=client_id, acks="all", enable_idempotence=True,
        max_request_size=MAX_MESSAGE_BYTES, max_batch_size=1024 * 1024, linger_ms=2, request_timeout_ms=20_000,
    )  # fmt: skip


def consumer(
    bootstrap: str,
    client_id: str,
    *,
    group: str | None,
    session_timeout_ms: int = SESSION_TIMEOUT_MS,
    **more: Any,
) -> AIOKafkaConsumer:
    """A consumer that commits only when told to. `group` None: partitions are assigned by hand.

    In a group nothing is ever skipped: a position that cannot be read is an error (see shared/gaps.py).
    """
    settings = {
        "enable_auto_commit": False, "auto_offset_reset": "earliest" if group is None else "none", "isolation_level": "read_committed",
        "session_timeout_ms": session_timeout_ms, "heartbeat_interval_ms": min(2_000, session_timeout_ms // 3),
        # A batch may wait long for PostgreSQL or a slow source; heartbeats go on meanwhile, watchdogs look for progress.
        "max_poll_interval_ms": 24 * 3600 * 1000, "rebalance_timeout_ms": 30_000,
        "max_partition_fetch_bytes": FETCH_BYTES, "fetch_max_wait_ms": 500,
        "metadata_max_age_ms": 15_000,  # how long a topic that was created again stays unseen
        **more,
    }  # fmt: skip
    return AIOKafkaConsumer(bootstrap_servers=bootstrap, client_id=client_id, group_id=group, **settings)


async def start(client: Any, stop: asyncio.Event, what: str) -> bool:
    """Start a producer or consumer, waiting for the broker as long as it takes. False when stopped first."""
    said = False
    while not stop.is_set():
        try:
            await client.start()
        except (KafkaError, OSError) as error:
            if not said:
                log.warning("waiting_for_kafka", client=what, error=str(error))
                said = True
            await sleep_or_stop(stop, 1)
        else:
            return True
    return False
