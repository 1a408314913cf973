"""Faust: raw pages in, unified pages out.

A page is acknowledged after the broker has its unified page, never before. Faust acknowledges in
`finally` whatever happens to a message, also when it is cancelled at SIGTERM. So the stream is
`noack()`, deliveries acknowledge when they are done, and any other way out of a page ends the
process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust
from aiokafka import AIOKafkaProducer, TopicPartition

from services.normalizer.mapping.confined import ConfinedMapping
from services.normalizer.mapping.page import Elsewhere
from services.normalizer.settings import NormalizerSettings
from services.normalizer.transport import App
from services.normalizer.unify import (
    holds_markup,
    unify,
    unify_replayed,
)
from shared.access import kafka_login
from shared.blame import UnprocessableError, try_twice
from shared.errors import POISON_EXIT_CODE, StuckError
from shared.kafka import clients, starts
from shared.kafka.lag import LagReader
from shared.kafka.partitions import partitions_of
from shared.kafka.progress import Monitor
from shared.messages.base import Stage
from shared.messages.headers import (
    BrokerPosition,
    Headers,
    first_position,
    fitting,
    headers_for,
    origin_headers,
)
from shared.messages.pages import RawPage, UnifiedPage, count_of
from shared.messages.serialization import UndecodableError, encode
from shared.messages.topics import (
    DEAD_LETTERS,
    NORMALIZER_GROUP,
    RAW,
    REPLAY_PAGES,
    UNIFIED,
    UNIFIED_REPLAY,
)
from shared.monitoring import metrics, service_state
from shared.runtime import confined, logs
from shared.runtime.health import Health
from shared.runtime.lifecycle import (
    before_end,
    end_process,
    keep_beating,
)
from shared.runtime.room import Room
from shared.runtime.suspects import Suspects, Turns, place

READ = (RAW, REPLAY_PAGES)
BUFFERED_PAGES = 64
MAX_DELIVERY_BYTES = 12 << 20  # of unified pages on their way
DAY_S = 24 * 3600.0
# What is not committed counts as waiting: replays, which let little wait, would stand still for it.
COMMIT_EVERY_S = 0.2
CLOSE_TIMEOUT_S = 3.0
log = logs.get(__name__)


def end_without_acknowledging(reason: str, **facts: Any) -> None:
    """The page comes again, to this service after its restart or to another."""
    log.critical("ending_without_acknowledging", why=reason, **facts)
    end_process(POISON_EXIT_CODE)


class Deliveries:
    """Unified pages on their way to the broker; each acknowledges its raw page on arrival."""

    def __init__(self, producer: AIOKafkaProducer, limit: int) -> None:
        self._producer = producer
        self._limit = limit
        self._slots = asyncio.Semaphore(limit)
        self._room = Room(MAX_DELIVERY_BYTES)

    async def send(
        self,
        topic: str,
        value: bytes,
        event: Any,
        *,
        key: bytes | None,
        partition: int,
        headers: Headers,
    ) -> None:
        """Begin a delivery, waiting while as many as allowed are under way."""
        await self._slots.acquire()
        taken = 0
        try:
            taken = await self._room.take(len(value))
            future = await self._producer.send(
                topic,
                value,
                key=key,
                partition=partition,
                headers=headers,
            )
        except BaseException:
            self._give_back(taken)
            raise
        future.add_done_callback(
            lambda done: self._delivered(done, event, taken)
        )

    async def drain(self) -> None:
        """Wait until nothing is on its way."""
        for _ in range(self._limit):
            await self._slots.acquire()
        for _ in range(self._limit):
            self._slots.release()

    def _give_back(self, taken: int) -> None:
        self._slots.release()
        self._room.give_back(taken)

    def _delivered(
        self, done: asyncio.Future[Any], event: Any, taken: int
    ) -> None:
        self._give_back(taken)
        if done.cancelled() or done.exception() is not None:
            error = (
                "cancelled"
                if done.cancelled()
                else repr(done.exception())
            )
            end_without_acknowledging(
                "a unified page was not delivered",
                error=error,
                partition=event.message.partition,
                offset=event.message.offset,
            )
        event.ack()


def _unified(
    message: Any, elsewhere: Elsewhere | None = None
) -> tuple[RawPage, UnifiedPage]:
    if message.topic == REPLAY_PAGES.name:
        return unify_replayed(message.value, elsewhere)
    here = BrokerPosition(message.offset, round(message.timestamp * 1000))
    first = first_position(message.headers, here)
    return unify(
        message.value,
        partition=message.partition,
        offset=first.offset,
        broker_ms=first.time_ms,
        republished=first != here,
        elsewhere=elsewhere,
    )


@dataclass(frozen=True)
class Mapper:
    """What pages are mapped with. After a death by signal one page at a time is in work."""

    confined: ConfinedMapping
    turns: Turns

    async def unified(self, message: Any) -> tuple[RawPage, UnifiedPage]:
        """Raises UndecodableError, UnprocessableError."""
        at = place(message.topic, message.partition, message.offset)
        async with self.turns.alone(at):
            return await self._unified(message)

    async def _unified(self, message: Any) -> tuple[RawPage, UnifiedPage]:
        if holds_markup(message.value):
            return await asyncio.to_thread(
                _unified, message, self.confined.outcomes
            )
        return _unified(message)


async def handle(
    event: Any, deliveries: Deliveries, mapper: Mapper
) -> None:
    """One raw or replayed message, whatever it is, becomes a unified page or a dead letter."""

    async def publish() -> None:
        await _publish_unified(event, deliveries, mapper)

    try:
        await try_twice(publish)
    except (UndecodableError, UnprocessableError) as error:
        await _dead_letter(event, error, deliveries)


async def _publish_unified(
    event: Any, deliveries: Deliveries, mapper: Mapper
) -> None:
    """Raises UndecodableError, UnprocessableError."""
    message = event.message
    page, unified = await mapper.unified(message)
    if page.rejections or unified.rejected:
        _log_rejections(message, page, unified)
    topic = UNIFIED
    run_id = page.run_id
    if unified.replay is not None:
        topic = UNIFIED_REPLAY
        run_id = unified.replay.run_id
    await deliveries.send(
        topic.name,
        encode(unified),
        event,
        key=page.stream.encode(),
        partition=message.partition,
        headers=headers_for(
            unified, "normalizer", event_id=page.page_id, run_id=run_id
        ),
    )
    size = len(message.value)
    metrics.count_pages(page.source, 1, page.record_count, size)
    if topic is UNIFIED and not unified.republished:
        metrics.note_page_time(page.source, unified.raw_time, page.run_id)


async def _dead_letter(
    event: Any,
    error: UndecodableError | UnprocessableError,
    deliveries: Deliveries,
) -> None:
    message = event.message
    log.error(
        "raw_page_undecodable",
        partition=message.partition,
        offset=message.offset,
        error=str(error),
    )
    # Acknowledged in order: Faust's committed offset may pass one page that is still on its way.
    await deliveries.drain()
    await deliveries.send(
        DEAD_LETTERS.name,
        fitting(message.value),
        event,
        key=message.key,
        partition=0,
        headers=origin_headers(
            message.topic,
            message.partition,
            message.offset,
            error,
            Stage.MAP,
        ),
    )
    await deliveries.drain()


def _log_rejections(
    message: Any, page: RawPage, unified: UnifiedPage
) -> None:
    log.warning(
        "records_rejected",
        run_id=page.run_id,
        stream=page.stream,
        page_no=page.page_no,
        partition=message.partition,
        offset=message.offset,
        rejected=count_of(unified.rejected),
        first=unified.rejected[0].message,
    )


def held_by(app: faust.App) -> set[TopicPartition]:
    """The partitions that this instance has to see to.

    In a rebalance all of them: one that does not end is a standstill too.
    """
    if app.rebalancing:
        return {at for topic in READ for at in partitions_of(topic)}
    return {
        TopicPartition(at.topic, at.partition)
        for at in app.consumer.assignment()
    }


def _credentials() -> Any:
    """What Faust's own clients say to Kafka; None where nothing is asked. Raises ConfigError."""
    login = kafka_login.options()
    if not login:
        return None
    if "sasl_mechanism" not in login:
        return faust.SSLCredentials(login["ssl_context"])
    return faust.SASLCredentials(
        username=login["sasl_plain_username"],
        password=login["sasl_plain_password"],
        mechanism=login["sasl_mechanism"],
        ssl_context=login["ssl_context"],
    )


