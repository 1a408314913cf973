"""Reads what is to be stored, stores each batch in a transaction, then commits its offsets."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy import Engine

from services.loader import loaded_offsets
from services.loader.batch import (
    Batch,
    Polled,
    bounded,
    next_positions,
    size_of,
)
from services.loader.database import (
    DATA_ERRORS,
    DATABASE_UNAVAILABLE,
    may_be_a_message,
    reason_of,
    trouble_of,
)
from services.loader.in_order import InOrder
from services.loader.pages.staged_page import StagedPage
from services.loader.pages.transaction import (
    BatchTransaction,
    once_each,
    write_in_parts,
)
from services.loader.pages.write import LiveWriter, PageWriter
from services.loader.pages.write_replayed import (
    ReplayWriter,
    of_each_replay,
)
from services.loader.runs.reconciler import RunReconciler, publish_all
from shared.blame import UnprocessableError, last_line
from shared.errors import TransientError
from shared.kafka.gap_aware_consumer import GapAwareConsumer, publisher
from shared.kafka.witness import Position, Witness
from shared.messages.topics import (
    COMMANDS,
    CONFIGURATION,
    DEAD_LETTERS,
    LOADER_GROUP,
    RUN_EVENTS,
    UNIFIED,
    UNIFIED_REPLAY,
)
from shared.monitoring import metrics
from shared.runtime import logs
from shared.runtime.health import DISK_FULL
from shared.runtime.lifecycle import sleep_or_stop
from shared.runtime.suspects import Suspects, place

SUBSCRIBED = (
    UNIFIED,
    UNIFIED_REPLAY,
    RUN_EVENTS,
    COMMANDS,
    CONFIGURATION,
    DEAD_LETTERS,
)
MAX_LOADING = 2  # batches between decoding and commit
MAX_BATCH_BYTES = 6 << 20
FIRST_RETRY_S = 0.2
LAST_RETRY_S = 5.0
Work = Callable[[], Awaitable[Any]]
ALONE = TopicPartition(
    "", 0
)  # of a batch whose offsets are not committed
log = logs.get(__name__)


class Loader:
    """The loop of the loader.

    Blocking work runs in a thread, so that heartbeats go on however long PostgreSQL takes.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        engine: Engine,
        *,
        batch_pages: int,
        reconciler: RunReconciler,
        witness: Witness | None = None,
        suspects: Suspects | None = None,
        secret: str = "",
    ) -> None:
        """`secret`: what is configured is signed with it."""
        self._consumer = consumer
        self._producer = producer
        self._engine = engine
        self._batch_pages = batch_pages
        self._suspects = suspects or Suspects(None)
        self._secret = secret
        self._reconciler = reconciler
        on_gap = publisher(producer, "loader")
        self._reader = GapAwareConsumer(
            consumer,
            LOADER_GROUP,
            on_gap,
            self._remembered,
            witness=witness,
        )
        self._in_order = InOrder(self._reader, consumer)
        # Work that the database did not take so far, and why.
        self._refused: dict[Work, str] = {}
        self.is_publishing = (
            False  # a preview, which may take longer than any batch
        )

    @property
    def trouble(self) -> str:
        """Why nothing may move for now; empty when all is well."""
        return next(iter(self._refused.values()), "")

    def held(self) -> set[TopicPartition]:
        """The partitions that are this loader's."""
        return set(self._consumer.assignment())

    def is_working(self) -> bool:
        """Whether it is at work on something long, or waits for PostgreSQL."""
        return bool(self._refused) or self.is_publishing

    async def run(self, stop: asyncio.Event) -> None:
        """Load until stopped.

        Three batches at a time: one is decoded, one copied into temporary tables, one written. They
        are stored in order. An unexpected error ends the service at once.
        """
        loading: deque[asyncio.Task[None]] = deque()
        before: Batch | None = None
        try:
            while not stop.is_set():
                await _raise_ended(loading)
                polled = await self._poll(is_busy=bool(loading))
                for part in bounded(polled, MAX_BATCH_BYTES):
                    is_large = size_of(part) > MAX_BATCH_BYTES // 2
                    while loading and (
                        is_large or self._suspects.is_careful
                    ):
                        await loading.popleft()
                    batch = await self._decoded(part)
                    if len(loading) == MAX_LOADING:
                        await loading.popleft()
                    positions = next_positions(part)
                    job = self._load(batch, positions, before, stop)
                    loading.append(asyncio.create_task(job))
                    before = batch
                if self._in_order.is_reading_again:
                    # What comes next may be about a run that ends with this.
                    while loading:
                        await loading.popleft()
                    polled = {}
                is_idle = not polled and not loading
                await self._evaluate(stop, is_idle=is_idle)
        finally:
            await asyncio.gather(*loading)

    async def _decoded(self, polled: Polled) -> Batch:
        """After a death by signal one message at a time, which may be accused of it."""
        if self._suspects.is_careful:
            (record,) = next(iter(polled.values()))
            at = place(record.topic, record.partition, record.offset)
            try:
                self._suspects.begin(at)
            except UnprocessableError as error:
                return Batch.given_up(record, error)
        return await asyncio.to_thread(Batch.of, polled, self._secret)

    async def _evaluate(
        self, stop: asyncio.Event, *, is_idle: bool
    ) -> None:
        evaluate = partial(self._reconciler.evaluate, is_idle=is_idle)
        await self._until_stored(
            partial(asyncio.to_thread, evaluate), stop
        )

    async def _poll(
        self, *, is_busy: bool
    ) -> dict[TopicPartition, list[Any]]:
        # While batches are on their way, look again soon: the last of them may end a run.
        is_busy = is_busy or self._reconciler.has_changed()
        timeout_ms = 20 if is_busy else 200
        is_careful = self._suspects.is_careful
        return await self._in_order.getmany(
            timeout_ms=timeout_ms,
            max_records=1 if is_careful else self._batch_pages,
        )

    async def _load(
        self,
        batch: Batch,
        positions: dict[TopicPartition, Position],
        before: Batch | None,
        stop: asyncio.Event,
    ) -> None:
        """Store a batch, then commit its offsets: never before those of the batch `before` it."""
        try:
            self.is_publishing |= batch.has_previews_to_publish()
            if not await self._until_stored(
                partial(self._store_or_sort_out, batch, before), stop
            ):
                return
            if before is not None and not before.is_stored:
                return
            if await publish_all(self._producer, batch.outbox, stop):
                batch.is_stored = True
                if await self._commit(positions):
                    await self._remember(positions, stop)
                self._reconciler.mark_changed(batch.run_ids())
        finally:
            self.is_publishing = False
            self._suspects.done()
            batch.is_done.set()

    async def _until_stored(
        self, work: Work, stop: asyncio.Event
    ) -> bool:
        """Do the work, again and again until the database takes it. False when stopped first."""
        wait = FIRST_RETRY_S
        try:
            while not stop.is_set():
                try:
                    await work()
                except DATABASE_UNAVAILABLE as error:
                    self._note_refusal(work, error, wait)
                    await sleep_or_stop(stop, wait)
                    wait = min(wait * 2, LAST_RETRY_S)
                else:
                    return True
            return False
        finally:
            self._refused.pop(work, None)

    def _note_refusal(
        self, work: Work, error: Exception, wait_s: float
    ) -> None:
        trouble = trouble_of(error)
        self._suspects.done()  # it waits, and is not to blame
        metrics.database_waits.inc()
        self._refused[work] = trouble
        is_full = trouble.startswith(DISK_FULL)
        log.warning(
            DISK_FULL if is_full else "database_away",
            error=reason_of(error),
            retry_in_s=wait_s,
        )

    async def _store_or_sort_out(
        self, batch: Batch, before: Batch | None
    ) -> None:
        """Store a batch; where it cannot be, each of its messages alone.

        What cannot be stored alone either is a dead letter.
        """
        try:
            await self._store(batch, before)
        except Exception as error:
            if not may_be_a_message(error):
                raise
            log.error(
                "batch_failed", error=last_line(error), exc_info=error
            )
        else:
            return
        await _turn(before)
        batch.outbox = []
        for record in batch.records:
            await self._store_alone(record, batch)

    async def _store_alone(self, record: Any, whole: Batch) -> None:
        alone = Batch.of({ALONE: [record]}, self._secret)
        try:
            await self._store(alone, None)
        except Exception as error:
            if not may_be_a_message(error):
                raise
            reason = UnprocessableError(last_line(error))
            log.error(
                "message_given_up",
                offset=record.offset,
                error=str(reason),
            )
            await self._store(Batch.given_up(record, reason), None)
        whole.outbox += alone.outbox

    async def _store(self, batch: Batch, before: Batch | None) -> None:
        started = time.monotonic()
        new = await self._store_pages(batch.pages, LiveWriter(), before)
        for pages in of_each_replay(batch.replayed):
            await self._store_pages(pages, ReplayWriter(), before)
        await _turn(before)
        await asyncio.to_thread(self._store_messages, batch)
        _count(batch)
        if batch.pages:
            seconds = round(time.monotonic() - started, 3)
            metrics.batch_seconds.observe(seconds)
            _log_loaded(batch.pages, new, seconds)

    async def _store_pages(
        self,
        pages: list[StagedPage],
        writer: PageWriter,
        before: Batch | None,
    ) -> int:
        """Stage pages while the batch `before` is written, and write them after it."""
        unique = once_each(pages)
        if not unique:
            return 0
        transaction = BatchTransaction(self._engine, unique, writer)
        try:
            await asyncio.to_thread(transaction.stage)
            await _turn(before)
            return await asyncio.to_thread(transaction.apply)
        except DATA_ERRORS as error:
            await _turn(before)
            return await asyncio.to_thread(
                write_in_parts, self._engine, unique, writer, error
            )
        finally:
            if transaction.is_staged:
                await asyncio.to_thread(transaction.abandon)

    def _store_messages(self, batch: Batch) -> None:
        if batch.messages or batch.dead_letters:
            with self._engine.begin() as transaction:
                batch.apply_messages(transaction)

    async def _commit(
        self, positions: dict[TopicPartition, Position]
    ) -> bool:
        """Commit offsets: they are the pipeline's checkpoints.

        When the commit fails, the pages come again and find their receipts.
        """
        try:
            await self._reader.commit(
                {at: each.offset for at, each in positions.items()}
            )
        except KafkaError as error:
            log.warning("commit_failed", error=repr(error))
            return False
        return True

    async def _remember(
        self,
        positions: dict[TopicPartition, Position],
        stop: asyncio.Event,
    ) -> None:
        """In PostgreSQL too, after Kafka: a loader that was taken for dead commits nothing more."""
        work = partial(
            asyncio.to_thread,
            loaded_offsets.remember,
            self._engine,
            positions,
        )
        await self._until_stored(work, stop)

    async def _remembered(
        self, partition: TopicPartition
    ) -> Position | None:
        """How far this partition was loaded, by what PostgreSQL says. Raises TransientError."""
        try:
            return await asyncio.to_thread(
                loaded_offsets.position, self._engine, partition
            )
        except DATABASE_UNAVAILABLE as error:
            raise TransientError(
                f"PostgreSQL is unavailable: {error}"
            ) from error


def _count(batch: Batch) -> None:
    for page in (*batch.pages, *batch.replayed):
        raw = page.raw
        metrics.count_pages(raw.source, 1, raw.record_count)
    for page in batch.pages:
        raw = page.raw
        for each in (*raw.rejections, *page.rejections()):
            metrics.count_rejected(raw.source, each.reason, each.count)
        if not page.unified.republished:
            metrics.note_page_time(
                raw.source, page.unified.raw_time, raw.run_id
            )


async def _turn(before: Batch | None) -> None:
    """Wait until the batch before is stored, or given up."""
    if before is not None:
        await before.is_done.wait()


async def _raise_ended(loading: deque[asyncio.Task[None]]) -> None:
    """Drop what has ended; an error of it ends the service."""
    while loading and loading[0].done():
        await loading.popleft()


def _log_loaded(
    pages: list[StagedPage], new: int, seconds: float
) -> None:
    raw = pages[0].raw
    unified = pages[0].unified
    log.info(
        "pages_loaded",
        pages=len(pages),
        new=new,
        seconds=seconds,
        run_id=raw.run_id,
        stream=raw.stream,
        partition=unified.raw_partition,
        offset=unified.raw_offset,
    )
