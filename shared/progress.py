"""Readiness means progress: a consumer that has lag and commits nothing is alive and yet not ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared import kafka
from shared.health import Health
from shared.topics import Topic

STUCK_AFTER_S = 60.0
LOOK_EVERY_S = 2.0


class Progress:
    """What a consumer group has left to do on a topic, and whether that moves. Pure; the clock is handed in."""

    def __init__(self, stuck_after_s: float = STUCK_AFTER_S) -> None:
        self._stuck_after_s = stuck_after_s
        self._lag: dict[int, int] = {}
        self._moved_at: float | None = None

    def seen(self, lag: dict[int, int], now: float, *, is_working: bool) -> str:
        """Why the group is not making progress; empty when it is. `is_working`: it is at work on something long."""
        moved = is_working or not any(lag.values()) or any(lag[p] < self._lag.get(p, 0) for p in lag)
        if moved or self._moved_at is None:
            self._moved_at = now
        self._lag = lag
        idle = now - self._moved_at
        return f"{sum(lag.values())} messages wait and nothing has moved for {idle:.0f} s" if idle > self._stuck_after_s else ""


async def monitor(
    bootstrap: str, group: str, topic: Topic, health: Health, *, trouble: Callable[[], str] = str, is_working: Callable[[], bool] = bool
) -> None:
    """Keep the health file current, for ever. `trouble` says what else stands in the way."""
    never = asyncio.Event()
    admin, reader = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id="health"), kafka.consumer(bootstrap, "health", group=None)
    progress = Progress()
    try:
        await kafka.start(admin, never, "health")
        await kafka.start(reader, never, "health")
        while True:
            reason = trouble()
            waiting = None
            try:
                async with asyncio.timeout(5):
                    lag = await kafka.lag(admin, reader, group, topic)
                waiting = sum(lag.values())
                reason = reason or progress.seen(lag, time.monotonic(), is_working=is_working())
            except (KafkaError, OSError, TimeoutError):
                reason = reason or "Kafka cannot be reached"
            health.set(ready=not reason, reason=reason, lag=waiting)
            await asyncio.sleep(LOOK_EVERY_S)
    finally:
        await admin.close()
        await reader.stop()