def _faust_app(settings: NormalizerSettings) -> faust.App:
    """The app's id is the consumer group.

    Nothing of it may change between versions that run side by side.
    """
    brokers = settings.kafka_bootstrap_servers.replace(",", ";kafka://")
    datadir = (
        Path(tempfile.gettempdir()) / f"crypto-ingest-faust-{os.getuid()}"
    )
    return App(
        NORMALIZER_GROUP,
        bootstrap=settings.kafka_bootstrap_servers,
        version=1,
        broker=f"kafka://{brokers}",
        broker_credentials=_credentials(),
        autodiscover=False,
        web_enabled=False,
        datadir=str(datadir),
        store="memory://",
        value_serializer="raw",
        key_serializer="raw",
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_buffer_maxsize=BUFFERED_PAGES,
        broker_max_poll_records=BUFFERED_PAGES,
        broker_commit_interval=COMMIT_EVERY_S,
        broker_commit_every=BUFFERED_PAGES,
        broker_session_timeout=settings.kafka_session_timeout_ms / 1000,
        broker_heartbeat_interval=2.0,
        broker_request_timeout=20.0,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=clients.fetch_bytes(),
        stream_processing_timeout=DAY_S,
        worker_redirect_stdouts=False,
        processing_guarantee="at_least_once",
    )


