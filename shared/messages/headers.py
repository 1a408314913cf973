"""Headers of messages: CloudEvents names, the origin of dead letters, the first position of pages.

Messages that belong to no page go to ingest.dead-letters as they are; their origin stands in the
headers that Kafka Connect uses and Kafka UIs know.

A raw page that is published a second time, for a repair or a requeue, is marked, so that nobody
takes it for a stream's newest page. It carries where and when its records first lay in ingest.raw,
so that they never overwrite what is newer.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.messages.base import (
    MAX_PAYLOAD,
    SCHEMA_VERSION,
    Message,
    Stage,
)

Headers = list[tuple[str, bytes]]
_ORIGIN = "__connect.errors."
_ASKED_BY = "asked_by"
MAX_NAMED = 200  # bytes
_REPUBLISHED = "republished"
_FIRST_OFFSET = "first_offset"
_FIRST_TIME = "first_time_ms"
MAX_DIGITS = 15
MAX_FORWARDED = 7 << 20  # with its headers less than what a topic takes
_OF_REPUBLISHED = (_REPUBLISHED, _FIRST_OFFSET, _FIRST_TIME)


def headers_for(
    message: Message,
    service: str,
    *,
    event_id: str | None = None,
    run_id: str | None = None,
    asked_by: str | None = None,
) -> Headers:
    """The CloudEvents names (`ce_*`), `schema_version`, `run_id` and `traceparent` of a message.

    `asked_by`: who asks for what a command asks: the name of a key, or of a schedule.
    """
    run = run_id or getattr(message, "run_id", None)
    pairs = {
        "ce_specversion": "1.0",
        "ce_id": event_id or str(uuid.uuid4()),
        "ce_type": type(message).__name__,
        "ce_source": f"/services/{service}",
        "ce_time": datetime.now(UTC).isoformat(),
        "schema_version": str(SCHEMA_VERSION),
    }
    if run:
        pairs |= {"traceparent": trace_parent(run), "run_id": run}
    if asked_by:
        pairs[_ASKED_BY] = asked_by
    return [(name, value.encode()) for name, value in pairs.items()]


def asked_by(headers: Headers) -> str | None:
    """Who asked for what a command asks; None where nobody is named."""
    for name, value in headers:
        if name == _ASKED_BY:
            text = value[:MAX_NAMED].decode("utf-8", "replace")
            return text.replace("\x00", "\ufffd")
    return None


def trace_parent(run_id: str) -> str:
    """A W3C traceparent whose trace id is the run's id, so that one run is one trace."""
    return f"00-{uuid.UUID(run_id).hex}-{uuid.uuid4().hex[:16]}-01"


def origin_headers(
    topic: str,
    partition: int,
    offset: int,
    error: Exception,
    stage: Stage,
) -> Headers:
    """Where a message lay and why it could not be processed."""
    pairs = {
        f"{_ORIGIN}topic": topic,
        f"{_ORIGIN}partition": partition,
        f"{_ORIGIN}offset": offset,
        f"{_ORIGIN}exception.class.name": type(error).__name__,
        f"{_ORIGIN}exception.message": str(error),
        "stage": stage,
    }
    return [
        (name, str(value).encode("utf-8", "replace"))
        for name, value in pairs.items()
    ]


def fitting(value: bytes | None) -> bytes:
    """The value of a dead letter: of one that no topic takes its beginning."""
    whole = value or b""
    return whole if len(whole) <= MAX_FORWARDED else whole[:MAX_PAYLOAD]


def read_origin(headers: Headers) -> dict[str, str]:
    """`topic`, `partition`, `offset`, `exception.message`, `stage` …, as far as they are there."""
    return {
        name.removeprefix(_ORIGIN): (value or b"").decode(
            "utf-8", "replace"
        )
        for name, value in headers
    }


@dataclass(frozen=True)
class BrokerPosition:
    """Where a page lies in its partition, and the broker's time of it."""

    offset: int
    time_ms: int


def republished_headers(
    headers: Headers, first: BrokerPosition | None
) -> Headers:
    """Headers of a page that is published again.

    `first`: its first position; None where it was read again from its source.
    """
    kept = [
        (name, value)
        for name, value in headers
        if name not in _OF_REPUBLISHED
    ]
    kept.append((_REPUBLISHED, b"1"))
    if first is not None:
        kept.append((_FIRST_OFFSET, str(first.offset).encode()))
        kept.append((_FIRST_TIME, str(first.time_ms).encode()))
    return kept


def is_republished(headers: Any) -> bool:
    """Whether a raw page was published before, or stands in for one that was.

    `headers`: as aiokafka or Faust give them.
    """
    return _REPUBLISHED in dict(headers or ())


def first_position(headers: Any, here: BrokerPosition) -> BrokerPosition:
    """Where a raw page first lay: `here`, unless its headers say otherwise."""
    known = dict(headers or ())
    offset = _whole(known.get(_FIRST_OFFSET))
    time_ms = _whole(known.get(_FIRST_TIME))
    if offset is None or time_ms is None:
        return here
    return BrokerPosition(offset, time_ms)


def _whole(text: bytes | None) -> int | None:
    """A number that PostgreSQL can hold; headers may say anything."""
    if not text or not text.isdigit() or len(text) > MAX_DIGITS:
        return None
    return int(text)


def first_position_of(record: Any) -> BrokerPosition:
    """As `first_position`, of a record of ingest.raw as aiokafka gives it."""
    return first_position(
        record.headers, BrokerPosition(record.offset, record.timestamp)
    )
