"""Headers of messages: CloudEvents names, the origin of dead letters, the first place of raw pages.

Messages that belong to no page go to ingest.dead-letters as they are; their origin stands in the
headers that Kafka Connect uses and Kafka UIs know.

A raw page that is published a second time, for a repair or a requeue, is marked, so that nobody takes
it for a stream's newest page. It carries where and when its records first lay in ingest.raw, so that
they never overwrite what is newer.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.messages.base import SCHEMA_VERSION, Message, Stage

Headers = list[tuple[str, bytes]]


def headers_for(message: Message, service: str, *, event_id: str | None = None, run_id: str | None = None) -> Headers:
    """The CloudEvents names (`ce_*`), `schema_version`, `run_id` and `traceparent` for a message."""
    run = run_id or getattr(message, "run_id", None)
    pairs = {
        "ce_specversion": "1.0",
        "ce_id": event_id or str(uuid.uuid4()),
        "ce_type": type(message).__name__,
        "ce_source": f"/services/{service}",
        "ce_time": datetime.now(UTC).isoformat(),
        "schema_version": str(SCHEMA_VERSION),
        "traceparent": trace_parent(run) if run else None,
        "run_id": run,
    }
    return [(name, value.encode()) for name, value in pairs.items() if value is not None]


def trace_parent(run_id: str) -> str:
    """A W3C traceparent whose trace id is the run's id, so that one run is one trace."""
    return f"00-{uuid.UUID(run_id).hex}-{uuid.uuid4().hex[:16]}-01"


_PREFIX = "__connect.errors."


def origin_headers(topic: str, partition: int, offset: int, error: Exception, stage: Stage) -> Headers:
    """Where a message lay and why it could not be processed."""
    pairs = {
        f"{_PREFIX}topic": topic, f"{_PREFIX}partition": partition, f"{_PREFIX}offset": offset,
        f"{_PREFIX}exception.class.name": type(error).__name__, f"{_PREFIX}exception.message": str(error), "stage": stage,
    }  # fmt: skip
    return [(name, str(value).encode("utf-8", "replace")) for name, value in pairs.items()]


def read_headers(headers: Headers) -> dict[str, str]:
    """`topic`, `partition`, `offset`, `exception.message`, `stage` …, as far as they are there."""
    return {name.removeprefix(_PREFIX): (value or b"").decode("utf-8", "replace") for name, value in headers}


_MARK, _OFFSET, _TIME = "republished", "first_offset", "first_time_ms"


@dataclass(frozen=True)
class Place:
    """Where a page first lay in its partition, and the broker's time of it."""

    offset: int
    time_ms: int


def marked(headers: Headers, first: Place | None) -> Headers:
    """Headers of a page that is published again. `first` None: it was read anew from its source."""
    kept = [(name, value) for name, value in headers if name not in (_MARK, _OFFSET, _TIME)]
    place = [] if first is None else [(_OFFSET, str(first.offset).encode()), (_TIME, str(first.time_ms).encode())]
    return [*kept, (_MARK, b"1"), *place]


def is_republished(headers: Any) -> bool:
    """Whether a raw page is one that was published before or stands in for one. `headers` as aiokafka or Faust give them."""
    return _MARK in dict(headers or ())


def place_of(headers: Any, here: Place) -> Place:
    """Where a raw page first lay: `here`, unless its headers say otherwise."""
    known = dict(headers or ())
    offset, time = known.get(_OFFSET) or b"", known.get(_TIME) or b""
    return Place(int(offset), int(time)) if offset.isdigit() and time.isdigit() else here
