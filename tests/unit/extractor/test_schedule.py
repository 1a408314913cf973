"""The schedule, its budget, and what is asked again when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.extractor.planning.schedule import Schedule
from services.extractor.settings import ExtractorSettings
from services.extractor.sources import back_off
from services.extractor.sources.http_client import RetryableError
from shared.errors import TaskError, TransientError


class Tables:
    """Says which run is open."""

    def __init__(self) -> None:
        self.open: str | None = None
        self.is_away = False

    async def open_run(
        self, _ids: list[str], _asked_id: str | None
    ) -> str | None:
        if self.is_away:
            raise TransientError("no database")
        return self.open


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The commands that were published."""
    found: list[Any] = []

    async def publish(
        _producer: Any, _topic: Any, message: Any, **_more: Any
    ) -> None:
        found.append(message)

    monkeypatch.setattr(
        "services.extractor.planning.schedule.publishing.publish", publish
    )
    return found


def test_a_slot_is_left_out_while_a_run_of_the_schedule_is_open(
    sent: list[Any],
) -> None:
    tables, clock = Tables(), [1000.0]
    schedule = Schedule(
        None,  # type: ignore[arg-type]
        tables,  # type: ignore[arg-type]
        every_s=10,
        now=lambda: clock[0],
    )

    def tick(seconds: float) -> None:
        clock[0] += seconds
        asyncio.run(schedule.ask_when_due())

    tick(0)
    tick(3)
    assert len(sent) == 1  # once a slot
    tables.open = sent[0].run_id
    tick(10)
    tick(10)
    assert len(sent) == 1
    tables.open = None
    tick(10)
    assert len(sent) == 2
    assert sent[1].run_id != sent[0].run_id
    assert "left out 2 run(s)" in sent[1].notes[0]
    tables.is_away = True
    tick(10)
    assert len(sent) == 2
    tables.is_away = False
    tick(0)
    assert (len(sent), sent[2].notes) == (3, [])


@pytest.mark.parametrize(
    ("coins", "every_s", "calls"),
    [
        (["a", "b"], 60, 86_430),
        (["a", "b", "c", "d", "e", "f"], 60, 43_230),
        (["*"], 3600, 750),
        (["a"], 0, 0),
        ([], 60, 0),
    ],
)
def test_the_calls_that_a_schedule_makes(
    coins: list[str], every_s: int, calls: int
) -> None:
    settings = ExtractorSettings(
        _env_file=None, coin_ids=coins, ingest_every_s=every_s
    )
    assert settings.calls_a_month() == calls


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
