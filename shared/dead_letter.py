"""Messages that belong to no page (undecodable, foreign) go to ingest.dead-letters as they are, with their origin in the
headers that Kafka Connect uses and Kafka UIs know. The loader reads the topic into the table `dead_letters`."""

from __future__ import annotations

from shared.events import Stage
from shared.serialization import Headers

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
