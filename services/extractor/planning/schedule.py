"""Asks for what is due by the schedules, unless a run of the same schedule is still at work.

A run's id is made from its schedule and time, so that asking twice is asking once, also by planners
whose clocks differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

from aiokafka import AIOKafkaProducer

from services.extractor.archive import Archive
from shared.configuration.effective import Effective
from shared.configuration.schedules import times_until
from shared.configuration.settings import Kind, Missed, Schedule
from shared.errors import TransientError
from shared.identity.ids import scheduled_run_id
from shared.kafka import publishing
from shared.messages.commands import StartIngestion
from shared.messages.topics import COMMANDS
from shared.runtime import logs
from shared.values.times import from_ms

LOOKED_BACK = 50  # times, for a run that is still open
# A time that is older is missed.
MISSED_AFTER = timedelta(seconds=60)
log = logs.get(__name__)


@dataclass
class _Watch:
    """What is known of a schedule since it was last changed. `seen`: the last time looked at."""

    schedule: Schedule
    seen: datetime
    asked_id: str | None = None
    left_out: int = 0
    why: list[str] = field(default_factory=list)


class Scheduler:
    """Asked about once a second by the planner that holds the partition of commands."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        archive: Archive,
        effective: Effective,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._producer = producer
        self._archive = archive
        self._effective = effective
        self._now = now
        self._watched: dict[str, _Watch] = {}

    async def ask_when_due(self) -> None:
        """What cannot be asked now is asked later."""
        now = datetime.fromtimestamp(self._now(), UTC)
        schedules = self._effective.schedules()
        for name in self._watched.keys() - schedules.keys():
            del self._watched[name]
        for name, schedule in schedules.items():
            try:
                await self._look(name, schedule, now)
            except TransientError as error:
                log.warning(
                    "schedule_postponed", schedule=name, error=str(error)
                )

    async def _look(
        self, name: str, schedule: Schedule, now: datetime
    ) -> None:
        watch = self._watch(name, schedule)
        due = next(times_until(schedule, now), None)
        if due is None or due <= watch.seen:
            return
        paused = self._effective.why_paused(
            Kind.SCHEDULE.named(name)
        ) or self._why_all_paused(schedule)
        if paused:
            watch.seen = due
            return
        is_late = now - due > MISSED_AFTER
        if is_late and schedule.missed == Missed.SKIP:
            self._leave_out(name, watch, due, "nobody could ask for it")
            return
        run_id = scheduled_run_id(name, due.isoformat())
        if is_late and await self._archive.is_known(run_id):
            watch.seen = due
            return
        open_id = await self._open_run(name, watch, due)
        if open_id is not None:
            self._leave_out(
                name, watch, due, f"{open_id} was still at work"
            )
            return
        await self._ask(name, watch, run_id, due)

    def _watch(self, name: str, schedule: Schedule) -> _Watch:
        """Times before a schedule was made are none of it."""
        watch = self._watched.get(name)
        if watch is None or watch.schedule != schedule:
            made_at = self._effective.set_at(Kind.SCHEDULE.named(name))
            watch = _Watch(schedule, from_ms(made_at))
            self._watched[name] = watch
        return watch

    def _why_all_paused(self, schedule: Schedule) -> str | None:
        """Where everything that it asks for is paused."""
        asked = schedule.streams or schedule.sources or ["*"]
        reasons = [self._effective.why_paused(each) for each in asked]
        return reasons[0] if all(reasons) else None

    def _leave_out(
        self, name: str, watch: _Watch, due: datetime, why: str
    ) -> None:
        watch.seen = due
        watch.left_out += 1
        watch.why = [why]
        log.info(
            "schedule_left_out",
            schedule=name,
            at=due.isoformat(),
            reason=why,
        )

    async def _open_run(
        self, name: str, watch: _Watch, due: datetime
    ) -> str | None:
        """A run of the schedule that has not ended."""
        before = due - timedelta(microseconds=1)
        earlier = islice(times_until(watch.schedule, before), LOOKED_BACK)
        ids = [
            scheduled_run_id(name, each.isoformat()) for each in earlier
        ]
        return await self._archive.open_run(ids, watch.asked_id)

    async def _ask(
        self, name: str, watch: _Watch, run_id: str, due: datetime
    ) -> None:
        command = _command(name, watch, run_id, due)
        await publishing.publish(
            self._producer,
            COMMANDS,
            command,
            key=run_id,
            service="extractor",
            event_id=run_id,
            asked_by=Kind.SCHEDULE.named(name),
        )
        log.info("schedule_asked", schedule=name, run_id=run_id)
        watch.seen = due
        watch.asked_id = run_id
        watch.left_out = 0


def _command(
    name: str, watch: _Watch, run_id: str, due: datetime
) -> StartIngestion:
    schedule = watch.schedule
    start, end = _days_before(due, schedule.history_days)
    return StartIngestion(
        run_id=run_id,
        sources=schedule.sources,
        streams=schedule.streams,
        requested_at=due.isoformat(),
        start=start,
        end=end,
        notes=_notes(name, watch),
    )


def _notes(name: str, watch: _Watch) -> list[str]:
    if not watch.left_out:
        return []
    left_out = f"the schedule {name} left out {watch.left_out} run(s)"
    return [f"{left_out}, since {watch.why[0]}"]


def _days_before(
    due: datetime, days: int | None
) -> tuple[str | None, str | None]:
    """(first, after the last) of the days that are asked for; None: what is current."""
    if not days:
        return None, None
    first = due.date() - timedelta(days=days)
    return first.isoformat(), due.date().isoformat()
