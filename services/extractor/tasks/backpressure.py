"""Flow control: a stream pauses while too many pages of its partition wait to be normalized or loaded."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError

from shared.kafka.lag import LagReader
from shared.messages.topics import LOADER_GROUP, NORMALIZER_GROUP, RAW, REPLAY_PAGES, UNIFIED, UNIFIED_REPLAY
from shared.runtime import logs

LOOK_EVERY_S, LOOK_EVERY_S_IN_REPLAY = 1.0, 0.15
MAX_REPLAYED = 40  # pages of replays that wait, over all partitions: what a live page may have to wait for
MAX_LIVE = 4  # live pages that may wait while a replay goes on
log = logs.get(__name__)


class FlowControl:
    """Looks at the lag of normalizer and loader once a second, more often while something is replayed. Live pages go first."""

    def __init__(self, lag: LagReader, *, max_waiting: int) -> None:
        self._lag, self._max_waiting = lag, max_waiting
        self._waiting: Counter[int] = Counter()
        self._published: dict[int, int] = {}
        self._replays = self._replayed = self._replay_waiting = 0
        self._looked = asyncio.Condition()

    async def run(self) -> None:
        while True:
            try:
                normalizer = await self._lag.stands(NORMALIZER_GROUP, RAW, REPLAY_PAGES)
                stands = normalizer | await self._lag.stands(LOADER_GROUP, UNIFIED, UNIFIED_REPLAY)
            except (KafkaError, OSError) as error:
                log.warning("lag_unknown", error=repr(error))
            else:
                async with self._looked:
                    self._waiting, self._replay_waiting, self._replayed = Counter(), 0, 0
                    for at, stand in stands.items():
                        if at.topic in (RAW.name, UNIFIED.name):
                            self._waiting[at.partition] += stand.lag
                        else:
                            self._replay_waiting += stand.lag
                    self._published.clear()
                    self._looked.notify_all()
            await asyncio.sleep(LOOK_EVERY_S_IN_REPLAY if self._replays else LOOK_EVERY_S)

    @asynccontextmanager
    async def replaying(self) -> AsyncIterator[None]:
        """While something is replayed."""
        self._replays += 1
        try:
            yield
        finally:
            self._replays -= 1

    async def replay_gate(self, is_cancelled: Callable[[], bool]) -> None:
        """Return when one more page may be replayed: when few replayed ones wait, and hardly a live one. Or when the replay is cancelled."""
        async with self._looked:
            while not is_cancelled() and (
                self._replay_waiting + self._replayed >= MAX_REPLAYED or self._waiting.total() + sum(self._published.values()) > MAX_LIVE
            ):
                await self._looked.wait()
            self._replayed += 1

    async def gate(self, partition: int) -> None:
        """Return when one more page may be published to the partition."""
        async with self._looked:
            while self._waiting[partition] + self._published.get(partition, 0) >= self._max_waiting:
                await self._looked.wait()
            self._published[partition] = self._published.get(partition, 0) + 1
