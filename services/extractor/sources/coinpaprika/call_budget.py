"""How often an API is called: a limit by second and by month, counted across restarts.

The count is a checkpoint of its own, `<source>/@budget`. The streams of a source that has a budget
share one partition (`shared.kafka.partitions`), so that the extractor that holds it is the only one
that calls and counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from services.extractor.checkpoints import CheckpointStore
from shared.errors import TaskError
from shared.kafka.checkpoint_log import BUDGET
from shared.kafka.partitions import partition_of
from shared.messages.base import Json, Source
from shared.messages.serialization import raw_json, to_python


class CallBudget:
    """`count_call` before every call.

    It waits for its turn within the second, and refuses when the month is used up.
    """

    def __init__(
        self,
        source: Source,
        checkpoints: CheckpointStore,
        *,
        per_second: float,
        per_month: int,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """`per_month` 0: calls are counted without a limit."""
        self._stream = f"{source}/{BUDGET}"
        self._checkpoints = checkpoints
        self._per_second = per_second
        self._per_month = per_month
        self._now = now or (lambda: datetime.now(UTC))
        self._turn = asyncio.Lock()
        self._next = 0.0

    async def count_call(self) -> None:
        """Count one call, then let it go.

        Raises TaskError `budget_exhausted`, TransientError while Kafka is unavailable.
        """
        async with self._turn:
            clock = asyncio.get_running_loop().time
            await asyncio.sleep(max(0.0, self._next - clock()))
            self._next = clock() + 1 / self._per_second
            # Counted before it is made: a crash in between costs one call of the budget, and the
            # plan is never exceeded.
            await self._count()

    async def _count(self) -> None:
        checkpoint = await self._checkpoints.latest(
            self._stream, partition_of(self._stream)
        )
        month = self._now().strftime("%Y-%m")
        used = _used(to_python(checkpoint.cursor) or {}, month)
        if self._per_month and used >= self._per_month:
            raise self._exhausted(month)
        spent = {
            "month": month,
            "used": used + 1,
            "per_month": self._per_month or None,
            "per_second": self._per_second,
        }
        await self._checkpoints.publish(
            msgspec.structs.replace(checkpoint, cursor=raw_json(spent))
        )

    def _exhausted(self, month: str) -> TaskError:
        return TaskError(
            "budget_exhausted",
            f"the {self._per_month} calls of {month} are used up (COINPAPRIKA_CALLS_PER_MONTH); "
            f"the next month begins on {self._next_month():%Y-%m-01} UTC",
        )

    def _next_month(self) -> datetime:
        """Some day of it."""
        return self._now().replace(day=1) + timedelta(days=32)


def _used(known: Json, month: str) -> int:
    return int(known.get("used", 0)) if known.get("month") == month else 0
