"""Flow control: a stream pauses while too many pages of its partition wait to be normalized or loaded."""

from __future__ import annotations

import asyncio
from collections import Counter

from aiokafka.errors import KafkaError

from shared import logs
from shared.lag import LagReader
from shared.topics import LOADER_GROUP, NORMALIZER_GROUP, RAW, UNIFIED

log = logs.get(__name__)


class FlowControl:
    """Looks at the lag of normalizer and loader once a second."""

    def __init__(self, lag: LagReader, *, max_waiting: int) -> None:
        self._lag, self._max_waiting = lag, max_waiting
        self._waiting: Counter[int] = Counter()
        self._published: dict[int, int] = {}
        self._looked = asyncio.Condition()

    async def run(self) -> None:
        while True:
            try:
                stands = await self._lag.stands(NORMALIZER_GROUP, RAW) | await self._lag.stands(LOADER_GROUP, UNIFIED)
            except (KafkaError, OSError) as error:
                log.warning("lag_unknown", error=repr(error))
            else:
                async with self._looked:
                    self._waiting = Counter()
                    for at, stand in stands.items():
                        self._waiting[at.partition] += stand.lag
                    self._published.clear()
                    self._looked.notify_all()
            await asyncio.sleep(1)

    async def gate(self, partition: int) -> None:
        """Return when one more page may be published to the partition."""
        async with self._looked:
            while self._waiting[partition] + self._published.get(partition, 0) >= self._max_waiting:
                await self._looked.wait()
            self._published[partition] = self._published.get(partition, 0) + 1
