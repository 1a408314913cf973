"""Takes care of runs: evaluates them, and sees to those that stand still, by having done again what their ledger misses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from sqlalchemy import Connection, Engine, text

from services.loader import loaded_offsets
from services.loader.retention import Retention
from services.loader.runs import failing_sources, ledger, repair
from shared.errors import TransientError
from shared.kafka import partitions, publishing
from shared.kafka.lag import LagReader, total
from shared.messages.base import Message
from shared.messages.commands import MoveCheckpoint, StartIngestion, StartReplay
from shared.messages.run_events import TaskStopped
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
_QUEUES = (
    (PLANNER_GROUP, COMMANDS),
    (EXTRACTOR_GROUP, TASKS),
    (REPLAYER_GROUP, REPLAY_TASKS),
    (NORMALIZER_GROUP, RAW, REPLAY_PAGES),
    (LOADER_GROUP, UNIFIED, UNIFIED_REPLAY, RUN_EVENTS),
)
# A gap is over when every run that was open then has ended, or has been given up as incomplete and says so itself.
_CLOSE_GAPS = """
UPDATE data_gaps AS g SET closed_at = clock_timestamp() WHERE closed_at IS NULL
AND NOT EXISTS (SELECT 1 FROM runs WHERE finished_at IS NULL AND status <> 'incomplete' AND coalesce(requested_at, started_at, last_progress_at) <= g.noticed_at)
"""
log = logs.get(__name__)


class Caretaker:
    """`evaluate` runs in a thread beside the loading; `run` looks every few seconds for what stands still."""

    def __init__(
        self, engine: Engine, producer: AIOKafkaProducer, lag: LagReader, *,
        sweep_interval_s: float, incomplete_after_s: float, repair_after_s: float, reject_limit_pages: int, reject_limit_share: float, retention: Retention,
    ) -> None:  # fmt: skip
        self._engine, self._producer, self._lag = engine, producer, lag
        self._sweep_interval_s, self._incomplete_after_s, self._repair_after_s = sweep_interval_s, incomplete_after_s, repair_after_s
        self._limit_pages, self._limit_share, self._retention = reject_limit_pages, reject_limit_share, retention
        self._touched: set[str] = set()
        self._offsets: dict[TopicPartition, int] = {}
        self._stopped: set[str] = set()  # tasks that were told to stop
        self._evaluated_at = self._swept_at = 0.0

    def note(self, run_ids: Iterable[str], offsets: dict[TopicPartition, int]) -> None:
        """Something was stored for these runs, up to these offsets."""
        self._touched |= set(run_ids)
        self._offsets = {**self._offsets, **offsets}

    def has_touched(self) -> bool:
        return bool(self._touched)

    def evaluate(self, *, is_idle: bool) -> None:
        """Evaluate the touched runs, twice a second at most under load, and every open run now and then. Blocks."""
        now = time.monotonic()
        is_sweep = now - self._swept_at >= self._sweep_interval_s
        if (not self._touched and not is_sweep) or (not is_idle and now - self._evaluated_at < EVALUATE_EVERY_S):
            return
        self._evaluated_at = now
        due, offsets = set(self._touched), self._offsets
        with self._engine.begin() as transaction:
            loaded_offsets.remember(transaction, offsets)
            if is_sweep:
                self._swept_at = now
                due |= set(ledger.open_runs(transaction))
                transaction.execute(text(_CLOSE_GAPS))
        for run_id in sorted(due):
            with self._engine.begin() as transaction:
                ledger.evaluate(transaction, run_id, self._incomplete_after_s)
        self._touched -= due
        if self._offsets is offsets:
            self._offsets = {}

    async def run(self, away: tuple[type[Exception], ...]) -> None:
        """Look after the open runs for ever. `away`: errors that mean that PostgreSQL is not there, and are waited out."""
        never = asyncio.Event()
        while True:
            await asyncio.sleep(self._sweep_interval_s)
            try:
                await publish_tasks(self._producer, await self._due(), never)
                await asyncio.to_thread(self._retention.prune)
            except away:
                continue  # the loading says so

    async def _due(self) -> list[Message]:
        idle, bad = await asyncio.to_thread(self._look)
        if not idle:
            return list(bad)
        is_quiet = await self._is_quiet()

        def repair_idle() -> list[Message]:
            found: list[Message] = []
            for run_id in idle:
                with self._engine.begin() as transaction:
                    tasks = repair.repair(transaction, run_id, after_s=self._repair_after_s, is_quiet=is_quiet)
                if tasks:
                    log.warning("run_repaired", run_id=run_id, tasks=[type(task).__name__ for task in tasks])
                found += tasks
            self.note(idle, {})  # one that became whole when nobody looked ends now
            return found

        return [*bad, *await asyncio.to_thread(repair_idle)]

    def _look(self) -> tuple[list[str], list[TaskStopped]]:
        with self._engine.begin() as transaction:
            return repair.idle_runs(transaction, self._repair_after_s), self._bad_tasks(transaction)

    def _bad_tasks(self, transaction: Connection) -> list[TaskStopped]:
        found = failing_sources.bad_tasks(transaction, pages=self._limit_pages, share=self._limit_share)
        fresh = [stopped for stopped in found if stopped.task_id not in self._stopped]
        self._stopped |= {stopped.task_id for stopped in fresh}
        return fresh

    async def _is_quiet(self) -> bool:
        """Whether nothing waits in any topic: what is missing then is not on its way."""
        try:
            async with asyncio.timeout(5):
                return not any([total(await self._lag.stands(group, *topics)) for group, *topics in _QUEUES])
        except (KafkaError, OSError, TimeoutError):
            return False


async def publish_tasks(producer: AIOKafkaProducer, messages: Iterable[Message], stop: asyncio.Event) -> bool:
    """Publish what the loader asks for, waiting for the broker. False when stopped first."""
    for message in messages:
        while True:
            try:
                await _publish(producer, message)
                break
            except TransientError as error:
                if isinstance(error.__cause__, MessageSizeTooLargeError):
                    log.error("task_too_large", run_id=getattr(message, "run_id", None), error=str(error))
                    break
                log.warning("publishing_postponed", error=str(error))
                await sleep_or_stop(stop, 1)
                if stop.is_set():
                    return False
    return True


async def _publish(producer: AIOKafkaProducer, message: Message) -> None:
    if isinstance(message, StartIngestion | StartReplay | MoveCheckpoint):
        await publishing.publish(producer, COMMANDS, message, key=message.run_id, service="loader")
    elif isinstance(message, TaskStopped):
        await publishing.publish(producer, RUN_EVENTS, message, key=message.run_id, service="loader")
    else:
        topic, partition = partitions.place_of_task(message)  # type: ignore[arg-type]  # all others are tasks
        await publishing.publish(producer, topic, message, key=message.stream, service="loader", partition=partition)  # type: ignore[attr-defined]
