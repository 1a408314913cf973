"""Backpressure: a stream pauses while too many pages of its partition wait.

Pages wait to be normalized or loaded. Pages of replays give way to live ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError

from shared.kafka.lag import GroupPositions, LagReader
from shared.messages.topics import (
    LOADER_GROUP,
    NORMALIZER_GROUP,
    RAW,
    REPLAY_PAGES,
    UNIFIED,
    UNIFIED_REPLAY,
)
from shared.runtime import logs

LOOK_EVERY_S = 1.0
LOOK_EVERY_S_IN_REPLAY = 0.15
MAX_REPLAYED = 48  # waiting pages of replays, over all partitions: a live page may wait for them
MAX_LIVE = 4  # live pages that may wait while a replay goes on
LIVE_TOPICS = frozenset({RAW.name, UNIFIED.name})
log = logs.get(__name__)


class Backpressure:
    """Looks at the lag of normalizer and loader, more often while something is replayed."""

    def __init__(
        self,
        lag: LagReader,
        *,
        max_waiting: int,
        on_page: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_page`: called for each page that is let through."""
        self._lag = lag
        self._max_waiting = max_waiting
        self._on_page = on_page
        self._waiting: Counter[int] = (
            Counter()
        )  # live pages by partition, when last looked
        self._published: Counter[int] = (
            Counter()
        )  # live pages by partition, since then
        self._replay_waiting = 0
        self._replay_published = 0
        self._replays = 0
        self._looked = asyncio.Condition()

    async def run(self) -> None:
        """Look at the lag until cancelled."""
        while True:
            live, replayed = (
                self._published.copy(),
                self._replay_published,
            )
            try:
                positions = await self._positions()
            except (KafkaError, OSError) as error:
                log.warning("lag_unknown", error=repr(error))
            else:
                # What was published while the lag was read is not in it: it counts on.
                self._published -= live
                self._replay_published -= replayed
                await self._take(positions)
            await asyncio.sleep(
                LOOK_EVERY_S_IN_REPLAY if self._replays else LOOK_EVERY_S
            )

    async def _positions(self) -> GroupPositions:
        normalizer = await self._lag.positions(
            NORMALIZER_GROUP, RAW, REPLAY_PAGES
        )
        loader = await self._lag.positions(
            LOADER_GROUP, UNIFIED, UNIFIED_REPLAY
        )
        return normalizer | loader

    async def _take(self, positions: GroupPositions) -> None:
        async with self._looked:
            self._waiting.clear()
            self._replay_waiting = 0
            for at, position in positions.items():
                if at.topic in LIVE_TOPICS:
                    self._waiting[at.partition] += position.lag
                else:
                    self._replay_waiting += position.lag
            self._looked.notify_all()

    @asynccontextmanager
    async def replaying(self) -> AsyncIterator[None]:
        """While something is replayed."""
        self._replays += 1
        try:
            yield
        finally:
            self._replays -= 1

    async def gate(
        self, partition: int, *, is_beside: bool = False
    ) -> None:
        """Return when one more page may be published to the partition.

        `is_beside`: of a stream that goes to all partitions. In all together no more wait than else
        in one, since live pages come behind them everywhere.
        """
        async with self._looked:
            while self._live_pages(partition, is_beside) >= (
                self._max_waiting
            ):
                await self._looked.wait()
            self._published[partition] += 1
        self._on_page()

    def _live_pages(self, partition: int, of_all: bool) -> int:  # noqa: FBT001
        if of_all:
            return self._waiting.total() + self._published.total()
        return self._waiting[partition] + self._published[partition]

    async def replay_gate(self, is_cancelled: Callable[[], bool]) -> None:
        """Return when one more page may be replayed, or when the replay is cancelled."""
        async with self._looked:
            while not is_cancelled() and self._must_wait_to_replay():
                await self._looked.wait()
            self._replay_published += 1
        self._on_page()

    def _must_wait_to_replay(self) -> bool:
        if self._replay_waiting + self._replay_published >= MAX_REPLAYED:
            return True
        return self._waiting.total() + self._published.total() > MAX_LIVE
