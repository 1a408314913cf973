"""Reconciles runs: evaluates them, and repairs idle ones by what their ledger misses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from sqlalchemy import Connection, Engine, text

from services.loader.pages.partitions import ensure_next_partitions
from services.loader.retention import Retention
from services.loader.runs import (
    failing_sources,
    ledger,
    repair,
    retirements,
)
from services.loader.settings import LoaderSettings
from shared.errors import TransientError
from shared.kafka import publishing
from shared.kafka.lag import LagReader, total
from shared.kafka.partitions import topic_and_partition
from shared.messages.base import Message
from shared.messages.commands import (
    FindFeeds,
    MoveCheckpoint,
    StartIngestion,
    StartReplay,
)
from shared.messages.run_events import RunEnded, TaskStopped
from shared.messages.tasks import (
    FetchStream,
    ForwardMessages,
    RepairPages,
    ReplayPages,
    RequeueRecords,
)
from shared.messages.topics import (
    COMMANDS,
    EXTRACTOR_GROUP,
    LOADER_GROUP,
    NORMALIZER_GROUP,
    PLANNER_GROUP,
    RAW,
    REPLAY_PAGES,
    REPLAY_TASKS,
    REPLAYER_GROUP,
    RUN_EVENTS,
    TASKS,
    UNIFIED,
    UNIFIED_REPLAY,
)
from shared.runtime import logs
from shared.runtime.lifecycle import sleep_or_stop

EVALUATE_EVERY_S = 0.5
LAG_TIMEOUT_S = 5.0
_QUEUES = (
    (PLANNER_GROUP, COMMANDS),
    (EXTRACTOR_GROUP, TASKS),
    (REPLAYER_GROUP, REPLAY_TASKS),
    (NORMALIZER_GROUP, RAW, REPLAY_PAGES),
    (LOADER_GROUP, UNIFIED, UNIFIED_REPLAY, RUN_EVENTS),
)
# A gap is closed when every run that was open then has ended, or was given up as incomplete, which
# its status shows.
_CLOSE_GAPS = """
UPDATE data_gaps AS g SET closed_at = clock_timestamp()
WHERE closed_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM runs WHERE finished_at IS NULL AND status <> 'incomplete'
    AND coalesce(requested_at, started_at, last_progress_at) <= g.noticed_at)