def build_app(settings: NormalizerSettings, health: Health) -> faust.App:
    """The Faust app with its agents, and the task that reports its health."""
    app = _faust_app(settings)
    bootstrap = settings.kafka_bootstrap_servers
    client = f"normalizer-{os.getpid()}"
    suspects = Suspects(settings.health_file)
    before_end(suspects.end)
    mapper = Mapper(ConfinedMapping(), Turns(suspects))
    confined.prepare()

    async def normalize(stream: Any) -> None:
        producer = clients.producer(bootstrap, client)
        await clients.start(producer, asyncio.Event(), "producer")
        deliveries = Deliveries(producer, settings.max_deliveries)
        queue = stream.channel.queue
        app.waiting.append(queue)
        try:
            async for event in stream.noack().events():
                _remember(app, event.message)
                await _handle_or_end(event, deliveries, mapper)
        finally:
            app.waiting.remove(queue)
            await _close(producer.stop())

    for topic in READ:
        channel = app.topic(
            topic.name,
            key_serializer="raw",
            value_serializer="raw",
            internal=False,
        )
        app.agent(channel, name=f"normalizer.{topic.name}")(normalize)

    @app.task  # type: ignore[untyped-decorator]
    async def _report_health() -> None:
        never = asyncio.Event()
        lag = LagReader(bootstrap, client)
        await lag.start(never)
        producer = clients.producer(bootstrap, client)
        await clients.start(producer, never, "producer")
        if not suspects.was_asked_to_end:
            await starts.announce(
                producer, "normalizer", settings.health_file
            )
        instance = starts.instance_name(settings.health_file)
        telling = asyncio.create_task(
            service_state.tell(producer, "normalizer", instance, health)
        )
        limit = settings.stuck_after_s
        monitor = Monitor(
            lag, NORMALIZER_GROUP, READ, health, stuck_after_s=limit
        )
        try:
            await _watch(app, monitor, health)
        finally:
            telling.cancel()
            await _close(lag.close())
            await _close(producer.stop())

    return app


def _remember(app: faust.App, message: Any) -> None:
    """For the commit of its offset."""
    at = TopicPartition(message.topic, message.partition)
    app.witness.saw(at, message.offset, round(message.timestamp * 1000))


async def _close(closing: Awaitable[None]) -> None:
    """Pages whose delivery does not end come again."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await closing


async def _handle_or_end(
    event: Any, deliveries: Deliveries, mapper: Mapper
) -> None:
    try:
        await handle(event, deliveries, mapper)
    except BaseException as error:  # noqa: BLE001  CancelledError too: Faust would acknowledge
        end_without_acknowledging(
            "a page was left",
            error=repr(error),
            partition=event.message.partition,
            offset=event.message.offset,
        )


async def _watch(
    app: faust.App, monitor: Monitor, health: Health
) -> None:
    beating = asyncio.create_task(keep_beating(health))
    try:
        await monitor.run(
            held=lambda: held_by(app),
            trouble=lambda: "rebalancing" if app.rebalancing else "",
        )
    except StuckError as error:
        end_without_acknowledging(str(error))
    finally:
        beating.cancel()
