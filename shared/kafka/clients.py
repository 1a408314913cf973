"""Producers and consumers: acks=all, idempotent, no auto-commit, nothing skipped."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import aiokafka.consumer.consumer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import create_conn
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaError, SaslAuthenticationFailed

from shared.access import kafka_login
from shared.errors import ConfigError
from shared.messages.topics import MAX_MESSAGE_BYTES, layout
from shared.runtime import logs
from shared.runtime.lifecycle import sleep_or_stop

SESSION_TIMEOUT_MS = 10_000
# Of a partition at a time; a larger message comes all the same.
FETCH_BYTES = 2 * 1024 * 1024
# Of all partitions of a topic, where one member of a group has them.
FETCH_BYTES_TOGETHER = 6 * 1024 * 1024
# A consumer asks a broker for one thing at a time: while it waits for news of its empty partitions,
# it cannot be given more of one of which something lies ready. With nothing there it asks for all.
BUSY_MAX_WAIT_MS = 50
MAX_WAIT_MS = 500
DAY_MS = 24 * 3600 * 1000
log = logs.get(__name__)


class _Fetcher(Fetcher):  # type: ignore[misc]
    """Waits briefly while anything lies ready, and long where all partitions are asked for.

    A test watches the names.
    """

    @property
    def _fetch_max_wait_ms(self) -> int:
        longest_ms: int = self._longest_ms
        return (
            min(longest_ms, BUSY_MAX_WAIT_MS)
            if self._records
            else longest_ms
        )

    @_fetch_max_wait_ms.setter
    def _fetch_max_wait_ms(self, longest_ms: int) -> None:
        self._longest_ms = longest_ms


# Faust's consumers are made there too.
aiokafka.consumer.consumer.Fetcher = _Fetcher


def fetch_bytes() -> int:
    """Of a partition at a time, for a member of a group: what it holds has a bound."""
    return min(FETCH_BYTES, FETCH_BYTES_TOGETHER // layout.partitions)


def producer(bootstrap: str, client_id: str) -> AIOKafkaProducer:
    """An idempotent producer: a retry inside it cannot double or reorder messages."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        **kafka_login.options(),
        acks="all",
        enable_idempotence=True,
        max_request_size=MAX_MESSAGE_BYTES,
        max_batch_size=1024 * 1024,
        linger_ms=2,
        request_timeout_ms=20_000,
    )


def consumer(
    bootstrap: str,
    client_id: str,
    *,
    group: str | None,
    session_timeout_ms: int = SESSION_TIMEOUT_MS,
    **more: Any,
) -> AIOKafkaConsumer:
    """A consumer that commits only when told to. `group` None: partitions are assigned by hand.

    In a group nothing is ever skipped: a position that cannot be read is an error (see
    shared/kafka/gap_aware_consumer.py).
    """
    settings = {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest" if group is None else "none",
        "isolation_level": "read_committed",
        "session_timeout_ms": session_timeout_ms,
        "heartbeat_interval_ms": min(2_000, session_timeout_ms // 3),
        # A batch may wait long for PostgreSQL or a slow source; heartbeats go on meanwhile, and
        # watchdogs look for progress.
        "max_poll_interval_ms": DAY_MS,
        "rebalance_timeout_ms": 30_000,
        "max_partition_fetch_bytes": fetch_bytes()
        if group
        else FETCH_BYTES,
        "fetch_max_wait_ms": MAX_WAIT_MS,
        "metadata_max_age_ms": 15_000,  # how long a topic that was created again stays unseen
        **more,
    }
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        group_id=group,
        **kafka_login.options(),
        **settings,
    )


def admin(
    bootstrap: str, client_id: str = "crypto-ingest"
) -> AIOKafkaAdminClient:
    return AIOKafkaAdminClient(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        **kafka_login.options(),
    )


async def refuse_bad_login(bootstrap: str) -> None:
    """Raises ConfigError where a broker lets this client not in, which aiokafka keeps to itself."""
    for address in bootstrap.split(","):
        host, _, port = address.rpartition(":")
        try:
            connection = await create_conn(
                host, int(port), **kafka_login.options()
            )
        except SaslAuthenticationFailed as error:
            raise ConfigError(
                f"KAFKA_USERNAME or KAFKA_PASSWORD: Kafka refuses them: {error}"
            ) from error
        except ssl.SSLError as error:
            raise ConfigError(
                f"KAFKA_CA_FILE, KAFKA_CERT_FILE: no TLS with {address}: {error}"
            ) from error
        except (KafkaError, OSError):
            continue
        connection.close()


async def start(client: Any, stop: asyncio.Event, what: str) -> bool:
    """Start a producer or consumer, waiting for the broker as long as it takes.

    False when stopped first.
    """
    is_logged = False
    while not stop.is_set():
        try:
            await client.start()
        except (KafkaError, OSError) as error:
            if not is_logged:
                log.warning(
                    "waiting_for_kafka", client=what, error=str(error)
                )
                is_logged = True
            await sleep_or_stop(stop, 1)
        else:
            return True
    return False


class KafkaClient:
    """A producer or consumer of aiokafka as a part of a service (shared.runtime.lifecycle.Part)."""

    def __init__(
        self, client: AIOKafkaProducer | AIOKafkaConsumer
    ) -> None:
        self._client = client

    async def start(self, stop: asyncio.Event) -> bool:
        return await start(
            self._client, stop, type(self._client).__name__
        )

    async def close(self) -> None:
        await self._client.stop()
