"""The composition root of the loader."""

from __future__ import annotations

import asyncio
import os

from services.loader.consumer import SUBSCRIBED, Loader
from services.loader.migrate import migrate
from services.loader.settings import LoaderSettings
from services.loader.store import build_engine
from shared import kafka, logs
from shared.errors import TransientError
from shared.health import Health
from shared.lifecycle import sleep_or_stop, until_first_ends
from shared.progress import monitor
from shared.topics import LOADER_GROUP, UNIFIED

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
    consumer = kafka.consumer(
        settings.kafka_bootstrap_servers,
        f"loader-{os.getpid()}",
        group=LOADER_GROUP,
        session_timeout_ms=settings.kafka_session_timeout_ms,
        fetch_max_wait_ms=kafka.PAGES_MAX_WAIT_MS,
    )
    consumer.subscribe([topic.name for topic in SUBSCRIBED])
    engine = build_engine(settings.sqlalchemy_url())
    try:
        if await kafka.start(consumer, stop, "consumer"):
            log.info("ready")
            loader = Loader(
                consumer,
                engine,
                batch_pages=settings.batch_pages,
                sweep_interval_s=settings.sweep_interval_s,
                incomplete_after_s=settings.incomplete_after_s,
            )
            watching = monitor(settings.kafka_bootstrap_servers, LOADER_GROUP, UNIFIED, health, trouble=lambda: loader.trouble)
            await until_first_ends(loader.run(stop), watching)
            await consumer.stop()
    finally:
        engine.dispose()
