"""Commands become tasks: one per stream. The tasks are published first, RunPlanned last; planning twice is harmless."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from services.extractor.sources.base import SourceConnector, StreamInfo
from shared.errors import TransientError
from shared.kafka import partitions, publishing
from shared.kafka.gap_aware_consumer import Reader, publisher
from shared.kafka.partitions import partition_of
from shared.messages.base import Message
from shared.messages.commands import CancelRun, MoveCheckpoint, StartIngestion, StartReplay
from shared.messages.identity import scheduled_run_id, task_id
from shared.messages.run_events import PlannedTask, RunCancelled, RunError, RunPlanned
from shared.messages.serialization import UndecodableError, command_decoder, decode
from shared.messages.tasks import FetchStream, ReplayPages, SetCursor, replay_tasks, set_cursor
from shared.messages.topics import COMMANDS, PLANNER_GROUP, RAW, RUN_EVENTS, TASKS
from shared.runtime import logs
from shared.runtime.lifecycle import sleep_or_stop

TASKS_A_MESSAGE = 2_000
MAX_ERRORS = 100
log = logs.get(__name__)


async def plan(command: StartIngestion, sources: dict[str, SourceConnector]) -> RunPlanned:
    """Which streams a command means. Unknown sources and streams are errors of the run, not of the planner."""
    wanted, errors = _wanted_sources(command, sources)
    found: dict[str, StreamInfo] = {}
    notes: list[str] = []
    for name in wanted:
        source = sources[name]
        listed = await source.streams() if command.start is None else _history(command, source)
        found.update({info.stream: info for info in listed})
        is_wanted = command.sources is not None or not source.is_optional
        if not listed and command.start is None and is_wanted:
            notes.append(f"{name}: no streams, {source.nothing_configured()}")
    if command.start is not None and not found:
        notes.append("no source that was asked for has a history; CoinPaprika has one, of the coins in COIN_IDS")
    if command.streams is not None and command.start is None:
        by_name = {
            stream: info for name in wanted for stream in command.streams if stream not in found and (info := sources[name].find(stream))
        }
        found.update(by_name)
        errors += [
            _unknown_stream(stream, found) for stream in command.streams if stream not in found and stream.partition("/")[0] in sources
        ]
        found = {stream: found[stream] for stream in command.streams if stream in found}
        notes = []
    tasks = [PlannedTask(task_id=task_id(command.run_id, stream), source=stream.partition("/")[0], stream=stream) for stream in found]
    return RunPlanned(run_id=command.run_id, tasks=tasks, errors=errors, notes=notes)


def _history(command: StartIngestion, source: SourceConnector) -> list[StreamInfo]:
    """The streams for the days of the command. Raises ValueError for days that are none, which the gateway refuses."""
    start, end = (date.fromisoformat(str(day)) for day in (command.start, command.end))
    found = source.history(start, end)
    return [info for info in found if command.streams is None or any(info.stream.startswith(f"{stream}/") for stream in command.streams)]


def _wanted_sources(command: StartIngestion, sources: dict[str, SourceConnector]) -> tuple[list[str], list[RunError]]:
    names = command.sources
    if names is None:
        names = list(sources) if command.streams is None else [stream.partition("/")[0] for stream in command.streams]
    names = list(dict.fromkeys(names))
    errors = [
        RunError(code="unknown_source", message=f"there is no source {name!r}: use {', '.join(sources)}", source=name)
        for name in names
        if name not in sources
    ]
    return [name for name in names if name in sources], errors


def _unknown_stream(stream: str, found: dict[str, StreamInfo]) -> RunError:
    some = ", ".join(name[:80] for name in list(found)[:3]) or "none"
    return RunError(
        code="unknown_stream",
        message=f"there is no stream {stream!r}; known are: {some}{' …' if len(found) > 3 else ''}",
        stream=stream,
        source=stream.partition("/")[0],
    )


def _parts(planned: RunPlanned) -> list[RunPlanned]:
    """RunPlanned in messages of bounded size; the last one says that it is the last."""
    errors = planned.errors[:MAX_ERRORS]
    if more := len(planned.errors) - len(errors):
        errors = [
            *errors,
            RunError(code="more_errors", message=f"{more} more streams could not be planned", source=planned.errors[-1].source),
        ]
    starts = range(0, max(len(planned.tasks), 1), TASKS_A_MESSAGE)
    parts = [
        msgspec.structs.replace(planned, tasks=planned.tasks[start : start + TASKS_A_MESSAGE], errors=errors, is_last=False)
        for start in starts
    ]
    return [*parts[:-1], msgspec.structs.replace(parts[-1], is_last=True)]


class Planner:
    """Consumes ingest.commands in the planners' group: one of them plans, the others stand by."""

    def __init__(
        self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, sources: dict[str, SourceConnector], *, every_s: int = 0
    ) -> None:
        """`every_s`: start an ingestion of everything that often; 0: never by itself."""
        self._consumer, self._producer, self._sources, self._every_s = consumer, producer, sources, every_s
        self._last_slot = 0
        self._reader = Reader(consumer, PLANNER_GROUP, publisher(producer, "extractor"))

    def held(self) -> set[TopicPartition]:
        """The partitions that are this planner's."""
        return set(self._consumer.assignment())

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            batches = await self._reader.getmany(timeout_ms=500, max_records=1)
            for partition, records in batches.items():
                for record in records:
                    await self._until_done(record, stop)
                    if stop.is_set():
                        return
                    await self._commit(partition, record.offset + 1)
            await self._on_schedule()

    async def _on_schedule(self) -> None:
        """Ask for the ingestion that is due. Its id is made from its time, so that asking twice is asking once."""
        slot = int(time.time() // self._every_s) if self._every_s and self.held() else 0
        if slot <= self._last_slot:
            return
        at = datetime.fromtimestamp(slot * self._every_s, UTC).isoformat()
        command = StartIngestion(run_id=scheduled_run_id(at), requested_at=at)
        try:
            await publishing.publish(self._producer, COMMANDS, command, key=command.run_id, service="extractor", event_id=command.run_id)
        except TransientError as error:
            log.warning("schedule_postponed", error=str(error))
        else:
            self._last_slot = slot

    async def _until_done(self, record: Any, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._handle(record)
            except TransientError as error:
                log.warning("planning_postponed", offset=record.offset, error=str(error))
                await sleep_or_stop(stop, 1)
            else:
                return

    async def _commit(self, partition: TopicPartition, offset: int) -> None:
        try:
            await self._consumer.commit({partition: offset})
        except KafkaError as error:
            log.warning("commit_failed", topic=partition.topic, offset=offset, error=repr(error))  # planned again, harmlessly

    async def _handle(self, record: Any) -> None:
        try:
            command = decode(command_decoder, record.value)
        except UndecodableError as error:
            # The loader, which reads the same topic, keeps it as a dead letter.
            log.error("command_undecodable", offset=record.offset, error=str(error))
            return
        if isinstance(command, CancelRun):
            await self._publish(RunCancelled(run_id=command.run_id))
        elif isinstance(command, StartIngestion):
            await self._plan(command)
        elif isinstance(command, StartReplay):
            await self._hand_out(command.run_id, replay_tasks(command))
        elif isinstance(command, MoveCheckpoint):
            await self._hand_out(command.run_id, [set_cursor(command)])
        # The others are the loader's, which knows the ledger and the dead letters.

    async def _plan(self, command: StartIngestion) -> None:
        try:
            planned = await plan(command, self._sources)
        except Exception as error:
            log.error("planning_crashed", run_id=command.run_id, exc_info=error)
            planned = RunPlanned(
                run_id=command.run_id, errors=[RunError(code="internal_error", message=f"{type(error).__name__}: {error}"[:500])]
            )
        offsets = await self._raw_ends({task.stream for task in planned.tasks})
        for task in planned.tasks:
            fetch = FetchStream(
                run_id=command.run_id,
                task_id=task.task_id,
                source=task.source,
                stream=task.stream,
                full_refresh=command.full_refresh,
                raw_offset=offsets[task.stream],
            )
            await publishing.publish(
                self._producer,
                TASKS,
                fetch,
                key=task.stream,
                service="extractor",
                partition=partition_of(task.stream),
                event_id=task.task_id,
            )
        for part in _parts(planned):
            await self._publish(part)
        log.info("run_planned", run_id=command.run_id, tasks=len(planned.tasks), errors=len(planned.errors))

    async def _hand_out(self, run_id: str, tasks: Sequence[ReplayPages | SetCursor]) -> None:
        for task in tasks:
            topic, partition = partitions.place_of_task(task)
            await publishing.publish(
                self._producer, topic, task, key=task.stream, service="extractor", partition=partition, event_id=task.task_id
            )
        planned = [PlannedTask(task_id=task.task_id, source=task.source, stream=task.stream) for task in tasks]
        await self._publish(RunPlanned(run_id=run_id, tasks=planned))
        log.info("run_planned", run_id=run_id, tasks=len(tasks))

    async def _publish(self, event: RunPlanned | RunCancelled) -> None:
        message: Message = event
        await publishing.publish(self._producer, RUN_EVENTS, message, key=event.run_id, service="extractor")

    async def _raw_ends(self, streams: set[str]) -> dict[str, int]:
        places = {stream: TopicPartition(RAW.name, partition_of(stream)) for stream in streams}
        try:
            ends = await self._consumer.end_offsets(list(set(places.values())))
        except (KafkaError, OSError) as error:
            raise TransientError(f"the ends of {RAW.name} cannot be read: {error!r}") from error
        return {stream: ends[place] for stream, place in places.items()}
