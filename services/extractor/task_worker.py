"""Consumes tasks: several at a time, one at a time for a stream, offsets committed in order."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConsumerRebalanceListener,
    TopicPartition,
)
from aiokafka.errors import KafkaError

from shared.blame import UnprocessableError, try_twice
from shared.errors import TransientError
from shared.kafka import publishing
from shared.kafka.gap_aware_consumer import GapAwareConsumer, publisher
from shared.kafka.witness import Witness
from shared.messages.base import Source, Stage
from shared.messages.headers import origin_headers
from shared.messages.serialization import (
    UndecodableError,
    decode,
    task_decoder,
)
from shared.messages.tasks import FetchStream, Task
from shared.messages.topics import DEAD_LETTERS, TASKS, Topic
from shared.runtime import logs
from shared.runtime.lifecycle import sleep_or_stop
from shared.runtime.offset_tracker import OffsetTracker
from shared.runtime.suspects import Suspects, Turns, place

OLD_S = 20.0  # of a task that may have been done before
MAX_TAKEN = 500  # tasks that are at work or wait for a slot
MAX_TAKEN_BYTES = 4 << 20
log = logs.get(__name__)


class TaskWorker(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Runs the tasks of the partitions that this extractor holds; gives them up when they move."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        work: Callable[[Any], Awaitable[None]],
        *,
        topic: Topic,
        group: str,
        concurrency: int,
        witness: Witness | None = None,
        is_finished: Callable[[str], Awaitable[bool]] | None = None,
        turns: Turns | None = None,
    ) -> None:
        """`is_finished`: whether a task of long ago has ended, as the tables know it."""
        self._consumer = consumer
        self._producer = producer
        self._do = work
        self._is_finished = is_finished
        self._turns = turns or Turns(Suspects(None))
        self._topic = topic
        self._reader = GapAwareConsumer(
            consumer,
            group,
            publisher(producer, "extractor"),
            witness=witness,
        )
        self._limit = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        # What waits for a network and what reads files leave a slot to each other; replays have a
        # worker of their own.
        has_others = topic is TASKS and concurrency > 1
        share = concurrency - 1 if has_others else concurrency
        self._shares = {
            True: asyncio.Semaphore(share),
            False: asyncio.Semaphore(share),
        }
        self._taken_bytes = 0
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(
            asyncio.Lock
        )
        self._trackers: defaultdict[TopicPartition, OffsetTracker] = (
            defaultdict(OffsetTracker)
        )
        self._running: dict[TopicPartition, set[asyncio.Task[None]]] = (
            defaultdict(set)
        )
        self._crash: BaseException | None = None
        consumer.subscribe([topic.name], listener=self)

    def held(self) -> set[TopicPartition]:
        """The partitions that are this extractor's."""
        return set(self._consumer.assignment())

    def busy(self) -> int:
        """Tasks at work."""
        return sum(map(len, self._running.values()))

    def is_busy(self) -> bool:
        return self.busy() > 0

    async def run(self, stop: asyncio.Event) -> None:
        """Take in tasks until stopped; then give up those at work, which come again elsewhere.

        An error that nobody foresaw ends the service.
        """
        try:
            while not stop.is_set():
                if self._crash is not None:
                    raise self._crash
                if self._is_full():
                    # Heartbeats go on by themselves; only no more is taken in.
                    await sleep_or_stop(stop, 0.1)
                    continue
                await self._take_in()
        finally:
            await self._give_up(list(self._running))

    def _is_full(self) -> bool:
        is_large = self._taken_bytes >= MAX_TAKEN_BYTES
        return self.busy() >= MAX_TAKEN or is_large

    async def _take_in(self) -> None:
        batches = await self._reader.getmany(
            timeout_ms=500, max_records=self._limit
        )
        for partition, records in batches.items():
            for record in records:
                self._begin(partition, record)

    def _begin(self, partition: TopicPartition, record: Any) -> None:
        self._trackers[partition].begin(record.offset)
        job = asyncio.create_task(self._work(partition, record))
        self._running[partition].add(job)
        size = len(record.value or b"")
        self._taken_bytes += size
        job.add_done_callback(
            lambda done: self._ended(
                partition,
                done,
                size,
            )
        )

    def _ended(
        self,
        partition: TopicPartition,
        job: asyncio.Task[None],
        size: int,
    ) -> None:
        self._running[partition].discard(job)
        self._taken_bytes -= size
        if not job.cancelled() and job.exception() is not None:
            self._crash = job.exception()

    async def _work(self, partition: TopicPartition, record: Any) -> None:
        try:
            task = decode(task_decoder, record.value)
        except UndecodableError as error:
            await self._dead_letter(record, error)
        else:
            await self._do_or_give_up(task, record)
        await self._finish(partition, record.offset)

    async def _do_or_give_up(self, task: Task, record: Any) -> None:
        """A task that fails in a way that nobody foresaw is a dead letter."""
        facts = {"run_id": task.run_id, "stream": task.stream}

        async def do() -> None:
            if await self._is_of_long_ago(task, record):
                log.info("task_known_to_be_finished", **facts)
                return
            await _until_done(lambda: self._do(task), **facts)

        at = place(record.topic, record.partition, record.offset)
        try:
            async with (
                self._locks[task.stream],
                self._shares[task.source == Source.CSV],
                self._slots,
                self._turns.alone(at),
            ):
                await try_twice(do)
        except UnprocessableError as error:
            await self._dead_letter(record, error)

    async def _is_of_long_ago(self, task: Task, record: Any) -> bool:
        """Whether a fetch comes again that has ended, as from a log that is read once more.

        Where the tables cannot be read it is done again, which doubles nothing.
        """
        is_old = isinstance(task, FetchStream) and _age_s(record) >= OLD_S
        if self._is_finished is None or not is_old:
            return False
        try:
            return await self._is_finished(task.task_id)
        except TransientError:
            return False

    async def _dead_letter(
        self, record: Any, error: UndecodableError | UnprocessableError
    ) -> None:
        at = {"partition": record.partition, "offset": record.offset}
        log.error("task_undecodable", **at, error=str(error))
        headers = origin_headers(
            record.topic,
            record.partition,
            record.offset,
            error,
            Stage.EXTRACT,
        )
        await _until_done(
            lambda: publishing.forward(
                self._producer, DEAD_LETTERS.name, record, headers
            ),
            **at,
        )

    async def _finish(
        self, partition: TopicPartition, offset: int
    ) -> None:
        commit = self._trackers[partition].finish(offset)
        if commit is None:
            return
        try:
            await self._reader.commit({partition: commit})
        except KafkaError as error:
            # The task comes again, is found in its stream's checkpoint and only repeats its end.
            log.warning(
                "commit_failed",
                partition=partition.partition,
                offset=commit,
                error=repr(error),
            )

    async def on_partitions_revoked(
        self, revoked: Iterable[TopicPartition]
    ) -> None:
        await self._give_up(list(revoked))

    async def on_partitions_assigned(
        self, assigned: Iterable[TopicPartition]
    ) -> None:
        partitions = sorted(at.partition for at in assigned)
        log.info(
            "partitions_assigned",
            topic=self._topic.name,
            partitions=partitions,
        )

    async def _give_up(self, partitions: list[TopicPartition]) -> None:
        """Cancel the tasks of these partitions; each stops after the page that it publishes."""
        jobs: list[asyncio.Task[None]] = []
        for partition in partitions:
            jobs += self._running.get(partition, ())
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        for partition in partitions:
            self._trackers.pop(partition, None)


def _age_s(record: Any) -> float:
    return float(time.time() - record.timestamp / 1000)


async def _until_done(
    work: Callable[[], Awaitable[None]], **facts: Any
) -> None:
    """Do the work, again and again while Kafka is unavailable."""
    while True:
        try:
            await work()
        except TransientError as error:
            log.warning("task_postponed", error=str(error), **facts)
            await asyncio.sleep(1)
        else:
            return
