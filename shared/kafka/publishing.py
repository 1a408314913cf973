"""Publishing, and waiting for the broker. Every failure is a TransientError."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.errors import TransientError
from shared.messages.base import Message
from shared.messages.headers import Headers, headers_for
from shared.messages.serialization import encode
from shared.messages.topics import Topic


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
