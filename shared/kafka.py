"""aiokafka with its unsafe defaults set: acks=all, idempotent, no auto-commit, nothing skipped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.partitioner import DefaultPartitioner

from shared import logs
from shared.errors import ConfigError, TransientError
from shared.events import Message, Source
from shared.lifecycle import sleep_or_stop
from shared.serialization import Headers, encode, headers_for
from shared.tasks import ReplayPages, Task
from shared.topics import MAX_MESSAGE_BYTES, PARTITIONS, REPLAY_TASKS, TASKS, TOPICS, Topic

SESSION_TIMEOUT_MS = 10_000
READ_TIMEOUT_S = 20.0
FETCH_BYTES = 2 * 1024 * 1024  # of a partition at a time; a larger message comes all the same, alone
# A consumer of pages asks a broker for one thing at a time: while it waits for news of its empty partitions, it cannot be
# given more of a busy one.
PAGES_MAX_WAIT_MS = 50
log = logs.get(__name__)
_partitioner = DefaultPartitioner()
_ALL_PARTITIONS = list(range(PARTITIONS))
_SHARING = frozenset(str(source) for source in Source if source.shares_call_budget)


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


def partition_of(stream: str) -> int:
    """The partition of a stream on every topic along its path.

    Streams of a source with a call budget share one: the extractor that holds it counts the calls.
    """
    source = stream.partition("/")[0]
    key = source if source in _SHARING else stream
    return int(_partitioner(key.encode(), _ALL_PARTITIONS, _ALL_PARTITIONS))


def place_of_task(task: Task) -> tuple[Topic, int]:
    """The topic of a task, and its partition there: that of its stream, or of the pages that it replays."""
    return (REPLAY_TASKS, task.partition) if isinstance(task, ReplayPages) else (TASKS, partition_of(task.stream))


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


async def publish(
    client: AIOKafkaProducer,
    topic: Topic,
    message: Message,
    *,
    key: str,
    service: str,
    partition: int | None = None,
    event_id: str | None = None,
    run_id: str | None = None,
) -> Any:
    """Publish one message and wait for the broker; returns its metadata (partition, offset). Raises TransientError."""
    try:
        return await client.send_and_wait(
            topic.name,
            encode(message),
            key=key.encode(),
            partition=partition,
            headers=headers_for(message, service, event_id=event_id, run_id=run_id),
        )
    except (KafkaError, OSError) as error:
        raise TransientError(f"Kafka did not acknowledge {type(message).__name__} on {topic.name}: {error!r}") from error


async def publish_batch(
    client: AIOKafkaProducer, topic: Topic, messages: Sequence[tuple[str, Message]], *, key: str, service: str, partition: int
) -> int:
    """Publish messages, each with its event id, in order and wait for the broker; returns the offset of the last.

    They travel as one batch, which the broker appends whole or not at all; as several, one after the other, where one
    cannot hold them. Raises TransientError.
    """
    rest = list(messages)
    last = -1
    try:
        while rest:
            batch = client.create_batch()
            count = 0
            for event_id, message in rest:
                headers = headers_for(message, service, event_id=event_id)
                if batch.append(key=key.encode(), value=encode(message), timestamp=None, headers=headers) is None:
                    break
                count += 1
            batch.close()
            metadata = await (await client.send_batch(batch, topic.name, partition=partition))
            last = metadata.offset + count - 1
            rest = rest[count:]
    except (KafkaError, OSError) as error:
        raise TransientError(f"Kafka did not acknowledge pages on {topic.name}: {error!r}") from error
    return last


async def send(
    client: AIOKafkaProducer, topic: str, value: bytes | None, *, key: bytes | None, headers: Headers, partition: int | None = None
) -> None:
    """Publish bytes and wait for the broker; raises TransientError."""
    try:
        await client.send_and_wait(topic, value, key=key, headers=headers, partition=partition)
    except (KafkaError, OSError) as error:
        raise TransientError(f"Kafka did not acknowledge a message on {topic}: {error!r}") from error


async def forward(client: AIOKafkaProducer, topic: str, record: Any, headers: Headers, *, partition: int | None = None) -> None:
    """Publish a record's bytes as they are, with other headers; raises TransientError."""
    await send(client, topic, record.value, key=record.key, headers=headers, partition=partition)


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


async def ensure_topics(bootstrap: str, topics: Iterable[Topic] = TOPICS) -> list[str]:
    """Create missing topics; returns their names. A topic with another partition count is refused (ConfigError)."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id="migration")
    try:
        await admin.start()
        present = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in present]
        if missing:
            await _create(admin, missing)
        await _check(admin, [topic for topic in topics if topic.name in present])
    except (KafkaError, OSError) as error:
        raise TransientError(f"Kafka at {bootstrap}: {error!r}") from error
    finally:
        await admin.close()
    return [topic.name for topic in missing]


async def _create(admin: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    response = await admin.create_topics([NewTopic(t.name, t.partitions, 1, topic_configs=t.broker_config()) for t in topics])
    for name, code, *rest in response.topic_errors:
        # Another instance may have created it a moment ago; _check of the next start looks at it.
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise for_code(code)(f"{name}: {rest}")


async def _check(admin: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    for found in await admin.describe_topics([topic.name for topic in topics]) if topics else []:
        wanted = next(topic for topic in topics if topic.name == found["topic"])
        count = len(found["partitions"])
        if count != wanted.partitions:
            raise ConfigError(
                f"topic {wanted.name} has {count} partitions and must have {wanted.partitions}: a stream would change its partition. "
                "Delete the topic; the migration step creates it with the right count, and what is missing is read again."
            )


async def topics_exist(bootstrap: str) -> bool:
    """Whether the migration step has created every topic. Raises ConfigError for one with another number of partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        present = set(await admin.list_topics())
        if not {topic.name for topic in TOPICS} <= present:
            return False
        await _check(admin, list(TOPICS))
    except (KafkaError, OSError):
        return False
    else:
        return True
    finally:
        await admin.close()


async def wait_for_topics(bootstrap: str, stop: asyncio.Event) -> None:
    """Wait until the broker answers and the migration step is through. Raises ConfigError for a wrong number of partitions."""
    said = False
    while not stop.is_set() and not await topics_exist(bootstrap):
        if not said:
            log.warning("waiting_for_topics", kafka=bootstrap, hint="the migration step creates them")
            said = True
        await sleep_or_stop(stop, 1)


__all__ = [
    "TopicPartition",
    "between",
    "consumer",
    "ensure_topics",
    "forward",
    "partition_of",
    "producer",
    "publish",
    "publish_batch",
    "send",
    "start",
    "topics_exist",
    "wait_for_topics",
]
