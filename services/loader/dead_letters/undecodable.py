"""Dead letters of messages that belong to no page: undecodable or foreign."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from services.loader.pages.dead_letter_rows import Letter
from shared.identity.ids import dead_letter_id
from shared.messages.base import MAX_PAYLOAD, Stage
from shared.messages.headers import read_origin

MAX_MESSAGE = 2000  # characters of a reason
MAX_NAME = 200
MAX_PARTITION_DIGITS = 9
MAX_OFFSET_DIGITS = 18


@dataclass(frozen=True)
class Undecodable:
    """A message as it lay in its topic, and why it could not be processed."""

    topic: str
    partition: int
    offset: int
    stage: str
    message: str
    value: bytes

    @classmethod
    def of(cls, record: Any, error: Exception) -> Undecodable:
        """A record of Kafka that could not be loaded."""
        at = (record.topic, record.partition, record.offset)
        return cls(*at, Stage.LOAD, str(error), record.value or b"")

    @classmethod
    def forwarded(cls, record: Any) -> Undecodable:
        """A message that another service put on ingest.dead-letters."""
        origin = read_origin(record.headers)
        return cls(
            _said(origin, "topic", record.topic),
            _number(origin.get("partition", ""), record.partition),
            _number(
                origin.get("offset", ""), record.offset, MAX_OFFSET_DIGITS
            ),
            _said(origin, "stage", str(Stage.MAP)),
            origin.get("exception.message", "no reason given"),
            record.value or b"",
        )

    def row(self) -> Letter:
        """For `insert_dead_letters`."""
        shown = self.value[:MAX_PAYLOAD].decode(
            "utf-8", "backslashreplace"
        )
        digest = hashlib.sha256(self.value).hexdigest()
        place = f"{self.partition}:{self.offset}"
        return Letter(
            id=dead_letter_id(self.topic, place, self.stage),
            page_id=None,
            run_id=None,
            source=None,
            stream=None,
            stage=self.stage,
            reason="undecodable",
            message=_without_nul(self.message)[:MAX_MESSAGE],
            field=None,
            record_index=None,
            origin=None,
            payload=_without_nul(shown),
            payload_sha256=digest,
            number=1,
            topic=self.topic,
            partition=self.partition,
            offset=self.offset,
        )


def _number(
    text: str, default: int, digits: int = MAX_PARTITION_DIGITS
) -> int:
    is_number = text.isascii() and text.isdigit()
    return int(text) if is_number and len(text) <= digits else default


def _said(origin: dict[str, str], name: str, default: str) -> str:
    """A name from a header, which may say anything."""
    text = origin.get(name, default)
    return _without_nul(text)[:MAX_NAME] or default


def _without_nul(text: str) -> str:
    """PostgreSQL stores no NUL in a text."""
    return text.replace("\x00", "\\x00")
