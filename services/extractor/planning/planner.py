"""Commands become tasks: one per stream.

The tasks are published first, RunPlanned last; planning twice is harmless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from services.extractor.planning.configuration import Configuration
from services.extractor.planning.plan import Sources, parts_of, plan
from services.extractor.planning.schedule import Scheduler
from services.extractor.tasks.reporting import Reporter
from shared.blame import UnprocessableError, try_twice
from shared.errors import TransientError
from shared.kafka import publishing
from shared.kafka.gap_aware_consumer import GapAwareConsumer, publisher
from shared.kafka.partitions import partition_of, topic_and_partition
from shared.kafka.witness import Witness
from shared.messages.base import Stage
from shared.messages.commands import (
    CancelRun,
    FindFeeds,
    MoveCheckpoint,
    StartIngestion,
    StartReplay,
)
from shared.messages.headers import origin_headers
from shared.messages.run_events import (
    PlannedTask,
    RunCancelled,
    RunError,
    RunPlanned,
)
from shared.messages.serialization import (
    UndecodableError,
    command_decoder,
    decode,
)
from shared.messages.tasks import (
    FetchStream,
    LookForFeeds,
    ReplayPages,
    SetCursor,
    look_for_feeds,
    replay_tasks,
    set_cursor,
)
from shared.messages.topics import (
    COMMANDS,
    DEAD_LETTERS,
    PLANNER_GROUP,
    RAW,
)
from shared.runtime import logs
from shared.runtime.lifecycle import sleep_or_stop
from shared.runtime.suspects import Suspects, Turns, place

TASKS_AT_A_TIME = 100
Handed = FetchStream | ReplayPages | SetCursor | LookForFeeds
MAX_CRASH = 500  # characters of an unexpected error
log = logs.get(__name__)


def _fetch(
    command: StartIngestion, task: PlannedTask, raw_end: int
) -> FetchStream:
    """The task for a stream. `raw_end`: where its raw partition ends now."""
    return FetchStream(
        run_id=command.run_id,
        task_id=task.task_id,
        source=task.source,
        stream=task.stream,
        full_refresh=command.full_refresh,
        raw_offset=raw_end,
    )


class Planner:
    """Consumes ingest.commands in the planners' group: one of them plans, the others wait."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        sources: Sources,
        scheduler: Scheduler,
        configuration: Configuration,
        witness: Witness | None = None,
        turns: Turns | None = None,
        *,
        kept: AIOKafkaConsumer,
    ) -> None:
        """`kept`: a consumer without a group, which waits for nothing and so answers at once."""
        self._consumer = consumer
        self._kept = kept
        self._producer = producer
        self._sources = sources
        self._scheduler = scheduler
        self._configuration = configuration
        self._turns = turns or Turns(Suspects(None))
        self._reporter = Reporter(producer)
        on_gap = publisher(producer, "extractor")
        self._reader = GapAwareConsumer(
            consumer, PLANNER_GROUP, on_gap, witness=witness
        )
        consumer.subscribe([COMMANDS.name])

    def held(self) -> set[TopicPartition]:
        """The partitions that are this planner's."""
        return set(self._consumer.assignment())

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            batches = await self._reader.getmany(
                timeout_ms=500, max_records=1
            )
            for partition, records in batches.items():
                for record in records:
                    await self._until_done(record, stop)
                    if stop.is_set():
                        return
                    await self._commit(partition, record.offset + 1)
            if self.held() and self._configuration.is_known:
                await self._scheduler.ask_when_due()

    async def _until_done(self, record: Any, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._handle_or_give_up(record)
            except TransientError as error:
                log.warning(
                    "planning_postponed",
                    offset=record.offset,
                    error=str(error),
                )
                await sleep_or_stop(stop, 1)
            else:
                return

    async def _handle_or_give_up(self, record: Any) -> None:
        at = place(record.topic, record.partition, record.offset)
        try:
            async with self._turns.alone(at):
                await try_twice(partial(self._handle, record))
        except UnprocessableError as error:
            await self._dead_letter(record, error)

    async def _dead_letter(
        self, record: Any, error: UnprocessableError
    ) -> None:
        """A command that cannot be planned; the loader keeps it. Raises TransientError."""
        log.error(
            "command_failed", offset=record.offset, error=str(error)
        )
        at = (record.topic, record.partition, record.offset)
        headers = origin_headers(*at, error, Stage.EXTRACT)
        await publishing.forward(
            self._producer, DEAD_LETTERS.name, record, headers
        )

    async def _commit(
        self, partition: TopicPartition, offset: int
    ) -> None:
        try:
            await self._reader.commit({partition: offset})
        except KafkaError as error:  # planned again, harmlessly
            log.warning(
                "commit_failed",
                topic=partition.topic,
                offset=offset,
                error=repr(error),
            )

    async def _handle(self, record: Any) -> None:
        try:
            command = decode(command_decoder, record.value)
        except UndecodableError as error:
            # The loader, which reads the same topic, keeps it as a dead letter.
            log.error(
                "command_undecodable",
                offset=record.offset,
                error=str(error),
            )
            return
        match command:
            case StartIngestion():
                await self._plan(command)
            case StartReplay():
                await self._hand_out(
                    command.run_id, replay_tasks(command)
                )
            case MoveCheckpoint():
                await self._hand_out(
                    command.run_id, [set_cursor(command)]
                )
            case FindFeeds():
                await self._hand_out(
                    command.run_id, [look_for_feeds(command)]
                )
            case CancelRun():
                await self._publish(RunCancelled(run_id=command.run_id))
            case _:
                pass  # the loader's, which knows the ledger and the dead letters

    async def _plan(self, command: StartIngestion) -> None:
        planned = await self._planned(command)
        offsets = await self._raw_ends(
            {task.stream for task in planned.tasks}
        )
        await self._publish_tasks(
            [
                _fetch(command, task, offsets[task.stream])
                for task in planned.tasks
            ]
        )
        for part in parts_of(planned):
            await self._publish(part)
        log.info(
            "run_planned",
            run_id=command.run_id,
            tasks=len(planned.tasks),
            errors=len(planned.errors),
        )

    async def _planned(self, command: StartIngestion) -> RunPlanned:
        await self._configuration.catch_up()
        why_paused = self._configuration.effective.why_paused
        try:
            return await plan(command, self._sources, why_paused)
        except Exception as error:
            log.error(
                "planning_crashed", run_id=command.run_id, exc_info=error
            )
            message = f"{type(error).__name__}: {error}"[:MAX_CRASH]
            crash = RunError(code="internal_error", message=message)
            return RunPlanned(run_id=command.run_id, errors=[crash])

    async def _hand_out(
        self,
        run_id: str,
        tasks: Sequence[ReplayPages | SetCursor | LookForFeeds],
    ) -> None:
        await self._publish_tasks(tasks)
        planned = [
            PlannedTask(
                task_id=task.task_id,
                source=task.source,
                stream=task.stream,
            )
            for task in tasks
        ]
        await self._publish(RunPlanned(run_id=run_id, tasks=planned))
        log.info("run_planned", run_id=run_id, tasks=len(tasks))

    async def _publish_tasks(self, tasks: Sequence[Handed]) -> None:
        """Many at a time, those of a partition in their order."""
        for first in range(0, len(tasks), TASKS_AT_A_TIME):
            some = tasks[first : first + TASKS_AT_A_TIME]
            await asyncio.gather(*map(self._publish_task, some))

    async def _publish_task(self, task: Handed) -> None:
        topic, partition = topic_and_partition(task)
        await publishing.publish(
            self._producer,
            topic,
            task,
            key=task.stream,
            service="extractor",
            partition=partition,
            event_id=task.task_id,
        )

    async def _publish(self, event: RunPlanned | RunCancelled) -> None:
        await self._reporter.report(event)

    async def _raw_ends(self, streams: set[str]) -> dict[str, int]:
        """Where the raw partition of each stream ends now."""
        partitions = {
            stream: TopicPartition(RAW.name, partition_of(stream))
            for stream in streams
        }
        try:
            ends = await self._kept.end_offsets(
                list(set(partitions.values()))
            )
        except (KafkaError, OSError) as error:
            raise TransientError(
                f"the ends of {RAW.name} cannot be read: {error!r}"
            ) from error
        return {stream: ends[at] for stream, at in partitions.items()}
