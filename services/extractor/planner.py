"""Commands become tasks: one per stream.

The tasks are published first, RunPlanned last; planning twice is harmless.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import partial
from itertools import zip_longest
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from services.extractor.schedule import Schedule
from services.extractor.sources.base import (
    LeftOut,
    SourceConnector,
    StreamInfo,
)
from services.extractor.tasks.reporting import Reporter
from shared.blame import UnprocessableError, last_line, try_twice
from shared.errors import TransientError
from shared.identity.ids import task_id
from shared.kafka import publishing
from shared.kafka.gap_aware_consumer import GapAwareConsumer, publisher
from shared.kafka.partitions import partition_of, topic_and_partition
from shared.kafka.witness import Witness
from shared.messages.base import Stage
from shared.messages.commands import (
    CancelRun,
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
    ReplayPages,
    SetCursor,
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

TASKS_A_MESSAGE = 2_000
TASKS_AT_A_TIME = 100
MAX_ERRORS = 100
MAX_NOTES = 100
MAX_CRASH = 500  # characters of an unexpected error
NO_HISTORY = (
    "no source that was asked for has a history; CoinPaprika has one, "
    "of the coins in COIN_IDS"
)
UNLISTED = "internal_error"
Sources = dict[str, SourceConnector]
log = logs.get(__name__)


async def plan(command: StartIngestion, sources: Sources) -> RunPlanned:
    """Which streams a command means.

    Unknown sources and streams are errors of the run, not of the planner.
    """
    wanted, errors = _wanted_sources(command, sources)
    if command.start is not None:
        found, notes = _history(command, sources, wanted)
    else:
        found, notes, missed = await _configured(command, sources, wanted)
        errors += [
            error
            for error in missed
            if command.streams is None or error.code == UNLISTED
        ]
    if command.streams is not None and command.start is None:
        found, unknown = _chosen(command.streams, sources, wanted, found)
        errors += unknown
        notes = []
    tasks = [
        _planned(command.run_id, stream) for stream in _in_turn(found)
    ]
    return RunPlanned(
        run_id=command.run_id,
        tasks=tasks,
        errors=errors,
        notes=_bounded_notes([*command.notes, *notes]),
    )


def _in_turn(streams: Iterable[str]) -> Iterator[str]:
    """One of each source after the other, so that none waits for all of another."""
    by_source: defaultdict[str, list[str]] = defaultdict(list)
    for stream in streams:
        by_source[stream.partition("/")[0]].append(stream)
    for row in zip_longest(*by_source.values()):
        yield from filter(None, row)


def _bounded_notes(notes: list[str]) -> list[str]:
    more = len(notes) - MAX_NOTES
    if more <= 0:
        return notes
    return [*notes[:MAX_NOTES], f"{more} more notes are left out"]


def _planned(run_id: str, stream: str) -> PlannedTask:
    source = stream.partition("/")[0]
    return PlannedTask(
        task_id=task_id(run_id, stream), source=source, stream=stream
    )


async def _configured(
    command: StartIngestion, sources: Sources, wanted: list[str]
) -> tuple[dict[str, StreamInfo], list[str], list[RunError]]:
    """(the streams that the sources list, notes about them, what of them cannot be read)."""
    found: dict[str, StreamInfo] = {}
    notes = []
    errors = []
    for name in wanted:
        source = sources[name]
        try:
            listed = await source.streams()
            left_out = await source.left_out()
        except (MemoryError, TransientError):
            raise
        except Exception as error:  # noqa: BLE001  the other sources are read all the same
            errors.append(_unlisted(name, error))
            continue
        found.update({info.stream: info for info in listed})
        for left in left_out:
            if left.is_missed:
                errors.append(_missed(name, left))
            else:
                notes.append(left.sentence)
        is_missed = command.sources is not None or not source.is_optional
        if not listed and is_missed:
            notes.append(
                f"{name}: no streams, {source.nothing_configured()}"
            )
    return found, notes, errors


def _unlisted(source: str, error: Exception) -> RunError:
    """The streams of a source cannot be listed."""
    log.error(
        "listing_crashed",
        source=source,
        exc_info=error,
    )
    return RunError(
        code=UNLISTED, message=last_line(error), source=source
    )


def _missed(source: str, left: LeftOut) -> RunError:
    return RunError(
        code="unreadable_file", message=left.sentence, source=source
    )


def _history(
    command: StartIngestion, sources: Sources, wanted: list[str]
) -> tuple[dict[str, StreamInfo], list[str]]:
    """(the streams of the command's days, notes). The gateway refuses days that are invalid."""
    start = date.fromisoformat(str(command.start))
    end = date.fromisoformat(str(command.end))
    found = {
        info.stream: info
        for name in wanted
        for info in sources[name].history(start, end)
        if _is_of(info.stream, command.streams)
    }
    return found, [] if found else [NO_HISTORY]


def _is_of(stream: str, parents: list[str] | None) -> bool:
    return parents is None or any(
        stream.startswith(f"{parent}/") for parent in parents
    )


def _chosen(
    streams: list[str],
    sources: Sources,
    wanted: list[str],
    listed: dict[str, StreamInfo],
) -> tuple[dict[str, StreamInfo], list[RunError]]:
    """(the streams that were asked for, errors for those that do not exist)."""
    known = dict(listed)
    for name in wanted:
        for stream in streams:
            info = (
                None if stream in listed else sources[name].find(stream)
            )
            if info is not None:
                known[stream] = info
    unknown = [
        _unknown_stream(stream, known)
        for stream in streams
        if stream not in known and stream.partition("/")[0] in sources
    ]
    return {
        stream: known[stream] for stream in streams if stream in known
    }, unknown


def _wanted_sources(
    command: StartIngestion, sources: Sources
) -> tuple[list[str], list[RunError]]:
    names = command.sources
    if names is None and command.streams is not None:
        names = [stream.partition("/")[0] for stream in command.streams]
    if names is None:
        names = list(sources)
    names = list(dict.fromkeys(names))
    errors = [
        _unknown_source(name, sources)
        for name in names
        if name not in sources
    ]
    return [name for name in names if name in sources], errors


def _unknown_source(name: str, sources: Sources) -> RunError:
    message = f"there is no source {name!r}: use {', '.join(sources)}"
    return RunError(code="unknown_source", message=message, source=name)


def _unknown_stream(
    stream: str, found: dict[str, StreamInfo]
) -> RunError:
    some = ", ".join(name[:80] for name in list(found)[:3]) or "none"
    more = " …" if len(found) > 3 else ""
    return RunError(
        code="unknown_stream",
        message=f"there is no stream {stream!r}; known are: {some}{more}",
        stream=stream,
        source=stream.partition("/")[0],
    )


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


def parts_of(planned: RunPlanned) -> list[RunPlanned]:
    """RunPlanned in messages of bounded size; the last one says that it is the last."""
    errors = _bounded(planned.errors)
    tasks = planned.tasks
    parts = []
    for start in range(0, max(len(tasks), 1), TASKS_A_MESSAGE):
        end = start + TASKS_A_MESSAGE
        part = msgspec.structs.replace(
            planned,
            tasks=tasks[start:end],
            errors=errors,
            is_last=end >= len(tasks),
        )
        parts.append(part)
    return parts


def _bounded(errors: list[RunError]) -> list[RunError]:
    more = len(errors) - MAX_ERRORS
    if more <= 0:
        return errors
    message = f"{more} more streams could not be planned"
    source = errors[-1].source
    rest = RunError(code="more_errors", message=message, source=source)
    return [*errors[:MAX_ERRORS], rest]


class Planner:
    """Consumes ingest.commands in the planners' group: one of them plans, the others wait."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        sources: Sources,
        schedule: Schedule,
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
        self._schedule = schedule
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
            if self.held():
                await self._schedule.ask_when_due()

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
        try:
            return await plan(command, self._sources)
        except Exception as error:
            log.error(
                "planning_crashed", run_id=command.run_id, exc_info=error
            )
            message = f"{type(error).__name__}: {error}"[:MAX_CRASH]
            crash = RunError(code="internal_error", message=message)
            return RunPlanned(run_id=command.run_id, errors=[crash])

    async def _hand_out(
        self, run_id: str, tasks: Sequence[ReplayPages | SetCursor]
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

    async def _publish_tasks(
        self, tasks: Sequence[FetchStream | ReplayPages | SetCursor]
    ) -> None:
        """Many at a time, those of a partition in their order."""
        for first in range(0, len(tasks), TASKS_AT_A_TIME):
            some = tasks[first : first + TASKS_AT_A_TIME]
            await asyncio.gather(*map(self._publish_task, some))

    async def _publish_task(
        self, task: FetchStream | ReplayPages | SetCursor
    ) -> None:
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
