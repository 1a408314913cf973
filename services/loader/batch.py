"""The records of one poll, decoded and sorted by what they are."""

from __future__ import annotations

import threading
from typing import Any

import sqlalchemy.exc
from sqlalchemy import Connection

from services.loader.dead_letters.undecodable import Undecodable, forwarded
from services.loader.pages.copy_rows import StagedPage
from services.loader.runs import event_handlers
from services.loader.runs.event_handlers import Timed
from shared.messages.base import Message
from shared.messages.serialization import UndecodableError, command_decoder, decode, run_event_decoder
from shared.messages.topics import COMMANDS, DEAD_LETTERS, UNIFIED, UNIFIED_REPLAY
from shared.runtime import logs

log = logs.get(__name__)


class Batch:
    """Records of one poll, decoded and sorted by what they are."""

    def __init__(self, records: list[Any]) -> None:
        self.pages: list[StagedPage] = []
        self.replayed: list[StagedPage] = []
        self.messages: list[Timed] = []
        self.letters: list[Undecodable] = []
        self.outbox: list[Message] = []  # tasks that its commands ask for
        self.is_stored = False
        self.is_done = threading.Event()  # stored, or given up because the service stops
        for record in records:
            try:
                self._take(record)
            except UndecodableError as error:
                log.error("message_undecodable", topic=record.topic, partition=record.partition, offset=record.offset, error=str(error))
                self.letters.append(Undecodable.of(record, error))

    def _take(self, record: Any) -> None:
        if record.topic == UNIFIED.name:
            self.pages.append(StagedPage.from_message(record.value))
        elif record.topic == UNIFIED_REPLAY.name:
            self.replayed.append(StagedPage.from_message(record.value))
        elif record.topic == DEAD_LETTERS.name:
            self.letters.append(forwarded(record))
        else:
            decoder = command_decoder if record.topic == COMMANDS.name else run_event_decoder
            self.messages.append(Timed(decode(decoder, record.value), record.timestamp, record))

    def run_ids(self) -> set[str]:
        return {page.run_id for page in (*self.pages, *self.replayed)} | {timed.run_id for timed in self.messages if timed.run_id}


def _applied(transaction: Connection, timed: Timed) -> Undecodable | None:
    """Store one message; a dead letter instead when PostgreSQL refuses its content, so that it does not hold up the others."""
    try:
        with transaction.begin_nested():
            event_handlers.apply(transaction, [timed])
    except (sqlalchemy.exc.DataError, sqlalchemy.exc.IntegrityError, ValueError) as error:
        log.error(
            "message_refused",
            topic=timed.record.topic,
            partition=timed.record.partition,
            offset=timed.record.offset,
            error=str(getattr(error, "orig", error)),
        )
        return Undecodable.of(timed.record, getattr(error, "orig", None) or error)
    return None
