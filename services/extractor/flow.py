"""Flow control: a stream pauses while too many pages of its partition wait to be normalized or loaded."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared import kafka, logs
from shared.topics import LOADER_GROUP, NORMALIZER_GROUP, RAW, UNIFIED

log = logs.get(__name__)


class FlowControl:
    """Looks at the lag of normalizer and loader once a second."""

    def __init__(self, bootstrap: str, consumer: AIOKafkaConsumer, *, max_waiting: int) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id="extractor-flow")
        self._consumer, self._max_waiting = consumer, max_waiting
        self._waiting: dict[int, int] = {}
        self._published: dict[int, int] = {}
        self._looked = asyncio.Condition()

    async def start(self, stop: asyncio.Event) -> bool:
        return await kafka.start(self._admin, stop, "flow control")

    async def run(self) -> None:
        while True:
            try:
                normalizer = await kafka.lag(self._admin, self._consumer, NORMALIZER_GROUP, RAW)
                loader = await kafka.lag(self._admin, self._consumer, LOADER_GROUP, UNIFIED)
            except (KafkaError, OSError) as error:
                log.warning("lag_unknown", error=repr(error))
            else:
                async with self._looked:
                    self._waiting = {partition: normalizer[partition] + loader[partition] for partition in normalizer}
                    self._published.clear()
                    self._looked.notify_all()
            await asyncio.sleep(1)

    async def gate(self, partition: int) -> None:
        """Return when one more page may be published to the partition."""
        async with self._looked:
            while self._waiting.get(partition, 0) + self._published.get(partition, 0) >= self._max_waiting:
                await self._looked.wait()
            self._published[partition] = self._published.get(partition, 0) + 1

    async def close(self) -> None:
        await self._admin.close()
