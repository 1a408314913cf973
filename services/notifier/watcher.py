"""Looks at what happens, and publishes what webhooks are to be told."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from services.notifier import conditions
from services.notifier.conditions import FRESH_S, Prices, Told
from services.notifier.points import is_history, of_now
from shared.blame import last_line
from shared.configuration.setting_log import SettingLog
from shared.configuration.settings import Event, Kind, Webhook
from shared.errors import TransientError
from shared.http.notifications import Notification
from shared.identity.ids import notification_id
from shared.kafka import publishing, reading
from shared.kafka.checkpoint_log import CheckpointLog, is_stream
from shared.kafka.gap_aware_consumer import GapAwareConsumer, publisher
from shared.messages.base import Json
from shared.messages.checkpoints import Checkpoint
from shared.messages.run_events import RunEnded, TaskFailed
from shared.messages.serialization import (
    UndecodableError,
    decode,
    run_event_decoder,
    unified_page_decoder,
)
from shared.messages.topics import (
    NOTIFICATIONS,
    RUN_EVENTS,
    UNIFIED,
    WATCHER_GROUP,
)
from shared.runtime import logs
from shared.runtime.lifecycle import sleep_or_stop
from shared.values.times import now_ms

LOOK_EVERY_S = 5.0
REMEMBERED = 20_000  # that were told
BAD = frozenset({"failed", "incomplete"})
SUBSCRIBED = (UNIFIED, RUN_EVENTS)
_RUN_EVENTS_AT = TopicPartition(RUN_EVENTS.name, 0)
log = logs.get(__name__)


class Watcher:
    """What it had seen of prices before it was started is read again from the topic."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        reader: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        settings: SettingLog,
        checkpoints: CheckpointLog,
    ) -> None:
        """`reader`: a consumer without a group, for looks back."""
        self._consumer = consumer
        self._reader = reader
        self._producer = producer
        self._settings = settings
        self._checkpoints = checkpoints
        self._prices = Prices()
        self._warmed: set[TopicPartition] = set()
        self._told: OrderedDict[str, None] = OrderedDict()
        self._looked_at = 0.0
        self._source = GapAwareConsumer(
            consumer, WATCHER_GROUP, publisher(producer, "notifier")
        )
        consumer.subscribe([topic.name for topic in SUBSCRIBED])

    def held(self) -> set[TopicPartition]:
        return set(self._consumer.assignment())

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            batches = await self._source.getmany(
                timeout_ms=500, max_records=200
            )
            self._warmed &= self.held()
            for at, records in batches.items():
                await self._until_told(at, records, stop)
                if stop.is_set():
                    return
                await self._commit(at, records[-1].offset + 1)
            await self._look_for_silence()

    def webhooks(self, at_ms: int) -> dict[str, Webhook]:
        """Those that were there at a time: what was before is not told."""
        return {
            name: setting.value
            for name, setting in self._settings.of(Kind.WEBHOOK)
            if isinstance(setting.value, Webhook)
            and setting.changed_at <= at_ms
        }

    async def _until_told(
        self, at: TopicPartition, records: list[Any], stop: asyncio.Event
    ) -> None:
        """Each record, again and again while Kafka is away; what is told twice is the same."""
        for record in records:
            webhooks = self.webhooks(record.timestamp)
            while not stop.is_set():
                try:
                    await self._handle(at, record, webhooks)
                except TransientError as error:
                    log.warning("watching_postponed", error=str(error))
                    await sleep_or_stop(stop, 1)
                else:
                    break

    async def _handle(
        self,
        at: TopicPartition,
        record: Any,
        webhooks: dict[str, Webhook],
    ) -> None:
        if not webhooks:
            return
        if record.topic == RUN_EVENTS.name:
            found = list(_of_event(record, webhooks))
        else:
            if at not in self._warmed:
                await self._look_back(at, record, webhooks)
                self._warmed.add(at)
            found = [
                each async for each in self._of_page(record, webhooks)
            ]
        for name, told in found:
            await self._tell(name, told)

    async def _of_page(
        self, record: Any, webhooks: dict[str, Webhook]
    ) -> AsyncIterator[tuple[str, Told]]:
        """What came long ago, while nobody watched, is known and not told."""
        for point in _points(record):
            if time.time() - point.at_s <= FRESH_S:
                for name, webhook in webhooks.items():
                    for told in conditions.met(
                        webhook, point, self._prices
                    ):
                        yield name, told
            self._prices.saw(point)
            await asyncio.sleep(0)  # there may be many conditions

    async def _look_back(
        self,
        at: TopicPartition,
        record: Any,
        webhooks: dict[str, Webhook],
    ) -> None:
        """Know the prices before a record, as far back as conditions look.

        Raises TransientError.
        """
        self._prices.window_s = conditions.window_of(webhooks.values())
        since = record.timestamp - round(self._prices.window_s * 1000)
        try:
            found = await self._reader.offsets_for_times({at: since})
            begin = found[at].offset if found.get(at) else record.offset
        except (KafkaError, OSError) as error:
            raise _unreadable(at, error) from error
        async for earlier in reading.between(
            self._reader, at, begin, record.offset
        ):
            for point in _points(earlier):
                self._prices.saw(point)

    async def _look_for_silence(self) -> None:
        """Of sources: by whoever holds the events of runs, which are one partition."""
        now = time.monotonic()
        if now < self._looked_at + LOOK_EVERY_S:
            return
        self._looked_at = now
        if _RUN_EVENTS_AT not in self.held():
            return
        last = self._last_success_s()
        try:
            for name, webhook in self.webhooks(now_ms()).items():
                for told in conditions.stale(webhook, last, time.time()):
                    await self._tell(name, told)
        except TransientError as error:
            log.warning("watching_postponed", error=str(error))

    def _last_success_s(self) -> dict[str, float]:
        """Of each source: the newest checkpoint of a stream whose last task had no error."""
        found: dict[str, float] = {}
        for checkpoint in self._checkpoints.all():
            moved = self._checkpoints.moved_at(checkpoint.stream)
            if moved and _has_succeeded(checkpoint):
                source = checkpoint.stream.partition("/")[0]
                at_s = moved.timestamp()
                found[source] = max(found.get(source, 0.0), at_s)
        return found

    async def _tell(self, webhook: str, told: Told) -> None:
        """Once, as far as this process knows. Raises TransientError."""
        found = notification_id(webhook, told.type, told.key)
        if found in self._told:
            return
        notification = Notification(
            id=found,
            webhook=webhook,
            event=told.type,
            at=now_ms(),
            data=told.data,
        )
        await publishing.publish(
            self._producer,
            NOTIFICATIONS,
            notification,
            key=webhook,
            service="notifier",
            event_id=found,
        )
        self._remember(found)

    def _remember(self, told: str) -> None:
        self._told[told] = None
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    async def _commit(self, at: TopicPartition, offset: int) -> None:
        try:
            await self._source.commit({at: offset})
        except KafkaError as error:  # looked at again: told again alike
            log.warning("commit_failed", error=repr(error))


