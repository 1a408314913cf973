"""Reads what is to be stored, stores each batch in one transaction, and commits the Kafka offsets after it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import Any

import psycopg2
import psycopg2.errors
import sqlalchemy.exc
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from sqlalchemy import Connection, Engine

from services.loader import letters, positions, replays, runs
from services.loader.caretaker import Caretaker, publish_tasks
from services.loader.dead_letters import Undecodable, forwarded
from services.loader.letter_rows import insert_dead_letters
from services.loader.runs import Timed
from services.loader.staging import StagedPage
from services.loader.store import cursor_of, write_pages
from shared import logs
from shared.commands import PublishReplay, RequeueDeadLetters
from shared.errors import TransientError
from shared.events import Message
from shared.gaps import Reader, publisher
from shared.kafka import TopicPartition
from shared.lifecycle import sleep_or_stop
from shared.serialization import UndecodableError, command_decoder, decode, run_event_decoder
from shared.topics import COMMANDS, DEAD_LETTERS, LOADER_GROUP, RUN_EVENTS, UNIFIED, UNIFIED_REPLAY

SUBSCRIBED = (UNIFIED, UNIFIED_REPLAY, RUN_EVENTS, COMMANDS, DEAD_LETTERS)
# The database is away, busy or in conflict: the same batch is tried again, as often as it takes.
# (Deadlocks, serialization failures, a full disk and a shutdown are OperationalErrors too.)
# So is a session that the server ended because its batch had to wait too long for its turn.
AWAY = (
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
    psycopg2.errors.IdleInTransactionSessionTimeout,
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
)
MAX_LOADING = 2  # batches between decoding and commit
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
            runs.apply(transaction, [timed])
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


class Loader:
    """The loop. Blocking work runs in a thread, so that heartbeats go on however long PostgreSQL takes."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        engine: Engine,
        *,
        batch_pages: int,
        caretaker: Caretaker,
    ) -> None:
        self._consumer, self._producer, self._engine, self._caretaker, self._batch_pages = (
            consumer,
            producer,
            engine,
            caretaker,
            batch_pages,
        )
        self._reader = Reader(consumer, LOADER_GROUP, publisher(producer, "loader"), self._remembered)
        self._refused: set[object] = set()  # work that the database did not take so far
        self.is_publishing = False  # a preview, which may take longer than any batch

    @property
    def trouble(self) -> str:
        """Why nothing may move for now; empty when all is well."""
        return "PostgreSQL is away" if self._refused else ""

    async def run(self, stop: asyncio.Event) -> None:
        """Three batches at a time: one is decoded, one copied into temporary tables, one written. They are stored in order."""
        loading: deque[asyncio.Task[None]] = deque()
        before: Batch | None = None
        try:
            while not stop.is_set():
                while loading and loading[0].done():
                    await loading.popleft()  # an unexpected error ends the service at once
                # While batches are on their way, look again soon: the last of them may end a run.
                is_busy = bool(loading) or self._caretaker.has_touched()
                polled = await self._reader.getmany(timeout_ms=20 if is_busy else 200, max_records=self._batch_pages)
                if polled:
                    batch = await asyncio.to_thread(Batch, [record for records in polled.values() for record in records])
                    if len(loading) == MAX_LOADING:
                        await loading.popleft()
                    offsets = {partition: records[-1].offset + 1 for partition, records in polled.items()}
                    loading.append(asyncio.create_task(self._load(batch, offsets, before, stop)))
                    before = batch
                is_idle = not polled and not loading
                await self._until_stored(lambda: self._caretaker.evaluate(is_idle=is_idle), stop)  # noqa: B023  called before the next turn
        finally:
            await asyncio.gather(*loading)

    async def _load(self, batch: Batch, offsets: dict[TopicPartition, int], before: Batch | None, stop: asyncio.Event) -> None:
        """Store a batch, then commit its offsets: never before those of the batch `before` it."""
        try:
            self.is_publishing |= any(isinstance(timed.message, PublishReplay) for timed in batch.messages)
            stored = await self._until_stored(lambda: self._store(batch, before), stop)
            if stored and (before is None or before.is_stored) and await publish_tasks(self._producer, batch.outbox, stop):
                batch.is_stored = True
                await self._commit(offsets)
                self._caretaker.note(batch.run_ids(), offsets)
        finally:
            self.is_publishing = False
            batch.is_done.set()

    async def _until_stored(self, work: Any, stop: asyncio.Event) -> bool:
        """Do the work in a thread, again and again until the database takes it. False when stopped first."""
        wait = 0.2
        try:
            while not stop.is_set():
                try:
                    await asyncio.to_thread(work)
                except AWAY as error:
                    self._refused.add(work)
                    log.warning("database_away", error=str(error).strip().splitlines()[0], retry_in_s=wait)
                    await sleep_or_stop(stop, wait)
                    wait = min(wait * 2, 5.0)
                else:
                    return True
            return False
        finally:
            self._refused.discard(work)

    def _store(self, batch: Batch, before: Batch | None) -> None:
        started = time.monotonic()

        def turn() -> None:
            if before is not None:
                before.is_done.wait()

        new = write_pages(self._engine, batch.pages, turn=turn)
        turn()
        if batch.replayed:
            replays.write(self._engine, batch.replayed)
        if batch.messages or batch.letters:
            with self._engine.begin() as transaction:
                refused = [letter for timed in batch.messages if (letter := _applied(transaction, timed)) is not None]
                insert_dead_letters(cursor_of(transaction), [letter.row() for letter in (*batch.letters, *refused)])
                requeued = [timed.message.run_id for timed in batch.messages if isinstance(timed.message, RequeueDeadLetters)]
                batch.outbox = [task for run_id in requeued for task in letters.tasks(transaction, run_id)]
        if batch.pages:
            first = batch.pages[0]
            log.info(
                "pages_loaded",
                pages=len(batch.pages),
                new=new,
                seconds=round(time.monotonic() - started, 3),
                run_id=first.raw.run_id,
                stream=first.raw.stream,
                partition=first.unified.raw_partition,
                offset=first.unified.raw_offset,
            )

    async def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        """These offsets are the pipeline's checkpoints. When the commit fails, the pages come again and find their receipts."""
        try:
            await self._consumer.commit(offsets)
        except KafkaError as error:
            log.warning("commit_failed", error=repr(error))

    async def _remembered(self, partition: TopicPartition) -> int | None:
        """How far this partition was loaded, by what PostgreSQL says. Raises TransientError while that is away."""
        try:
            return await asyncio.to_thread(positions.position, self._engine, partition)
        except AWAY as error:
            raise TransientError(f"PostgreSQL is away: {error}") from error

    def held(self) -> set[TopicPartition]:
        """The partitions that are this loader's."""
        return set(self._consumer.assignment())