"""
_SELECT_UNTOLD = """
SELECT run_id::text, kind, status, message FROM runs
WHERE end_untold AND finished_at IS NOT NULL ORDER BY finished_at LIMIT 500
"""
_MARK_TOLD = "UPDATE runs SET end_untold = false WHERE run_id = ANY(CAST(:ids AS uuid[]))"
log = logs.get(__name__)


class RunReconciler:
    """`evaluate` runs in a thread beside the loading; `run` looks for idle runs now and then."""

    def __init__(
        self,
        engine: Engine,
        producer: AIOKafkaProducer,
        lag: LagReader,
        settings: LoaderSettings,
        retention: Retention,
    ) -> None:
        self._engine = engine
        self._producer = producer
        self._lag = lag
        self._settings = settings
        self._retention = retention
        self._changed: set[str] = set()  # runs
        self._stopped: set[str] = set()  # tasks that were told to stop
        self._evaluated_at = 0.0
        self._swept_at = 0.0

    def mark_changed(self, run_ids: Iterable[str]) -> None:
        """Something was stored for these runs."""
        self._changed |= set(run_ids)

    def has_changed(self) -> bool:
        return bool(self._changed)

    def evaluate(self, *, is_idle: bool) -> None:
        """Evaluate the changed runs, and every open run now and then. Blocks.

        Under load twice a second at most.
        """
        now = time.monotonic()
        is_sweep = now - self._swept_at >= self._settings.sweep_interval_s
        is_early = (
            not is_idle and now - self._evaluated_at < EVALUATE_EVERY_S
        )
        if is_early or not (self._changed or is_sweep):
            return
        self._evaluated_at = now
        due = set(self._changed)
        if is_sweep:
            due |= self._sweep()
            self._swept_at = now  # only then: while PostgreSQL is gone, it is tried again
        for run_id in sorted(due):
            self._evaluate(run_id)
        self._changed -= due

    def _sweep(self) -> set[str]:
        """Close gaps that are over; returns the open runs."""
        with self._engine.begin() as transaction:
            transaction.execute(text(_CLOSE_GAPS))
            return set(ledger.open_runs(transaction))

    def _evaluate(self, run_id: str) -> None:
        after_s = self._settings.incomplete_after_s
        with self._engine.begin() as transaction:
            ledger.evaluate(transaction, run_id, after_s)

    async def run(self, unavailable: tuple[type[Exception], ...]) -> None:
        """Look after the open runs until cancelled.

        `unavailable`: errors that mean that PostgreSQL is not there, and are waited out.
        """
        never = asyncio.Event()
        while True:
            await asyncio.sleep(self._settings.sweep_interval_s)
            try:
                await publish_all(
                    self._producer, await self._due(), never
                )
                await self._tell_ends(never)
                await asyncio.to_thread(self._retire)
                await asyncio.to_thread(self._retention.prune)
                await asyncio.to_thread(
                    ensure_next_partitions, self._engine
                )
            except unavailable:
                continue  # the loading logs it

    async def _tell_ends(self, stop: asyncio.Event) -> None:
        """That runs are over, for who waits for it; again where it is not sure to have arrived."""
        ended = await asyncio.to_thread(self._untold)
        if ended and await publish_all(self._producer, ended, stop):
            ids = [event.run_id for event in ended]
            await asyncio.to_thread(self._mark_told, ids)

    def _untold(self) -> list[RunEnded]:
        with self._engine.begin() as transaction:
            rows = transaction.execute(text(_SELECT_UNTOLD)).mappings()
            return [RunEnded(**row) for row in rows]

    def _mark_told(self, run_ids: list[str]) -> None:
        with self._engine.begin() as transaction:
            transaction.execute(text(_MARK_TOLD), {"ids": run_ids})

    async def _due(self) -> list[Message]:
        idle, stopped = await asyncio.to_thread(self._look)
        if not idle:
            return list(stopped)
        is_quiet = await self._is_quiet()
        tasks = await asyncio.to_thread(
            self._repair, idle, is_quiet=is_quiet
        )
        return [*stopped, *tasks]

    def _retire(self) -> None:
        """Go on with the runs that take series out of sight, or bring them back."""
        self.mark_changed(retirements.work(self._engine))

    def _look(self) -> tuple[list[str], list[TaskStopped]]:
        """(idle runs, tasks to stop)."""
        with self._engine.begin() as transaction:
            idle = repair.idle_runs(
                transaction, self._settings.repair_after_s
            )
            return idle, self._bad_tasks(transaction)

    def _repair(
        self, idle: list[str], *, is_quiet: bool
    ) -> list[Message]:
        after_s = self._settings.repair_after_s
        found: list[Message] = []
        for run_id in idle:
            with self._engine.begin() as transaction:
                tasks = repair.repair(
                    transaction,
                    run_id,
                    after_s=after_s,
                    is_quiet=is_quiet,
                )
            if tasks:
                names = [type(task).__name__ for task in tasks]
                log.warning("run_repaired", run_id=run_id, tasks=names)
            found += tasks
        self.mark_changed(
            idle
        )  # one that became whole when nobody looked ends now
        return found

    def _bad_tasks(self, transaction: Connection) -> list[TaskStopped]:
        settings = self._settings
        found = failing_sources.bad_tasks(
            transaction,
            pages=settings.reject_limit_pages,
            share=settings.reject_limit_share,
        )
        # Only when all are found are they marked as told.
        return list(filter(self._is_told_now, list(found)))

    def _is_told_now(self, stopped: TaskStopped) -> bool:
        """Mark a task as told; False when it was before."""
        is_fresh = stopped.task_id not in self._stopped
        self._stopped.add(stopped.task_id)
        return is_fresh

    async def _is_quiet(self) -> bool:
        """Whether nothing waits in any topic: what is missing then is not on its way."""
        try:
            async with asyncio.timeout(LAG_TIMEOUT_S):
                return not await self._count_waiting()
        except (KafkaError, OSError, TimeoutError):
            return False

    async def _count_waiting(self) -> int:
        waiting = 0
        for queue in _QUEUES:
            waiting += total(await self._lag.positions(*queue))
        return waiting


async def publish_all(
    producer: AIOKafkaProducer,
    messages: Iterable[Message],
    stop: asyncio.Event,
) -> bool:
    """Publish what the loader asks for, waiting for the broker. False when stopped first."""
    for message in messages:
        while not await _is_published(producer, message):
            await sleep_or_stop(stop, 1)
            if stop.is_set():
                return False
    return True


async def _is_published(
    producer: AIOKafkaProducer, message: Message
) -> bool:
    """Publish a message; False when it has to be tried again."""
    try:
        await _publish(producer, message)
    except TransientError as error:
        if not isinstance(error.__cause__, MessageSizeTooLargeError):
            log.warning("publishing_postponed", error=str(error))
            return False
        run_id = getattr(message, "run_id", None)
        log.error("task_too_large", run_id=run_id, error=str(error))
    return True


async def _publish(producer: AIOKafkaProducer, message: Message) -> None:
    match message:
        case (
            StartIngestion()
            | StartReplay()
            | MoveCheckpoint()
            | FindFeeds()
        ):
            await publishing.publish(
                producer,
                COMMANDS,
                message,
                key=message.run_id,
                service="loader",
            )
        case TaskStopped() | RunEnded():
            await publishing.publish(
                producer,
                RUN_EVENTS,
                message,
                key=message.run_id,
                service="loader",
            )
        case (
            FetchStream()
            | RepairPages()
            | RequeueRecords()
            | ForwardMessages()
            | ReplayPages()
        ):
            topic, partition = topic_and_partition(message)
            await publishing.publish(
                producer,
                topic,
                message,
                key=message.stream,
                service="loader",
                partition=partition,
            )
        case _:
            raise TypeError(
                f"the loader publishes no {type(message).__name__}"
            )
