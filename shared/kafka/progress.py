"""Readiness means progress: a consumer that has lag and commits nothing is alive and yet not ready, and ends itself at last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from shared.errors import StuckError
from shared.kafka.lag import LagReader, Stands, total
from shared.messages.topics import Topic
from shared.runtime.health import Health

LOOK_EVERY_S = 2.0
Held = Callable[[], Collection[TopicPartition]]


class Progress:
    """Whether a consumer moves on in the partitions that it holds, and whether they are still those that it read. Pure; the clock is handed in."""

    def __init__(self) -> None:
        self._before: Stands = {}
        self._moved_at: dict[TopicPartition, float] = {}

    def seen(self, stands: Stands, held: Collection[TopicPartition], now: float) -> float:
        """For how long the slowest of the held partitions has had messages waiting without one being committed.

        Raises StuckError when a topic was deleted and created again: what is new in it may lie before the consumer's position.
        """
        longest = 0.0
        for at, stand in stands.items():
            before = self._before.get(at)
            if before and (stand.end < before.end or stand.committed < 0 <= before.committed):
                raise StuckError(f"{at.topic} was deleted and created again: it has to be read from its beginning")
            if at not in held or not stand.lag or before is None or before.committed != stand.committed:
                self._moved_at[at] = now
            longest = max(longest, now - self._moved_at[at])
        self._before = stands
        return longest


class Monitor:
    """Keeps the health file current. A consumer that stands still is not ready; after twice that time it is ended."""

    def __init__(self, lag: LagReader, group: str, topics: Sequence[Topic], health: Health, *, stuck_after_s: float) -> None:
        """`topics`: what the group reads. The lag that is reported is that of the first."""
        self._lag, self._group, self._topics, self._health, self._stuck_after_s = lag, group, topics, health, stuck_after_s
        self._progress = Progress()

    async def run(
        self, *, held: Held, trouble: Callable[[], str] = str, is_working: Callable[[], bool] = bool, every_s: float = LOOK_EVERY_S
    ) -> None:
        """For ever. `held`: the partitions that are this consumer's; `trouble`: why it is not ready, whatever the lag;
        `is_working`: it is at work on something long, or waits for something else. Raises StuckError, which ends the process
        so that it is started anew.
        """
        while True:
            reason, waiting = await self._look(held, trouble, is_working)
            self._health.set(ready=not reason, reason=reason, lag=waiting)
            await asyncio.sleep(every_s)

    async def _look(self, held: Held, trouble: Callable[[], str], is_working: Callable[[], bool]) -> tuple[str, int | None]:
        reason = trouble()
        try:
            async with asyncio.timeout(5):
                stands = await self._lag.stands(self._group, *self._topics)
        except (KafkaError, OSError, TimeoutError):
            return reason or "Kafka cannot be reached", None
        idle = self._progress.seen(stands, () if is_working() else held(), time.monotonic())
        waiting = total({at: stand for at, stand in stands.items() if at.topic == self._topics[0].name})
        if idle > 2 * self._stuck_after_s:
            raise StuckError(f"messages wait in {self._topics[0].name} and none was committed for {idle:.0f} s")
        if idle > self._stuck_after_s:
            reason = reason or f"{waiting} messages wait and nothing has moved for {idle:.0f} s"
        return reason, waiting
