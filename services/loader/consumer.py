"""Reads what is to be stored, stores each batch in one transaction, and commits the Kafka offsets after it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy import Engine

from services.loader import loaded_offsets
from services.loader.batch import Batch, _applied
from services.loader.database import AWAY, cursor_of
from services.loader.dead_letters import requeue
from services.loader.pages import write_replayed
from services.loader.pages.dead_letter_rows import insert_dead_letters
from services.loader.pages.write import write_pages
from services.loader.runs.reconciler import Caretaker, publish_tasks
from shared.errors import TransientError
from shared.kafka.gap_aware_consumer import Reader, publisher
from shared.messages.commands import PublishReplay, RequeueDeadLetters
from shared.messages.topics import COMMANDS, DEAD_LETTERS, LOADER_GROUP, RUN_EVENTS, UNIFIED, UNIFIED_REPLAY
from shared.runtime import logs
from shared.runtime.lifecycle import sleep_or_stop

SUBSCRIBED = (UNIFIED, UNIFIED_REPLAY, RUN_EVENTS, COMMANDS, DEAD_LETTERS)
MAX_LOADING = 2  # batches between decoding and commit
log = logs.get(__name__)


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
            write_replayed.write(self._engine, batch.replayed)
        if batch.messages or batch.letters:
            with self._engine.begin() as transaction:
                refused = [letter for timed in batch.messages if (letter := _applied(transaction, timed)) is not None]
                insert_dead_letters(cursor_of(transaction), [letter.row() for letter in (*batch.letters, *refused)])
                requeued = [timed.message.run_id for timed in batch.messages if isinstance(timed.message, RequeueDeadLetters)]
                batch.outbox = [task for run_id in requeued for task in requeue.tasks(transaction, run_id)]
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
            return await asyncio.to_thread(loaded_offsets.position, self._engine, partition)
        except AWAY as error:
            raise TransientError(f"PostgreSQL is away: {error}") from error

    def held(self) -> set[TopicPartition]:
        """The partitions that are this loader's."""
        return set(self._consumer.assignment())
