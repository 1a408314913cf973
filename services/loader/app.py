"""The composition root: the only place where the loader's parts are put together."""

from __future__ import annotations

import asyncio
import os

import sqlalchemy.exc
from aiokafka import AIOKafkaConsumer
from sqlalchemy import Engine

from services.loader import trouble
from services.loader.consumer import SUBSCRIBED, Loader
from services.loader.database import (
    DATABASE_UNAVAILABLE,
    build_engine,
    reason_of,
)
from services.loader.migrate import is_current
from services.loader.retention import Retention
from services.loader.runs.reconciler import RunReconciler
from services.loader.settings import LoaderSettings
from shared.kafka import clients, starts, topic_admin
from shared.kafka.clients import KafkaClient
from shared.kafka.lag import LagReader
from shared.kafka.progress import Monitor
from shared.kafka.witness import Witness
from shared.messages.topics import LOADER_GROUP
from shared.monitoring import service_state
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.lifecycle import (
    before_end,
    run_until_first_exits,
    sleep_or_stop,
    started,
)
from shared.runtime.suspects import Suspects

HOW_TO_MIGRATE = "python -m services.loader migrate"
log = logs.get(__name__)


async def run(
    settings: LoaderSettings, health: Health, stop: asyncio.Event
) -> None:
    """Wait for the migration, then load until stopped."""
    health.set(ready=False, reason="waiting for PostgreSQL and Kafka")
    await _await_schema(settings, stop)
    bootstrap = settings.kafka_bootstrap_servers
    client = f"loader-{os.getpid()}"
    producer = clients.producer(bootstrap, client)
    consumer = _consumer(settings, client)
    lag = LagReader(bootstrap, client)
    limit = settings.stuck_after_s
    engine = build_engine(settings.writer_url(), stuck_after_s=limit)
    retention = _retention(engine, settings)
    reconciler = RunReconciler(engine, producer, lag, settings, retention)
    instance = starts.instance_name(settings.health_file)
    suspects = Suspects(settings.health_file)
    before_end(suspects.end)
    pages = settings.batch_pages
    loader = Loader(
        consumer,
        producer,
        engine,
        batch_pages=pages,
        reconciler=reconciler,
        witness=Witness(bootstrap, LOADER_GROUP),
        suspects=suspects,
        secret=settings.signing_secret(),
    )
    monitor = Monitor(
        lag, LOADER_GROUP, SUBSCRIBED, health, stuck_after_s=limit
    )
    parts = (KafkaClient(producer), lag, KafkaClient(consumer))
    try:
        async with started(stop, *parts) as is_up:
            if not is_up:
                return
            if not suspects.was_asked_to_end:
                await starts.announce(
                    producer, "loader", settings.health_file
                )
            log.info("ready")
            await run_until_first_exits(
                loader.run(stop),
                reconciler.run(DATABASE_UNAVAILABLE),
                _watch(monitor, loader),
                trouble.tell(producer, lambda: loader.trouble),
                service_state.tell(producer, "loader", instance, health),
            )
    finally:
        engine.dispose()


def _retention(engine: Engine, settings: LoaderSettings) -> Retention:
    return Retention(
        engine,
        raw=settings.raw_retention,
        revisions=settings.revisions_retention,
        points=settings.points_retention,
        runs=settings.runs_retention,
        changes=settings.changes_retention,
        audit=settings.audit_retention,
    )


def _consumer(settings: LoaderSettings, client: str) -> AIOKafkaConsumer:
    consumer = clients.consumer(
        settings.kafka_bootstrap_servers,
        client,
        group=LOADER_GROUP,
        session_timeout_ms=settings.kafka_session_timeout_ms,
    )
    consumer.subscribe([topic.name for topic in SUBSCRIBED])
    return consumer


async def _watch(monitor: Monitor, loader: Loader) -> None:
    await monitor.run(
        held=loader.held,
        trouble=lambda: loader.trouble,
        is_working=loader.is_working,
    )


async def _await_schema(
    settings: LoaderSettings, stop: asyncio.Event
) -> None:
    """Wait for the migration, which is a step of its own: the loader may not make tables."""
    bootstrap = settings.kafka_bootstrap_servers
    await topic_admin.wait_for_topics(bootstrap, stop)
    engine = build_engine(settings.writer_url())
    try:
        while not stop.is_set():
            reason = await asyncio.to_thread(_why_not_current, engine)
            if reason is None:
                return
            log.warning(
                "schema_awaited", reason=reason, how=HOW_TO_MIGRATE
            )
            await sleep_or_stop(stop, 1)
    finally:
        engine.dispose()


def _why_not_current(engine: Engine) -> str | None:
    """None when the tables are there. Blocks."""
    try:
        return None if is_current(engine) else "the tables are older"
    except (
        *DATABASE_UNAVAILABLE,
        sqlalchemy.exc.ProgrammingError,
    ) as error:
        return reason_of(error)
