"""The gateway's side of Kafka: sending commands, and what is read there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from datetime import datetime

from aiokafka.errors import KafkaError

from services.gateway.kafka.asked_by import ASKED_BY
from services.gateway.kafka.command_log import CommandLog, PendingRun
from services.gateway.kafka.configuration import ConfigurationBus
from services.gateway.kafka.group_watch import GroupWatch
from services.gateway.kafka.service_log import ServiceLog
from services.gateway.problems import ProblemError, unavailable
from services.gateway.settings import GatewaySettings
from shared.configuration.setting_log import SettingLog
from shared.configuration.settings import Kind
from shared.errors import TransientError
from shared.http.notifications import Notification
from shared.kafka import clients, publishing, topic_admin
from shared.kafka.checkpoint_log import CheckpointLog
from shared.kafka.lag import GroupPositions, LagReader
from shared.kafka.topic_follower import TopicFollower
from shared.messages.commands import Command, MoveCheckpoint, RunCommand
from shared.messages.serialization import encode
from shared.messages.topics import (
    COMMANDS,
    CONFIGURATION,
    DEAD_LETTERS,
    EXTRACTOR_GROUP,
    LOADER_GROUP,
    NORMALIZER_GROUP,
    NOTIFICATIONS,
    PLANNER_GROUP,
    RAW,
    REPLAY_PAGES,
    REPLAY_TASKS,
    REPLAYER_GROUP,
    RUN_EVENTS,
    SERVICES,
    TASKS,
    UNIFIED,
    UNIFIED_REPLAY,
    WATCHER_GROUP,
    Topic,
)
from shared.monitoring import service_state
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.lifecycle import run_until_first_exits
from shared.values.times import from_ms

PUBLISH_TIMEOUT_S = 5.0
LAG_TIMEOUT_S = 3.0
CLOSE_TIMEOUT_S = 3.0
CONNECT_TIME_S = 4.0  # from a gateway's start on
MAX_COMMAND_BYTES = 64 * 1024
MAX_CURSOR_COMMAND_BYTES = 320 * 1024  # of one that carries a cursor
# Each group: how long it may be at work on one message, and what it reads.
WATCHED = {
    NORMALIZER_GROUP: (120.0, (RAW, REPLAY_PAGES)),
    LOADER_GROUP: (
        300.0,
        (
            UNIFIED,
            UNIFIED_REPLAY,
            RUN_EVENTS,
            COMMANDS,
            CONFIGURATION,
            DEAD_LETTERS,
        ),
    ),
    PLANNER_GROUP: (60.0, (COMMANDS,)),
    EXTRACTOR_GROUP: (900.0, (TASKS,)),
    REPLAYER_GROUP: (3600.0, (REPLAY_TASKS,)),
}
WATCHED_FOR_WEBHOOKS = {WATCHER_GROUP: (300.0, (UNIFIED, RUN_EVENTS))}
log = logs.get(__name__)


class CommandBus:
    """Kafka may be unavailable at any time; the gateway then answers so at once."""

    def __init__(self, settings: GatewaySettings) -> None:
        bootstrap = settings.kafka_bootstrap_servers
        client = f"gateway-{os.getpid()}"
        self._bootstrap = bootstrap
        self._producer = clients.producer(bootstrap, client)
        self._lag = LagReader(bootstrap, client)
        self._commands = CommandLog(bootstrap)
        self.checkpoints = CheckpointLog(
            bootstrap, f"gateway-checkpoints-{os.getpid()}"
        )
        self.services = ServiceLog()
        self._states = TopicFollower(
            bootstrap,
            SERVICES,
            f"gateway-services-{os.getpid()}",
            self.services.saw,
        )
        self.configuration = ConfigurationBus(
            settings, self._producer, self.checkpoints
        )
        self._followers = (
            self._commands.follower,
            self.checkpoints.follower,
            self._states,
            self.configuration.follower,
        )
        self.is_connected = False
        self._connected = asyncio.Event()  # once it was
        self._given_until = time.monotonic() + CONNECT_TIME_S
        self.lag: dict[str, int] | None = None
        self.groups: dict[str, GroupWatch] = {}

    async def run(self, instance: str, health: Health) -> None:
        """Connect, then keep the lag and the logs current until cancelled.

        Tells meanwhile how this `instance` is.
        """
        never = asyncio.Event()
        await topic_admin.wait_for_topics(self._bootstrap, never)
        await clients.start(self._producer, never, "gateway")
        await self._lag.start(never)
        for follower in self._followers:
            await follower.start(never)
        await run_until_first_exits(
            *(follower.run() for follower in self._followers),
            self._watch(),
            self.configuration.run(),
            service_state.tell(
                self._producer, "gateway", instance, health
            ),
        )

    async def _watch(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(1)

    async def _look(self) -> None:
        watched = watched_groups(self.configuration.settings)
        try:
            async with asyncio.timeout(LAG_TIMEOUT_S):
                found = {
                    group: await self._lag.positions(group, *topics)
                    for group, (_, topics) in watched.items()
                }
        except (KafkaError, OSError, TimeoutError) as error:
            if self.is_connected:
                log.warning("kafka_away", error=repr(error))
            self.is_connected = self.configuration.is_connected = False
            self.lag = None
        else:
            self.is_connected = self.configuration.is_connected = True
            self._connected.set()
            self.configuration.keys.followed_at = time.monotonic()
            self.lag = {
                "normalizer": _waiting(found[NORMALIZER_GROUP], RAW),
                "loader": _waiting(found[LOADER_GROUP], UNIFIED),
            }
            now = time.monotonic()
            self.groups = {
                group: self.groups.get(group)
                or GroupWatch(group, still_after_s)
                for group, (still_after_s, _) in watched.items()
            }
            for group, watch in self.groups.items():
                watch.saw(now, found[group])

    async def find(self, run_id: str) -> PendingRun | None:
        """The command that opened a run, None where none did. Waits up to a second to be sure."""
        return await self._commands.find(run_id)

    async def open_run(
        self, command: RunCommand, *, is_named: bool
    ) -> PendingRun:
        """Publish the command of a run and wait for the broker.

        `is_named`: an Idempotency-Key, or what is asked for, chose the run's id.
        Raises ProblemError 503 when Kafka did not confirm, 409 when the key was used for something
        else.
        """
        if not is_named:
            return PendingRun.of(command, await self.publish(command))
        known = await self.find(command.run_id)
        if known is None:
            await self.publish(command)
            known = await self.find(command.run_id)
        if known is None:
            message = "Kafka confirmed the request but cannot be read: send the same again"
            raise unavailable(message)
        if not known.asks_the_same(command):
            message = "this Idempotency-Key was used for another request: use a new one"
            raise ProblemError(409, message)
        return known

    async def publish(self, command: Command) -> datetime:
        """Publish a command; returns the broker's time of it.

        Raises ProblemError 503 when Kafka did not confirm.
        """
        _refuse_large(command)
        if not await self._is_there():
            raise unavailable(
                "Kafka cannot be reached, the request was not accepted: try again in a moment"
            )
        key = command.run_id or ""
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                metadata = await publishing.publish(
                    self._producer,
                    COMMANDS,
                    command,
                    key=key,
                    service="gateway",
                    event_id=key or None,
                    asked_by=ASKED_BY.get(),
                )
        except (TransientError, TimeoutError) as error:
            log.warning(
                "command_not_confirmed",
                run_id=command.run_id,
                error=repr(error),
            )
            raise unavailable(
                "Kafka did not confirm the request: try again, with an Idempotency-Key so that it "
                "cannot run twice"
            ) from error
        log.info(
            "command_accepted",
            command=type(command).__name__,
            run_id=command.run_id,
        )
        return from_ms(metadata.timestamp)

    async def _is_there(self) -> bool:
        """Whether Kafka answers; a gateway that was just started is given time to connect."""
        wait_s = self._given_until - time.monotonic()
        if not self.is_connected and wait_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._connected.wait()
        return self.is_connected

    async def publish_notification(self, message: Notification) -> None:
        """What a webhook is to be told. Raises ProblemError 503."""
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await publishing.publish(
                    self._producer,
                    NOTIFICATIONS,
                    message,
                    key=message.webhook,
                    service="gateway",
                    event_id=message.id,
                )
        except (TransientError, TimeoutError) as error:
            raise unavailable(
                "Kafka did not confirm it: try again"
            ) from error

    async def close(self) -> None:
        """Close what is open, without waiting long for a broker that is gone."""
        closings = (
            self._producer.stop,
            self._lag.close,
            *(follower.close for follower in self._followers),
        )
        for close in closings:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await close()


def _refuse_large(command: Command) -> None:
    """Raises ProblemError 413: every gateway and planner reads every command."""
    most = MAX_COMMAND_BYTES
    if isinstance(command, MoveCheckpoint):
        most = MAX_CURSOR_COMMAND_BYTES
    size = len(encode(command))
    if size > most:
        message = f"the request makes a command of {size} bytes, at most {most} are taken"
        raise ProblemError(413, f"{message}: ask for less")


def watched_groups(
    settings: SettingLog,
) -> dict[str, tuple[float, tuple[Topic, ...]]]:
    """The notifier's too where there are webhooks: without any it may be left out."""
    has_webhooks = any(settings.of(Kind.WEBHOOK))
    return WATCHED | (WATCHED_FOR_WEBHOOKS if has_webhooks else {})


def _waiting(positions: GroupPositions, topic: Topic) -> int:
    """Messages of one topic that wait."""
    return sum(
        position.lag
        for at, position in positions.items()
        if at.topic == topic.name
    )
