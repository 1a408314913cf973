"""What happens now, looked for once for all that listen at this gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from services.gateway.database import (
    DATABASE_UNAVAILABLE,
    BusyError,
    Database,
)
from services.gateway.files_there import FilesThere
from services.gateway.problems import ProblemError
from services.gateway.queries.sources import states
from services.gateway.schemas.sources import SourceState
from shared.kafka.checkpoint_log import CheckpointLog
from shared.messages.serialization import encode
from shared.runtime import logs

LOOK_EVERY_S = 0.2
SOURCES_EVERY_S = 5.0
MAX_LISTENERS = 100  # of a gateway
MAX_WAITING = 10_000  # of one listener, before it is dropped
# Of a kind at a look: with more than may wait every listener is dropped, and nothing is left out.
_MOST = MAX_WAITING + 1
MAX_TOLD = 10_000  # things whose newest event is remembered
_SELECT_LAST = "SELECT last FROM change_position"
_SELECT_RUNS = f"""
SELECT r.run_id::text, kind, status, requested_at, finished_at, last_progress_at,
       (totals ->> 'records')::bigint AS records,
       (SELECT coalesce(jsonb_object_agg(status, tasks), '{{}}')::text FROM (
            SELECT t.status, count(*) AS tasks FROM run_tasks AS t
            WHERE t.run_id = r.run_id GROUP BY t.status) AS counted) AS tasks
FROM runs AS r
WHERE (finished_at IS NULL OR requested_at > now() - interval '1 day') AND last_progress_at > $1
ORDER BY last_progress_at LIMIT {_MOST}
"""
_SELECT_TASKS = f"""
SELECT task_id::text, run_id::text, source, stream, status, pages, records,
       error::text AS error, started_at, finished_at
FROM run_tasks WHERE run_id = ANY($1::uuid[]) AND greatest(started_at, finished_at) > $2
ORDER BY greatest(started_at, finished_at) LIMIT {_MOST}
"""
_SELECT_LETTERS = f"""
SELECT id::text, status, created_at, source, stream, stage, reason, message, run_id::text
FROM dead_letters
WHERE created_at > now() - interval '1 minute' OR closed_at > now() - interval '1 minute'
ORDER BY greatest(created_at, closed_at) LIMIT {_MOST}
"""
# Commits are seen later than the times in them; of batches that bring letters, much later.
_AGO = timedelta(seconds=2)
log = logs.get(__name__)


@dataclass(frozen=True)
class Event:
    """`name`: run, task, dead_letter or source. `text`: JSON."""

    name: str
    text: str


@dataclass(eq=False)
class Listener:
    """What waits to be sent to one client, of the kinds that it wants."""

    kinds: frozenset[str]
    events: list[Event] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    is_too_slow: bool = False

    def has_room(self, events: list[Event]) -> bool:
        return len(self.events) + len(events) <= MAX_WAITING

    def take(self) -> list[Event]:
        self.news.clear()
        taken, self.events = self.events, []
        return taken


class Hub:
    """Looks while somebody listens, and stops when nobody does."""

    def __init__(
        self,
        database: Database,
        checkpoints: CheckpointLog,
        there: FilesThere,
    ) -> None:
        self._database = database
        self._checkpoints = checkpoints
        self._there = there
        self._listeners: set[Listener] = set()
        self._looking: asyncio.Task[None] | None = None
        self._last = 0
        self._starting = asyncio.Lock()
        self._since = datetime.now(UTC)
        self._told: dict[str, str] = {}  # the newest event of each thing
        self._letters: frozenset[tuple[str, str]] = frozenset()  # told
        self._sources_at = 0.0

    @asynccontextmanager
    async def listening(
        self, kinds: frozenset[str]
    ) -> AsyncIterator[Listener]:
        """Raises ProblemError 429 for more than may listen at a time."""
        if len(self._listeners) >= MAX_LISTENERS:
            raise ProblemError(
                429,
                f"{MAX_LISTENERS} clients listen at this gateway: try again later",
                headers={"Retry-After": "30"},
            )
        listener = Listener(kinds)
        self._listeners.add(listener)
        try:
            async with self._starting:
                if self._looking is None:
                    await self._begin()
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    def _forget(self) -> None:
        self._since = datetime.now(UTC) - _AGO
        self._told.clear()

    async def _begin(self) -> None:
        """What happened before somebody listened is not told."""
        self._forget()
        await self._new_letters()
        self._looking = asyncio.create_task(self._look_on())

    async def _look_on(self) -> None:
        while True:
            try:
                await self._look()
            except (*DATABASE_UNAVAILABLE, BusyError) as error:
                log.warning("events_wait", error=repr(error))
                await asyncio.sleep(1)
            except Exception as error:
                log.error("events_failed", exc_info=error)
                await asyncio.sleep(1)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> None:
        row = await self._database.row(_SELECT_LAST)
        last = row["last"] if row else 0
        events = [event async for event in self._events()]
        if last == self._last and not events:
            return
        self._last = last
        for listener in self._listeners:
            _tell(listener, events)

    async def _events(self) -> AsyncIterator[Event]:
        since, now = self._since, datetime.now(UTC)
        runs = await self._database.rows(_SELECT_RUNS, since)
        for row in runs:
            run = {**row, "tasks": json.loads(row["tasks"])}
            for event in self._new("run", row["run_id"], run):
                yield event
        numbers = [row["run_id"] for row in runs]
        for row in await self._database.rows(
            _SELECT_TASKS, numbers, since - _AGO
        ):
            task = {**row, "error": json.loads(row["error"] or "null")}
            for event in self._new("task", row["task_id"], task):
                yield event
        for event in await self._new_letters():
            yield event
        for event in await self._sources():
            yield event
        self._since = now - _AGO

    async def _new_letters(self) -> list[Event]:
        """Those that were written or closed since the last look, however late it is seen."""
        rows = await self._database.rows(_SELECT_LETTERS)
        told = self._letters
        self._letters = frozenset(map(_state, rows))
        return [
            Event("dead_letter", encode(dict(row)).decode())
            for row in rows
            if _state(row) not in told
        ]

    async def _sources(self) -> list[Event]:
        now = asyncio.get_running_loop().time()
        if now < self._sources_at:
            return []
        self._sources_at = now + SOURCES_EVERY_S
        found = await states(
            self._database, self._checkpoints, self._there
        )
        return list(chain.from_iterable(map(self._of_source, found)))

    def _of_source(self, state: SourceState) -> list[Event]:
        shown = state.model_dump(mode="json")
        return self._new("source", state.name, shown)

    def _new(
        self, name: str, id_: str, shown: dict[str, Any]
    ) -> list[Event]:
        """The event, unless the same was told last."""
        text = encode(shown).decode()
        key = f"{name} {id_}"
        if self._told.get(key) == text:
            return []
        self._told[key] = text
        while len(self._told) > MAX_TOLD:
            self._told.pop(next(iter(self._told)))
        return [Event(name, text)]


def _state(letter: Any) -> tuple[str, str]:
    return letter["id"], letter["status"]


def _tell(listener: Listener, events: list[Event]) -> None:
    wanted = [event for event in events if event.name in listener.kinds]
    if listener.has_room(wanted):
        listener.events += wanted
    else:
        listener.is_too_slow = True
    listener.news.set()
