"""Sending commands, and the log of commands that any gateway can look a run up in."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka.errors import KafkaError

from services.gateway.problems import ProblemError, unavailable
from services.gateway.settings import GatewaySettings
from shared.errors import TransientError
from shared.kafka import clients, publishing, topic_admin
from shared.kafka.checkpoint_log import CheckpointLog
from shared.kafka.lag import LagReader, total
from shared.kafka.topic_follower import Follower
from shared.messages.commands import Command, Opening
from shared.messages.serialization import UndecodableError, command_decoder, decode
from shared.messages.topics import COMMANDS, LOADER_GROUP, NORMALIZER_GROUP, RAW, UNIFIED
from shared.runtime import logs
from shared.runtime.lifecycle import until_first_ends

REMEMBERED_RUNS = 50_000
PUBLISH_TIMEOUT_S = 5.0
log = logs.get(__name__)


@dataclass(frozen=True)
class Queued:
    """The first command of a run, as it lies in the topic."""

    command: Opening
    requested_at: datetime

    def asks_the_same(self, other: Opening) -> bool:
        mine, theirs = (msgspec.structs.replace(command, requested_at=None) for command in (self.command, other))
        return mine == theirs


class CommandLog:
    """Follows ingest.commands from its start: which runs were asked for, and by which command first."""

    def __init__(self, bootstrap: str) -> None:
        self._first: OrderedDict[str, Queued] = OrderedDict()
        self.follower = Follower(bootstrap, COMMANDS, f"gateway-commands-{os.getpid()}", self._on_record)

    def _on_record(self, record: Any) -> None:
        with contextlib.suppress(UndecodableError):  # the loader keeps those as dead letters
            command = decode(command_decoder, record.value)
            if isinstance(command, Opening) and command.run_id not in self._first:
                self._first[command.run_id] = Queued(command, datetime.fromtimestamp(record.timestamp / 1000, UTC))
                if len(self._first) > REMEMBERED_RUNS:
                    self._first.popitem(last=False)

    def get(self, run_id: str) -> Queued | None:
        return self._first.get(run_id)

    async def find(self, run_id: str) -> Queued | None:
        """As `get`, but waits up to a second for the end of the topic before it says no."""
        if run_id not in self._first:
            with contextlib.suppress(TransientError):
                await self.follower.catch_up(timeout_s=1)
        return self._first.get(run_id)


class Broker:
    """The gateway's side of Kafka. It may be away at any time, the gateway then says so at once."""

    def __init__(self, settings: GatewaySettings) -> None:
        bootstrap, client = settings.kafka_bootstrap_servers, f"gateway-{os.getpid()}"
        self._bootstrap = bootstrap
        self._producer = clients.producer(bootstrap, client)
        self._lag = LagReader(bootstrap, client)
        self.commands = CommandLog(bootstrap)
        self.checkpoints = CheckpointLog(bootstrap, f"gateway-checkpoints-{os.getpid()}")
        self.connected = False
        self.lag: dict[str, int] | None = None

    async def run(self) -> None:
        """Connect, then keep an eye on the connection and the lag; for ever."""
        never = asyncio.Event()
        await topic_admin.wait_for_topics(self._bootstrap, never)
        await clients.start(self._producer, never, "gateway")
        await self._lag.start(never)
        followers = (self.commands.follower, self.checkpoints.follower)
        for follower in followers:
            await follower.start(never)
        await until_first_ends(*(follower.run() for follower in followers), self._watch())

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(3):
                    normalizer = await self._lag.stands(NORMALIZER_GROUP, RAW)
                    loader = await self._lag.stands(LOADER_GROUP, UNIFIED)
                self.lag = {"normalizer": total(normalizer), "loader": total(loader)}
                self.connected = True
            except (KafkaError, OSError, TimeoutError) as error:
                if self.connected:
                    log.warning("kafka_away", error=repr(error))
                self.connected, self.lag = False, None
            await asyncio.sleep(1)

    async def send(self, command: Opening, *, is_named: bool) -> Queued:
        """Open a run: publish its command and wait for the broker. `is_named`: an Idempotency-Key, or what is asked for, chose the run's id.

        Raises ProblemError 503 when Kafka did not confirm, 409 when the key was used for something else.
        """
        if is_named and (known := await self.commands.find(command.run_id)):
            return self._same(known, command)
        requested_at = await self.tell(command)
        if is_named:
            known = await self.commands.find(command.run_id)
            if known is None:
                raise unavailable("Kafka confirmed the request but cannot be read: send the same again")
            return self._same(known, command)
        return Queued(command, requested_at)

    async def tell(self, command: Command) -> datetime:
        """Publish a command; returns the broker's time of it. Raises ProblemError 503 when Kafka did not confirm."""
        if not self.connected:
            raise unavailable("Kafka cannot be reached, the request was not accepted: try again in a moment")
        key = command.run_id or ""
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                metadata = await publishing.publish(self._producer, COMMANDS, command, key=key, service="gateway", event_id=key or None)
        except (TransientError, TimeoutError) as error:
            log.warning("command_not_confirmed", run_id=command.run_id, error=repr(error))
            raise unavailable(
                "Kafka did not confirm the request: try again, with an Idempotency-Key so that it cannot run twice"
            ) from error
        return datetime.fromtimestamp(metadata.timestamp / 1000, UTC)

    @staticmethod
    def _same(known: Queued, command: Opening) -> Queued:
        if not known.asks_the_same(command):
            raise ProblemError(409, "this Idempotency-Key was used for another request: use a new one")
        return known

    async def close(self) -> None:
        for close in (self._producer.stop, self._lag.close, self.commands.follower.close, self.checkpoints.follower.close):
            with contextlib.suppress(Exception):
                async with asyncio.timeout(3):
                    await close()
