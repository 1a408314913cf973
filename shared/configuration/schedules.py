"""When a schedule is due: crons by cronsim, in a time zone; intervals from the epoch on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from shared.configuration.settings import Schedule

LEAST_S = 10  # between two runs
DAY_S = 86_400
MONTH_S = 30 * DAY_S
_FIELDS = 5
_LOOKED_AT = 500  # times of a year, for how many a month has
_FEW = 10  # times, for the longest wait between two


def refuse_wrong(schedule: Schedule) -> None:
    """Raises ValueError that says what is wrong with a schedule."""
    if (schedule.cron is None) == (schedule.every_s is None):
        raise ValueError("say either cron or every_s")
    if schedule.every_s is not None and schedule.every_s < LEAST_S:
        raise ValueError(f"every_s must be at least {LEAST_S}")
    if schedule.history_days and schedule.streams:
        raise ValueError("history_days goes with sources, not streams")
    zone(schedule)
    if schedule.cron is not None:
        _refuse_wrong_cron(schedule, schedule.cron)


def _refuse_wrong_cron(schedule: Schedule, cron: str) -> None:
    if len(cron.split()) != _FIELDS:
        raise ValueError(
            "a cron has five fields: minute, hour, day of the month, month, day of the week"
        )
    try:
        next(times_after(schedule, datetime.now(UTC)))
    except (CronSimError, StopIteration) as error:
        reason = str(error) or "it never comes"
        raise ValueError(f"{cron!r} is no cron: {reason}") from error


def zone(schedule: Schedule) -> ZoneInfo:
    """Raises ValueError."""
    try:
        return ZoneInfo(schedule.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"{schedule.timezone!r} is no time zone such as UTC or Europe/Berlin"
        ) from error


def times_after(
    schedule: Schedule, after: datetime
) -> Iterator[datetime]:
    """The times that come, in UTC."""
    if schedule.every_s is not None:
        slot = int(after.timestamp() // schedule.every_s)
        while True:
            slot += 1
            yield _slot(slot, schedule.every_s)
    local = after.astimezone(zone(schedule))
    for moment in CronSim(schedule.cron or "", local):
        yield moment.astimezone(UTC)


def times_until(
    schedule: Schedule, until: datetime
) -> Iterator[datetime]:
    """The times up to and at `until`, the newest first, in UTC."""
    if schedule.every_s is not None:
        slot = int(until.timestamp() // schedule.every_s)
        while slot > 0:
            yield _slot(slot, schedule.every_s)
            slot -= 1
        return
    # A cron has no seconds; the search begins after the moment that it is given.
    local = until.astimezone(zone(schedule)) + timedelta(minutes=1)
    for moment in CronSim(schedule.cron or "", local, reverse=True):
        found = moment.astimezone(UTC)
        if found <= until:
            yield found


def is_whole(schedule: Schedule, source: str) -> bool:
    """Whether it asks for what is current of all streams of a source."""
    if schedule.streams is not None or schedule.history_days is not None:
        return False
    return schedule.sources is None or source in schedule.sources


def runs_a_month(schedule: Schedule, now: datetime) -> float:
    """In 30 days, by those of a year; of very many by those of its first while."""
    if schedule.every_s is not None:
        return MONTH_S / schedule.every_s
    year_s = 365 * DAY_S
    end = now + timedelta(seconds=year_s)
    coming = takewhile(end.__ge__, times_after(schedule, now))
    found = list(islice(coming, _LOOKED_AT))
    looked_s = float(year_s)
    if len(found) == _LOOKED_AT:
        looked_s = (found[-1] - now).total_seconds()
    return len(found) * MONTH_S / looked_s


def longest_wait_s(schedule: Schedule, now: datetime) -> float:
    """Between two of the next times: what is not read for longer is stale."""
    if schedule.every_s is not None:
        return float(schedule.every_s)
    found = list(islice(times_after(schedule, now), _FEW))
    waits = [
        (later - earlier).total_seconds()
        for earlier, later in pairwise(found)
    ]
    return max(waits, default=float(MONTH_S))


def _slot(number: int, every_s: int) -> datetime:
    return datetime.fromtimestamp(number * every_s, UTC)
