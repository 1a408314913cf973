"""The composition root of the loader."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from services.loader.consumer import SUBSCRIBED, Loader
from services.loader.database import AWAY, build_engine
from services.loader.migrate import migrate
from services.loader.retention import Retention
from services.loader.runs.reconciler import Caretaker
from services.loader.settings import LoaderSettings
from shared.errors import TransientError
from shared.kafka import clients
from shared.kafka.lag import LagReader
from shared.kafka.progress import Monitor
from shared.messages.topics import LOADER_GROUP
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.lifecycle import sleep_or_stop, until_first_ends

log = logs.get(__name__)


async def run(settings: LoaderSettings, health: Health, stop: asyncio.Event) -> None:
    """Migrate if nobody has yet, then load until stopped."""
    health.set(ready=False, reason="waiting for PostgreSQL and Kafka")
    while not stop.is_set():
        try:
            await asyncio.to_thread(migrate, settings, 5)
            break
        except TransientError as error:
            log.warning("migration_postponed", error=str(error))
            await sleep_or_stop(stop, 1)
    bootstrap, client = settings.kafka_bootstrap_servers, f"loader-{os.getpid()}"
    consumer = clients.consumer(
        bootstrap,
        client,
        group=LOADER_GROUP,
        session_timeout_ms=settings.kafka_session_timeout_ms,
        fetch_max_wait_ms=clients.PAGES_MAX_WAIT_MS,
    )
    producer, lag = clients.producer(bootstrap, client), LagReader(bootstrap, client)
    consumer.subscribe([topic.name for topic in SUBSCRIBED])
    engine = build_engine(settings.sqlalchemy_url(), stuck_after_s=settings.stuck_after_s)
    limits = ("sweep_interval_s", "incomplete_after_s", "repair_after_s", "reject_limit_pages", "reject_limit_share")
    retention = Retention(engine, raw=settings.raw_retention, revisions=settings.revisions_retention)
    caretaker = Caretaker(engine, producer, lag, **settings.model_dump(include=set(limits)), retention=retention)
    loader = Loader(consumer, producer, engine, batch_pages=settings.batch_pages, caretaker=caretaker)
    started: list[Any] = []
    try:
        for each in (producer, lag, consumer):
            if not await (each.start(stop) if isinstance(each, LagReader) else clients.start(each, stop, type(each).__name__)):
                return
            started.append(each)
        log.info("ready")
        monitor = Monitor(lag, LOADER_GROUP, SUBSCRIBED, health, stuck_after_s=settings.stuck_after_s)
        watching = monitor.run(
            held=loader.held, trouble=lambda: loader.trouble, is_working=lambda: bool(loader.trouble) or loader.is_publishing
        )
        await until_first_ends(loader.run(stop), watching, caretaker.run(AWAY))
    finally:
        for each in reversed(started):
            await (each.close() if isinstance(each, LagReader) else each.stop())
        engine.dispose()
