"""The composition root: the only place where the notifier's parts are put together."""

from __future__ import annotations

import asyncio
import os

from services.notifier.sender import Sender
from services.notifier.settings import NotifierSettings
from services.notifier.watcher import SUBSCRIBED, Watcher
from shared.configuration.setting_log import SettingLog
from shared.kafka import clients, starts, topic_admin
from shared.kafka.checkpoint_log import CheckpointLog
from shared.kafka.clients import KafkaClient
from shared.kafka.lag import LagReader
from shared.kafka.progress import Monitor
from shared.kafka.topic_follower import TopicFollower
from shared.messages.topics import (
    CONFIGURATION,
    NOTIFICATIONS,
    SENDER_GROUP,
    WATCHER_GROUP,
)
from shared.monitoring import service_state
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.lifecycle import run_until_first_exits, started

log = logs.get(__name__)


async def run(
    settings: NotifierSettings, health: Health, stop: asyncio.Event
) -> None:
    """Wait for Kafka and the topics, then watch and tell until stopped."""
    bootstrap = settings.kafka_bootstrap_servers
    health.set(ready=False, reason="waiting for Kafka")
    await topic_admin.wait_for_topics(bootstrap, stop)
    name = f"notifier-{os.getpid()}"
    timeout_ms = settings.kafka_session_timeout_ms
    producer = clients.producer(bootstrap, name)
    watching, sending, reader = (
        clients.consumer(
            bootstrap, name, group=group, session_timeout_ms=timeout_ms
        )
        for group in (WATCHER_GROUP, SENDER_GROUP, None)
    )
    lag = LagReader(bootstrap, name)
    known = SettingLog(settings.signing_secret())
    follower = TopicFollower(bootstrap, CONFIGURATION, name, known.saw)
    checkpoints = CheckpointLog(bootstrap, f"{name}-checkpoints")
    watcher = Watcher(watching, reader, producer, known, checkpoints)
    sender = Sender(sending, producer, known, settings)
    limit = settings.stuck_after_s
    of_watcher = Monitor(
        lag, WATCHER_GROUP, SUBSCRIBED, health, stuck_after_s=limit
    )
    of_sender = Monitor(
        lag,
        SENDER_GROUP,
        [NOTIFICATIONS],
        Health(None),
        stuck_after_s=limit,
    )
    parts = (
        KafkaClient(producer),
        lag,
        follower,
        checkpoints.follower,
        KafkaClient(reader),
        KafkaClient(watching),
        KafkaClient(sending),
    )
    async with started(stop, *parts) as is_up:
        if not is_up:
            return
        await starts.announce(producer, "notifier", settings.health_file)
        log.info("ready")

        async def watch() -> None:
            # What is configured counts from the first record on.
            await follower.catch_up()
            await watcher.run(stop)

        await run_until_first_exits(
            follower.run(),
            checkpoints.follower.run(),
            watch(),
            sender.run(stop),
            of_watcher.run(held=watcher.held),
            of_sender.run(held=sender.held, is_working=sender.is_working),
            service_state.tell(
                producer,
                "notifier",
                starts.instance_name(settings.health_file),
                health,
            ),
        )
