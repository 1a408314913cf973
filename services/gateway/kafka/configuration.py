"""What is configured at run time: keys and settings of ingest.configuration, read and written."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from services.gateway.kafka.asked_by import ASKED_BY
from services.gateway.kafka.key_log import KeyLog
from services.gateway.problems import ProblemError, unavailable
from services.gateway.settings import GatewaySettings
from shared.access.keys import KeyState
from shared.access.signatures import signed
from shared.configuration.effective import Effective
from shared.configuration.setting_log import (
    MAX_SETTINGS,
    SettingLog,
    read_configuration,
)
from shared.configuration.settings import FirstValues, Setting, Value
from shared.errors import TransientError
from shared.kafka import publishing
from shared.kafka.checkpoint_log import FIRST, CheckpointLog
from shared.kafka.topic_follower import TopicFollower
from shared.messages.run_events import KeysUsed
from shared.messages.topics import CONFIGURATION, RUN_EVENTS
from shared.runtime import logs
from shared.values.times import now_ms

TIMEOUT_S = 5.0
TELL_USES_S = 10.0
USES_OF_A_MESSAGE = 1_000
AWAY = "Kafka cannot be reached, and what is configured is kept there: try again in a moment"
log = logs.get(__name__)


class ConfigurationBus:
    """Each change is a signed message that the broker has on its disk before it is answered."""

    def __init__(
        self,
        settings: GatewaySettings,
        producer: AIOKafkaProducer,
        checkpoints: CheckpointLog,
    ) -> None:
        self._secret = settings.signing_secret()
        self._producer = producer
        self._checkpoints = checkpoints
        self.is_connected = False  # as the bus has seen last
        self.keys = KeyLog(self._secret)
        self.settings = SettingLog(self._secret)
        self.effective = Effective(self._first, self.settings)
        self.follower = TopicFollower(
            settings.kafka_bootstrap_servers,
            CONFIGURATION,
            f"gateway-configuration-{os.getpid()}",
            self._saw,
        )

    def _saw(self, record: Any) -> None:
        found = read_configuration(record.value)
        if isinstance(found, KeyState):
            self.keys.take(found)
        else:
            self.settings.take(found)

    def _first(self) -> FirstValues:
        """What `.env` says, as an extractor has told."""
        told = self._checkpoints.get(FIRST)
        if told is None:
            return FirstValues()
        return msgspec.json.decode(bytes(told.cursor), type=FirstValues)

    async def run(self) -> None:
        """Say when the keys are known, then tell for ever when each was used."""
        while not self.keys.is_known:
            with contextlib.suppress(TransientError):
                await self.follower.catch_up()
                self.keys.is_known = True
        while True:
            await asyncio.sleep(TELL_USES_S)
            await self._tell_uses()

    async def _tell_uses(self) -> None:
        """For the loader to keep. What cannot be told is told with the next use of its key."""
        uses = list(self.keys.take_untold().items())
        for start in range(0, len(uses), USES_OF_A_MESSAGE):
            some = dict(uses[start : start + USES_OF_A_MESSAGE])
            with contextlib.suppress(TransientError):
                await self._tell(KeysUsed(used_at=some))

    async def _tell(self, event: KeysUsed) -> None:
        await publishing.publish(
            self._producer, RUN_EVENTS, event, key="", service="gateway"
        )

    async def catch_up(self) -> None:
        """Until all that is configured now is known. Raises ProblemError 503."""
        if not self.is_connected:
            raise unavailable(AWAY)
        try:
            await self.follower.catch_up(TIMEOUT_S)
        except TransientError as error:
            raise unavailable(AWAY) from error

    async def change(
        self, name: str, value: Value | None, key_id: str | None
    ) -> Setting:
        """Set what a name stands for, None: what `.env` says, and know it.

        Of two changes at the same time the later one counts. Raises ProblemError 409, 503.
        """
        await self.catch_up()
        known = self.settings.get(name)
        self._check_room(known)
        setting = Setting(
            name=name,
            version=known.version + 1 if known else 1,
            value=value,
            changed_at=now_ms(),
            changed_by=key_id,
        )
        await self._publish(
            signed(setting, self._secret),
            name,
            "the change: look at GET /api/v1/configuration",
        )
        # Not the value, which may hold a secret; GET /audit has it without.
        log.info("configured", name=name, kind=type(value).__name__)
        return setting

    def _check_room(self, known: Setting | None) -> None:
        if known is None and self.settings.is_full:
            raise ProblemError(409, f"more than {MAX_SETTINGS} settings")

    async def publish_key(self, state: KeyState) -> None:
        """Keep a key as it is now, and know it. Raises ProblemError 503."""
        await self._publish(
            signed(state, self._secret),
            f"key/{state.key_id}",
            "the key: look at GET /api/v1/keys",
        )
        log.info(
            "key_changed",
            key=state.key_id,
            scope=str(state.scope),
            is_revoked=state.revoked_at is not None,
            by=state.revoked_by or state.made_by or "API_KEY",
        )

    async def _publish(
        self, message: KeyState | Setting, key: str, what: str
    ) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await publishing.publish(
                    self._producer,
                    CONFIGURATION,
                    message,
                    key=key,
                    service="gateway",
                    asked_by=ASKED_BY.get(),
                )
        except (TransientError, TimeoutError) as error:
            raise unavailable(
                f"Kafka did not confirm {what} before you try again"
            ) from error
        await self.catch_up()
