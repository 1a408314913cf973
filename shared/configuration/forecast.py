"""How many calls of CoinPaprika the schedules make in a month, before they make them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from shared.configuration.schedules import runs_a_month
from shared.configuration.settings import Schedule
from shared.identity.windows import KINDS, Window
from shared.messages.base import Source

FEW_COINS = 5  # more are taken from the list of all
DAYS = 30  # of a month


def is_one_call(coin_ids: Sequence[str]) -> bool:
    """Whether live prices of these coins are taken from the list of all, which is one call."""
    return list(coin_ids) == ["*"] or len(coin_ids) > FEW_COINS


def calls_a_run(schedule: Schedule, coin_ids: Sequence[str]) -> int:
    """Of CoinPaprika, with these coins."""
    if schedule.streams is not None:
        beginning = f"{Source.COINPAPRIKA}/"
        return sum(
            each.startswith(beginning) for each in schedule.streams
        )
    sources = schedule.sources
    if sources is not None and Source.COINPAPRIKA not in sources:
        return 0
    if schedule.history_days is not None:
        return _calls_of_history(schedule.history_days, coin_ids)
    return 1 if is_one_call(coin_ids) else len(coin_ids)


def _calls_of_history(days: int, coin_ids: Sequence[str]) -> int:
    if list(coin_ids) == ["*"]:
        return 0
    start = date(2024, 1, 1)  # any
    window = Window("", KINDS[0], start, start + timedelta(days=days))
    return window.calls() * len(KINDS) * len(coin_ids)


def calls_a_month(
    schedules: Iterable[Schedule], coin_ids: Sequence[str], now: datetime
) -> int:
    """In 30 days, with one a day for the list of coins."""
    calls = 0.0
    for schedule in schedules:
        of_a_run = calls_a_run(schedule, coin_ids)
        if of_a_run:
            calls += of_a_run * math.floor(runs_a_month(schedule, now))
    return round(calls) + DAYS if calls else 0


def shortage(needed: int, allowed: int | None, what: str) -> str | None:
    """A sentence where `what` needs more calls than the plan has."""
    if not allowed or needed <= allowed:
        return None
    day = math.ceil(DAYS * allowed / needed)
    return (
        f"CoinPaprika: {what} makes {needed:,} calls a month, of {allowed:,} "
        f"(COINPAPRIKA_CALLS_PER_MONTH): they are used up on day {day}"
    )
