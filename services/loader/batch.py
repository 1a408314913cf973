"""The records of one poll, decoded and sorted by what they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from sqlalchemy import Connection

from services.loader.database import db_of, may_be_a_message
from services.loader.dead_letters import requeue
from services.loader.dead_letters.undecodable import Undecodable
from services.loader.pages.dead_letter_rows import (
    Occasion,
    insert_dead_letters,
)
from services.loader.pages.staged_page import StagedPage
from services.loader.runs import audit
from services.loader.runs.event_handlers import ReceivedMessage, apply
from shared.blame import UnprocessableError, is_to_blame, last_line
from shared.kafka.witness import Position
from shared.messages.base import Message
from shared.messages.commands import PublishReplay, RequeueDeadLetters
from shared.messages.serialization import (
    UndecodableError,
    command_decoder,
    decode,
    run_event_decoder,
)
from shared.messages.topics import (
    COMMANDS,
    CONFIGURATION,
    DEAD_LETTERS,
    UNIFIED,
    UNIFIED_REPLAY,
)
from shared.runtime import logs

Polled = dict[TopicPartition, list[Any]]
log = logs.get(__name__)


@dataclass
class Batch:
    """The records of one poll, decoded and sorted by what they are."""

    records: list[Any] = field(default_factory=list)  # as they came
    pages: list[StagedPage] = field(default_factory=list)
    replayed: list[StagedPage] = field(default_factory=list)
    messages: list[ReceivedMessage] = field(default_factory=list)
    dead_letters: list[Undecodable] = field(default_factory=list)
    outbox: list[Message] = field(
        default_factory=list
    )  # tasks that its commands ask for
    secret: str = ""  # of what is configured
    is_stored: bool = False
    is_done: asyncio.Event = field(
        default_factory=asyncio.Event
    )  # stored, or given up at a stop

    @classmethod
    def of(cls, polled: Polled, secret: str = "") -> Batch:
        """Decode records as aiokafka returns them. Blocks."""
        batch = cls(secret=secret)
        for records in polled.values():
            for record in records:
                batch._add(record)
        return batch

    @classmethod
    def given_up(cls, record: Any, error: Exception) -> Batch:
        """Of one record, which cannot be stored otherwise than as a dead letter."""
        batch = cls(records=[record])
        batch.dead_letters.append(Undecodable.of(record, error))
        return batch

    def _add(self, record: Any) -> None:
        self.records.append(record)
        try:
            self._sort_in(record)
        except Exception as error:
            if not is_to_blame(error):
                raise
            _log("message_undecodable", record, error)
            self.dead_letters.append(
                Undecodable.of(record, _explained(error))
            )

    def _sort_in(self, record: Any) -> None:
        match record.topic:
            case UNIFIED.name:
                self.pages.append(StagedPage.from_message(record.value))
            case UNIFIED_REPLAY.name:
                self.replayed.append(
                    StagedPage.from_message(record.value)
                )
            case DEAD_LETTERS.name:
                self.dead_letters.append(Undecodable.forwarded(record))
            case CONFIGURATION.name:
                self._add_message(
                    audit.configured(record.value, self.secret), record
                )
            case COMMANDS.name:
                self._add_message(
                    decode(command_decoder, record.value), record
                )
            case _:
                self._add_message(
                    decode(run_event_decoder, record.value), record
                )

    def _add_message(self, message: Any, record: Any) -> None:
        self.messages.append(
            ReceivedMessage(message, record.timestamp, record)
        )

    def run_ids(self) -> set[str]:
        """The runs that it says something about."""
        of_pages = {page.run_id for page in (*self.pages, *self.replayed)}
        return of_pages | {
            received.run_id
            for received in self.messages
            if received.run_id
        }

    def has_previews_to_publish(self) -> bool:
        return any(
            isinstance(received.message, PublishReplay)
            for received in self.messages
        )

    def apply_messages(self, transaction: Connection) -> None:
        """Store its commands, events and dead letters; fills `outbox`."""
        results = [
            _applied(transaction, received) for received in self.messages
        ]
        refused = [
            dead_letter
            for dead_letter in results
            if dead_letter is not None
        ]
        rows = [
            dead_letter.row()
            for dead_letter in (*self.dead_letters, *refused)
        ]
        insert_dead_letters(db_of(transaction), rows, Occasion.KNOWN)
        self.outbox = []
        for received in self.messages:
            if isinstance(received.message, RequeueDeadLetters):
                self.outbox += requeue.tasks(
                    transaction, received.message.run_id
                )


def _explained(error: Exception) -> Exception:
    """What is no UndecodableError as the last line of its traceback."""
    if isinstance(error, UndecodableError):
        return error
    return UnprocessableError(last_line(error))


def size_of(polled: Polled) -> int:
    """Bytes of messages."""
    return sum(
        len(record.value or b"")
        for records in polled.values()
        for record in records
    )


def bounded(polled: Polled, most: int) -> Iterator[Polled]:
    """The records of a poll in parts of at most so many bytes, or of one record."""
    part: Polled = {}
    size = 0
    for partition, records in polled.items():
        for record in records:
            length = len(record.value or b"")
            if part and size + length > most:
                yield part
                part, size = {}, 0
            part.setdefault(partition, []).append(record)
            size += length
    if part:
        yield part


def next_positions(polled: Polled) -> dict[TopicPartition, Position]:
    """What to commit when these records are stored."""
    return {
        partition: Position(records[-1].offset + 1, records[-1].timestamp)
        for partition, records in polled.items()
    }


def _applied(
    transaction: Connection, received: ReceivedMessage
) -> Undecodable | None:
    """Store one message.

    A dead letter instead when PostgreSQL refuses its content, so that it does not hold up others.
    """
    try:
        with transaction.begin_nested():
            apply(transaction, received)
    except Exception as error:
        if not may_be_a_message(error):
            raise
        cause = getattr(error, "orig", None) or error
        _log("message_refused", received.record, cause)
        return Undecodable.of(received.record, cause)
    return None


def _log(event: str, record: Any, error: Exception) -> None:
    log.error(
        event,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        error=str(error),
    )
