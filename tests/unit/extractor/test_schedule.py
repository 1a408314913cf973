"""The schedule, its budget, and what is asked again when."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from services.extractor.planning.schedule import Scheduler
from services.extractor.settings import ExtractorSettings
from services.extractor.sources import back_off
from services.extractor.sources.http_client import RetryableError
from shared.access.signatures import signed
from shared.configuration.effective import Effective
from shared.configuration.forecast import calls_a_month, calls_a_run
from shared.configuration.setting_log import SettingLog
from shared.configuration.settings import (
    FirstValues,
    Missed,
    Pause,
    Removed,
    Schedule,
    Setting,
)
from shared.errors import TaskError, TransientError

SECRET = "of this installation"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()


class Tables:
    """Says which runs are open and known."""

    def __init__(self) -> None:
        self.open: str | None = None
        self.known: set[str] = set()
        self.is_away = False

    async def open_run(
        self, _ids: list[str], _asked_id: str | None
    ) -> str | None:
        if self.is_away:
            raise TransientError("no database")
        return self.open

    async def is_known(self, run_id: str) -> bool:
        if self.is_away:
            raise TransientError("no database")
        return run_id in self.known


class Clock:
    """A scheduler with a clock that the test moves."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now
        self.tables = Tables()
        self.settings = SettingLog(SECRET)
        self.first = FirstValues()
        self._versions = 0
        self.scheduler = self.planner(0)

    def planner(self, ahead_s: float) -> Scheduler:
        """One whose clock is wrong by so much."""
        return Scheduler(
            None,  # type: ignore[arg-type]
            self.tables,  # type: ignore[arg-type]
            Effective(lambda: self.first, self.settings),
            now=lambda: self.now + ahead_s,
        )

    def set(self, name: str, value: Any) -> None:
        self._versions += 1
        setting = Setting(
            name=name,
            version=self._versions,
            value=value,
            changed_at=round(self.now * 1000),
        )
        self.settings.take(signed(setting, SECRET))

    def tick(
        self, seconds: float, scheduler: Scheduler | None = None
    ) -> None:
        self.now += seconds
        asyncio.run((scheduler or self.scheduler).ask_when_due())


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The commands that were published."""
    found: list[Any] = []

    async def publish(
        _producer: Any, _topic: Any, message: Any, **more: Any
    ) -> None:
        assert more["asked_by"].startswith("schedule/")
        found.append(message)

    monkeypatch.setattr(
        "services.extractor.planning.schedule.publishing.publish", publish
    )
    return found


def test_a_time_is_left_out_while_a_run_of_the_schedule_is_open(
    sent: list[Any],
) -> None:
    clock = Clock()
    clock.first = FirstValues(every_s=10)
    clock.tick(0)
    clock.tick(3)
    assert len(sent) == 1  # once a time
    clock.tables.open = sent[0].run_id
    clock.tick(10)
    clock.tick(10)
    assert len(sent) == 1
    clock.tables.open = None
    clock.tick(10)
    assert len(sent) == 2
    assert sent[1].run_id != sent[0].run_id
    assert "left out 2 run(s)" in sent[1].notes[0]
    assert "still at work" in sent[1].notes[0]
    clock.tables.is_away = True
    clock.tick(10)
    assert len(sent) == 2
    clock.tables.is_away = False
    clock.tick(0)
    assert (len(sent), sent[2].notes) == (3, [])


def test_a_cron_asks_at_its_times_in_its_zone(sent: list[Any]) -> None:
    clock = Clock()  # noon in UTC is 13:00 in Berlin
    clock.set(
        "schedule/x",
        Schedule(
            cron="30 13 * * *",
            timezone="Europe/Berlin",
            sources=["coinpaprika"],
            history_days=7,
        ),
    )
    clock.tick(0)
    clock.tick(1799)
    assert sent == []
    clock.tick(1)
    (command,) = sent
    assert command.requested_at == "2026-03-02T12:30:00+00:00"
    assert (command.start, command.end) == ("2026-02-23", "2026-03-02")
    assert command.sources == ["coinpaprika"]
    clock.tick(86_000)
    assert len(sent) == 1
    clock.tick(400)
    assert len(sent) == 2


def test_times_before_it_was_made_are_none_of_a_schedule(
    sent: list[Any],
) -> None:
    clock = Clock(NOON + 5)
    clock.set("schedule/x", Schedule(cron="0 * * * *"))
    clock.tick(0)
    assert sent == []
    clock.tick(3600)
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("missed", "asked"), [(Missed.SKIP, 0), (Missed.ONCE, 1)]
)
def test_missed_times_are_left_out_or_the_last_is_made_up_for(
    sent: list[Any], missed: Missed, asked: int
) -> None:
    clock = Clock()
    clock.set("schedule/x", Schedule(cron="0 * * * *", missed=missed))
    clock.tick(3 * 3600 + 120)  # nobody was there
    assert len(sent) == asked
    clock.tick(3600 - 120)
    assert len(sent) == asked + 1
    assert bool(sent[-1].notes) is (missed == Missed.SKIP)


def test_planners_whose_clocks_differ_ask_once_a_time(
    sent: list[Any],
) -> None:
    clock = Clock()
    clock.set("schedule/x", Schedule(cron="*/10 * * * *"))
    planners = [clock.planner(s) for s in (0, 3600, -3600)]
    for step in range(200):
        clock.tick(60, planners[step % 3])
        clock.tables.known |= {each.run_id for each in sent}
    times = {each.requested_at for each in sent}
    assert len({each.run_id for each in sent}) == len(times)
    # Each of the time that has passed, and the hour ahead.
    assert len(times) == 20 + 6


def test_what_is_paused_or_taken_out_is_not_asked(
    sent: list[Any],
) -> None:
    clock = Clock()
    clock.first = FirstValues(every_s=60)
    clock.tick(0)
    for name in ("pause/schedule/default", "pause/*"):
        clock.set(name, Pause())
        clock.tick(60)
        clock.set(name, None)
    assert len(sent) == 1
    clock.tick(60)
    assert len(sent) == 2
    clock.set("schedule/default", Removed())
    clock.tick(60)
    assert len(sent) == 2
    clock.set("schedule/default", None)
    clock.tick(60)
    assert len(sent) == 3


@pytest.mark.parametrize(
    ("coins", "every_s", "calls"),
    [
        (["a", "b"], 60, 86_430),
        (["a", "b", "c", "d", "e", "f"], 60, 43_230),
        (["*"], 3600, 750),
        ([], 60, 0),
    ],
)
def test_the_calls_that_a_schedule_makes(
    coins: list[str], every_s: int, calls: int
) -> None:
    now = datetime.now(UTC)
    schedule = Schedule(every_s=every_s)
    assert calls_a_month([schedule], coins, now) == calls
    assert calls_a_month([], coins, now) == 0


@pytest.mark.parametrize(
    ("schedule", "calls"),
    [
        (Schedule(every_s=10, sources=["rss"]), 0),
        (Schedule(every_s=10, streams=["coinpaprika/a", "rss/b"]), 1),
        (Schedule(every_s=10, history_days=366), 2 * 2 * 3),
        (Schedule(every_s=10, sources=["coinpaprika"]), 2),
    ],
)
def test_the_calls_of_a_run(schedule: Schedule, calls: int) -> None:
    assert calls_a_run(schedule, ["a", "b"]) == calls


def test_a_schedule_that_needs_more_than_the_plan_has_is_said() -> None:
    settings = ExtractorSettings(_env_file=None, ingest_every_s=60)
    said = settings.forecast() or ""
    assert "86,430" in said
    assert "20,000" in said
    assert "day 7" in said
    assert ExtractorSettings(_env_file=None).forecast() is None


def test_what_fails_again_waits_longer_and_what_names_a_time_as_long() -> (
    None
):
    refused = TaskError("plan_limit", "402")
    known = back_off.after_error(refused, {})
    assert known["not_before"] is None  # the first failure may be chance
    known = back_off.after_error(refused, known)
    first = known["not_before"]
    known = back_off.after_error(refused, known)
    assert (known["failures"], known["error"]["code"]) == (
        3,
        "plan_limit",
    )
    assert known["not_before"] > first
    assert "failed 3 times" in (back_off.not_yet(known, "it") or "")
    named = back_off.after_error(RetryableError("x", "429", 45), {})
    assert named["not_before"] is not None
    assert back_off.without_failures(known) == {"not_before": None}
