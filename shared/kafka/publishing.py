"""Publishing, and waiting for the broker. Every failure is a TransientError.

But for a message that is larger than the broker takes: a TaskError `limit_exceeded`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shared.errors import TaskError, TransientError
from shared.messages.base import Message
from shared.messages.headers import Headers, fitting, headers_for
from shared.messages.serialization import encode
from shared.messages.topics import DEAD_LETTERS, Topic


@contextmanager
def _acknowledged(what: str, topic: str) -> Iterator[None]:
    try:
        yield
    except MessageSizeTooLargeError as error:
        # It would be too large the next time too.
        message = f"{what} is larger than what {topic} takes"
        raise TaskError("limit_exceeded", message) from error
    except (KafkaError, OSError) as error:
        raise TransientError(
            f"Kafka did not acknowledge {what} on {topic}: {error!r}"
        ) from error


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
    asked_by: str | None = None,
) -> Any:
    """Publish one message and wait for the broker. Raises TransientError.

    Returns the broker's metadata (partition, offset, timestamp).
    """
    headers = headers_for(
        message,
        service,
        event_id=event_id,
        run_id=run_id,
        asked_by=asked_by,
    )
    with _acknowledged(type(message).__name__, topic.name):
        return await client.send_and_wait(
            topic.name,
            encode(message),
            key=key.encode(),
            partition=partition,
            headers=headers,
        )


async def publish_batch(
    client: AIOKafkaProducer,
    topic: Topic,
    messages: Sequence[tuple[str, Message]],
    *,
    key: str,
    service: str,
    partition: int,
) -> tuple[int, int | None]:
    """Publish (event id, message) pairs in order and wait for the broker. Raises TransientError.

    They travel as one batch, which the broker appends whole or not at all; as several, one after
    the other, where one cannot hold them. Returns the offset of the last, and the broker's time of
    it in ms: None where the broker does not tell, of a batch that it had already.
    """
    rest = list(messages)
    last, time_ms = -1, None
    with _acknowledged("pages", topic.name):
        while rest:
            batch = client.create_batch()
            count = _fill(batch, rest, key.encode(), service)
            batch.close()
            sent = await client.send_batch(
                batch, topic.name, partition=partition
            )
            told = await sent
            last = told.offset + count - 1
            time_ms = told.timestamp if told.timestamp_type == 1 else None
            rest = rest[count:]
    return last, time_ms


def _fill(
    batch: Any,
    messages: Sequence[tuple[str, Message]],
    key: bytes,
    service: str,
) -> int:
    """Append messages until the batch is full; returns how many."""
    for count, (event_id, message) in enumerate(messages):
        headers = headers_for(message, service, event_id=event_id)
        appended = batch.append(
            key=key,
            value=encode(message),
            timestamp=None,
            headers=headers,
        )
        if appended is None:
            return count
    return len(messages)


async def send(
    client: AIOKafkaProducer,
    topic: str,
    value: bytes | None,
    *,
    key: bytes | None,
    headers: Headers,
    partition: int | None = None,
) -> None:
    """Publish bytes and wait for the broker. Raises TransientError."""
    with _acknowledged("a message", topic):
        await client.send_and_wait(
            topic, value, key=key, headers=headers, partition=partition
        )


async def forward(
    client: AIOKafkaProducer,
    topic: str,
    record: Any,
    headers: Headers,
    *,
    partition: int | None = None,
) -> None:
    """Publish a record's bytes as they are, with other headers. Raises TransientError.

    As a dead letter the beginning of one that no topic takes.
    """
    await send(
        client,
        topic,
        _value_for(topic, record),
        key=record.key,
        headers=headers,
        partition=partition,
    )


def _value_for(topic: str, record: Any) -> bytes | None:
    is_dead_letter = topic == DEAD_LETTERS.name
    return fitting(record.value) if is_dead_letter else record.value