def _points(record: Any) -> Iterator[conditions.Point]:
    """Of a page of now; what cannot be read is the loader's to keep."""
    stream = (record.key or b"").decode("utf-8", "replace")
    try:
        page = decode(unified_page_decoder, record.value)
        if not is_history(stream, page):
            yield from of_now(page, record.timestamp / 1000)
    except (UndecodableError, ValueError, ArithmeticError) as error:
        log.info(
            "page_passed_over",
            offset=record.offset,
            error=last_line(error),
        )


def _has_succeeded(checkpoint: Checkpoint) -> bool:
    """Whether it is a stream's, whose last task had no error."""
    ended = checkpoint.finished
    is_good = bool(ended) and ended[-1].error is None
    return is_good and is_stream(checkpoint.stream)


def _of_event(
    record: Any, webhooks: dict[str, Webhook]
) -> Iterator[tuple[str, Told]]:
    try:
        event = decode(run_event_decoder, record.value)
    except UndecodableError:
        return  # the loader keeps it
    for name, webhook in webhooks.items():
        match event:
            case RunEnded():
                yield from _of_run(name, webhook, event)
            case TaskFailed() if Event.STREAM_FAILED in webhook.events:
                sources = webhook.sources
                if sources is None or event.source in sources:
                    yield name, _of_failure(event)


def _of_run(
    name: str, webhook: Webhook, event: RunEnded
) -> Iterator[tuple[str, Told]]:
    data = _of_end(event)
    key = f"{event.run_id} {event.status}"
    if Event.RUN_ENDED in webhook.events:
        yield name, Told(Event.RUN_ENDED, key, data)
    if Event.RUN_FAILED in webhook.events and event.status in BAD:
        yield name, Told(Event.RUN_FAILED, key, data)


def _of_end(event: RunEnded) -> Json:
    return {
        "run_id": event.run_id,
        "kind": event.kind,
        "status": event.status,
        "message": event.message,
    }


def _of_failure(event: TaskFailed) -> Told:
    data = {
        "run_id": event.run_id,
        "source": event.source,
        "stream": event.stream,
        "code": event.error.code,
        "message": event.error.message,
    }
    return Told(Event.STREAM_FAILED, event.task_id, data)


def _unreadable(at: TopicPartition, error: Exception) -> TransientError:
    return TransientError(f"{at.topic} cannot be read back: {error!r}")
