"""What the health endpoints read."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.gateway.database import DATABASE_UNAVAILABLE, Database
from services.gateway.files_there import FilesThere
from services.gateway.kafka.command_bus import CommandBus
from services.gateway.queries import sources
from services.gateway.queries.sources import budget_of
from services.gateway.requests.times import to_seconds
from services.gateway.schemas.sources import Budget, SourceState
from shared.configuration.effective import Effective
from shared.csvfile.folder import Root
from shared.kafka.checkpoint_log import TROUBLE, CheckpointLog
from shared.messages.base import Source
from shared.messages.serialization import to_python
from shared.runtime.health import DISK_FULL
from shared.values.times import now_ms

LOOK_EVERY_S = 15.0
# A source is stale when its schedule should have read it so often, but not within minutes.
STALE_TIMES = 3
STALE_S = 900.0
LEAST_FREE = 2_000_000_000  # bytes
MAX_MESSAGE = 200  # characters
_SELECT_LAST_RUN = """
SELECT run_id::text, status, requested_at, finished_at FROM runs
WHERE requested_at IS NOT NULL ORDER BY requested_at DESC, run_id DESC LIMIT 1
"""
_SELECT_GAPS = """
SELECT topic, partition, first_missing, first_available, "group", reason, noticed_at, closed_at
FROM data_gaps ORDER BY closed_at IS NULL DESC, noticed_at DESC, id LIMIT 50
"""


async def recent(
    database: Database,
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """(newest run, last data gaps); nothing while the database is unavailable."""
    try:
        run = await database.row(_SELECT_LAST_RUN)
        gaps = await database.rows(_SELECT_GAPS)
    except DATABASE_UNAVAILABLE:
        return None, []
    return (dict(run) if run else None), [dict(gap) for gap in gaps]


def budgets_of(checkpoints: CheckpointLog) -> dict[str, Budget]:
    """The call budget of each source that has one, as Kafka told it last."""
    found = {}
    for source in Source:
        budget = budget_of(source, checkpoints)
        if budget is not None:
            found[str(source)] = budget
    return found


def reasons_of(
    bus: CommandBus,
    gaps: list[dict[str, Any]],
    budgets: dict[str, Budget],
    own_trouble: str,
) -> Iterator[str]:
    """What is wrong, each as a code and a sentence."""
    if not bus.is_connected:
        yield "kafka_away: it cannot be reached"
    for group in bus.groups.values():
        yield from group.reasons()
    yield from bus.checkpoints.starts.reasons(now_ms())
    for trouble in (own_trouble, _told_trouble(bus)):
        if trouble.startswith(DISK_FULL):
            yield trouble
    if not all(gap["closed_at"] for gap in gaps):
        yield "data_gap: messages were removed before they were read"
    for source, budget in budgets.items():
        if _is_used_up(budget):
            shown = f"the {budget.per_month} calls of {source}"
            yield f"budget_exhausted: {shown} in {budget.month} are used up"


class SourceWatch:
    """The state of the sources, asked for again when it is some seconds old."""

    def __init__(self, database: Database, there: FilesThere) -> None:
        self._database = database
        self._there = there
        self._known: list[SourceState] = []
        self._asked_at = float("-inf")

    async def states(
        self, checkpoints: CheckpointLog
    ) -> list[SourceState]:
        """Raises DATABASE_UNAVAILABLE."""
        if time.monotonic() > self._asked_at + LOOK_EVERY_S:
            self._asked_at = time.monotonic()
            self._known = await sources.states(
                self._database, checkpoints, self._there
            )
        return self._known

    async def reasons(
        self, checkpoints: CheckpointLog, effective: Effective
    ) -> list[str]:
        """What is wrong, each as a code and a sentence. Raises DATABASE_UNAVAILABLE."""
        states = await self.states(checkpoints)
        return [
            *_failing(states, effective),
            *_stale(states, checkpoints),
            *_disk(self._there.root),
        ]


def _failing(
    states: list[SourceState], effective: Effective
) -> Iterator[str]:
    """But for what is paused, which nobody expects to be read."""
    for state in states:
        failing = [
            each
            for each in state.failing
            if effective.why_paused(each.stream) is None
        ]
        if failing:
            first = failing[0]
            paused = len(state.failing) - len(failing)
            number = state.failing_streams - paused
            streams = "stream" if number == 1 else "streams"
            yield (
                f"stream_failing: {number} {streams} of {state.name}, such as {first.stream}: "
                f"{first.message[:MAX_MESSAGE]}"
            )


def _stale(
    states: list[SourceState], checkpoints: CheckpointLog
) -> Iterator[str]:
    """Sources that the schedule should have read some times since."""
    now = datetime.now(UTC)
    for state in states:
        every = sources.every_s(checkpoints, state.name)
        last = state.last_success_at
        if not state.streams or every is None or last is None:
            continue
        age = (now - last).total_seconds()
        if age > max(STALE_TIMES * every, STALE_S):
            yield (
                f"source_stale: {state.name} was read last {to_seconds(last)}, its schedule reads "
                f"it every {every:.0f} s"
            )


def _disk(place: Root) -> Iterator[str]:
    if not isinstance(place, Path):
        return
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(place).free
        if free < LEAST_FREE:
            yield f"disk_nearly_full: {free / 1e9:.1f} GB are free where CSV_DIR lies"


def _told_trouble(bus: CommandBus) -> str:
    """What the loader says."""
    trouble = bus.checkpoints.get(TROUBLE)
    told = to_python(trouble.cursor) if trouble else None
    return str(told["reason"]) if told else ""


def _is_used_up(budget: Budget) -> bool:
    if not budget.per_month or budget.used < budget.per_month:
        return False
    return budget.month == f"{datetime.now(UTC):%Y-%m}"
