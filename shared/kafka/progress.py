"""Readiness means progress: a consumer that has lag and commits nothing is not ready.

If that lasts, it ends itself, so that it is started again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from shared.errors import StuckError
from shared.kafka.lag import (
    GroupPosition,
    GroupPositions,
    LagReader,
    total,
)
from shared.messages.topics import Topic
from shared.runtime.health import Health

LOOK_EVERY_S = 2.0
LOOK_TIMEOUT_S = 5.0
Held = Callable[[], Collection[TopicPartition]]


class Progress:
    """Whether a consumer moves on in the partitions that it holds. Pure; the clock is handed in."""

    def __init__(self) -> None:
        self._before: GroupPositions = {}
        self._moved_at: dict[TopicPartition, float] = {}

    def seen(
        self,
        positions: GroupPositions,
        held: Collection[TopicPartition],
        now: float,
    ) -> float:
        """For how long the slowest of the held partitions has waited without a commit.

        Raises StuckError when a topic was deleted and created again: what is new in it may lie
        before the consumer's position.
        """
        longest = 0.0
        for at, position in positions.items():
            before = self._before.get(at)
            if before is not None and _was_recreated(before, position):
                message = f"{at.topic} was deleted and created again: read it from its beginning"
                raise StuckError(message)
            has_work = position.lag > 0 or position.is_beyond
            is_waiting = at in held and has_work
            if (
                not is_waiting
                or before is None
                or before.committed != position.committed
            ):
                self._moved_at[at] = now
            longest = max(longest, now - self._moved_at[at])
        self._before = positions
        return longest


def _was_recreated(before: GroupPosition, now: GroupPosition) -> bool:
    return now.end < before.end or now.committed < 0 <= before.committed


class Monitor:
    """Keeps the health file current.

    A consumer that stands still is not ready; after twice that time it is ended.
    """

    def __init__(
        self,
        lag: LagReader,
        group: str,
        topics: Sequence[Topic],
        health: Health,
        *,
        stuck_after_s: float,
    ) -> None:
        """`topics`: what the group reads. The lag that is reported is that of the first."""
        self._lag = lag
        self._group = group
        self._topics = topics
        self._health = health
        self._stuck_after_s = stuck_after_s
        self._progress = Progress()

    async def run(
        self,
        *,
        held: Held,
        trouble: Callable[[], str] = str,
        is_working: Callable[[], bool] = bool,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        """Look until cancelled.

        `held`: the partitions that are this consumer's. `trouble`: why it is not ready, whatever
        the lag. `is_working`: it is at work on something long, or waits for something else. Raises
        StuckError, which ends the process so that it is started again.
        """
        while True:
            reason, waiting = await self._look(held, trouble, is_working)
            self._health.set(ready=not reason, reason=reason, lag=waiting)
            await asyncio.sleep(every_s)

    async def _look(
        self,
        held: Held,
        trouble: Callable[[], str],
        is_working: Callable[[], bool],
    ) -> tuple[str, int | None]:
        """(why it is not ready, messages that wait)."""
        reason = trouble()
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                positions = await self._lag.positions(
                    self._group, *self._topics
                )
        except (KafkaError, OSError, TimeoutError):
            return reason or "Kafka cannot be reached", None
        watched = () if is_working() else held()
        idle_s = self._progress.seen(positions, watched, time.monotonic())
        name = self._topics[0].name
        waiting = total(
            {
                at: each
                for at, each in positions.items()
                if at.topic == name
            }
        )
        if idle_s > 2 * self._stuck_after_s:
            message = f"messages wait in {name} and none was committed for {idle_s:.0f} s"
            raise StuckError(message)
        if idle_s > self._stuck_after_s:
            stuck = f"{waiting} messages wait and nothing has moved for {idle_s:.0f} s"
            reason = reason or stuck
        return reason, waiting
