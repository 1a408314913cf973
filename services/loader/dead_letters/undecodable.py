"""Dead letters of messages that belong to no page: undecodable or foreign."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from shared.messages.base import MAX_PAYLOAD, Stage
from shared.messages.headers import read_headers
from shared.messages.identity import dead_letter_id


@dataclass(frozen=True)
class Undecodable:
    """A message as it lay in its topic."""

    topic: str
    partition: int
    offset: int
    stage: str
    message: str
    value: bytes

    @classmethod
    def of(cls, record: Any, error: Exception) -> Undecodable:
        return cls(record.topic, record.partition, record.offset, Stage.LOAD, str(error), record.value or b"")

    def row(self) -> tuple[Any, ...]:
        """A row for store.insert_dead_letters."""
        shown = self.value[:MAX_PAYLOAD].decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
        digest = hashlib.sha256(self.value).hexdigest()
        identity = dead_letter_id(self.topic, f"{self.partition}:{self.offset}", self.stage)
        message = self.message.replace("\x00", "\\x00")[:2000]
        return (
            identity,
            None,
            None,
            None,
            None,
            self.stage,
            "undecodable",
            message,
            None,
            None,
            None,
            shown,
            digest,
            1,
            self.topic,
            self.partition,
            self.offset,
        )


def forwarded(record: Any) -> Undecodable:
    """A message that another service put on ingest.dead-letters."""
    headers = read_headers(record.headers)

    def number(name: str, default: int) -> int:
        return int(headers[name]) if headers.get(name, "").isdigit() else default

    return Undecodable(
        headers.get("topic", record.topic), number("partition", record.partition), number("offset", record.offset),
        headers.get("stage", str(Stage.MAP)), headers.get("exception.message", "no reason given"), record.value or b"",
    )  # fmt: skip
