"""Readiness means progress: a consumer that has lag and commits nothing is alive and yet not ready, and ends itself at last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from aiokafka.errors import KafkaError

from shared import logs
from shared.errors import StuckError
from shared.health import Health
from shared.lag import Backlog, LagReader
from shared.topics import Topic

LOOK_EVERY_S = 2.0
log = logs.get(__name__)


class Progress:
    """Whether a consumer moves on in the partitions that it holds. Pure; the clock is handed in."""

    def __init__(self) -> None:
        self._position: dict[int, int] = {}
        self._moved_at: dict[int, float] = {}

    def idle_s(self, backlog: Backlog, held: Iterable[int], now: float) -> float:
        """For how long the slowest of the held partitions has had messages waiting without one being committed."""
        longest = 0.0
        held = set(held)
        for partition, lag in backlog.lag.items():
            position = backlog.position.get(partition, 0)
            if partition not in held or not lag or self._position.get(partition) != position:
                self._moved_at[partition] = now
            self._position[partition] = position
            longest = max(longest, now - self._moved_at[partition])
        return longest


class Monitor:
    """Keeps the health file current. A consumer that stands still is not ready; after twice that time it is ended."""

    def __init__(self, lag: LagReader, group: str, topic: Topic, health: Health, *, stuck_after_s: float) -> None:
        self._lag, self._group, self._topic, self._health, self._stuck_after_s = lag, group, topic, health, stuck_after_s
        self._progress = Progress()

    async def run(
        self,
        *,
        held: Callable[[], Iterable[int]],
        trouble: Callable[[], str] = str,
        is_working: Callable[[], bool] = bool,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        """For ever. `held`: the partitions that are this consumer's; `trouble`: why it is not ready, whatever the lag;
        `is_working`: it is at work on something long, or waits for something else. Raises StuckError, which ends the process
        so that it is started anew.
        """
        while True:
            reason, waiting = await self._look(held, trouble, is_working)
            self._health.set(ready=not reason, reason=reason, lag=waiting)
            await asyncio.sleep(every_s)

    async def _look(
        self, held: Callable[[], Iterable[int]], trouble: Callable[[], str], is_working: Callable[[], bool]
    ) -> tuple[str, int | None]:
        reason = trouble()
        try:
            async with asyncio.timeout(5):
                backlog = await self._lag.backlog(self._group, self._topic)
        except (KafkaError, OSError, TimeoutError):
            return reason or "Kafka cannot be reached", None
        idle = self._progress.idle_s(backlog, () if is_working() else held(), time.monotonic())
        if idle > 2 * self._stuck_after_s:
            raise StuckError(f"{backlog.total()} messages wait in {self._topic.name} and nothing was committed for {idle:.0f} s")
        if idle > self._stuck_after_s:
            reason = reason or f"{backlog.total()} messages wait and nothing has moved for {idle:.0f} s"
        return reason, backlog.total()
