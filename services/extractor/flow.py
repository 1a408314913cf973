"""Flow control: a stream pauses while too many pages of its partition wait to be normalized or loaded."""

from __future__ import annotations

import asyncio

from aiokafka.errors import KafkaError

from shared import logs
from shared.lag import LagReader
from shared.topics import LOADER_GROUP, NORMALIZER_GROUP, RAW, UNIFIED

log = logs.get(__name__)


class FlowControl:
    """Looks at the lag of normalizer and loader once a second."""

    def __init__(self, lag: LagReader, *, max_waiting: int) -> None:
        self._lag, self._max_waiting = lag, max_waiting
        self._waiting: dict[int, int] = {}
        self._published: dict[int, int] = {}
        self._looked = asyncio.Condition()

    async def run(self) -> None:
        while True:
            try:
                normalizer = (await self._lag.backlog(NORMALIZER_GROUP, RAW)).lag
                loader = (await self._lag.backlog(LOADER_GROUP, UNIFIED)).lag
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
