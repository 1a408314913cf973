"""What is configured, as it is shown: what counts, where it comes from, who changed it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from services.gateway.kafka.command_bus import CommandBus
from services.gateway.problems import ProblemError
from services.gateway.queries.sources import budget_of
from services.gateway.routes.configuration.schema import Forecast, Origin
from shared.configuration.effective import Effective
from shared.configuration.forecast import calls_a_month, shortage
from shared.messages.base import Source
from shared.values.times import from_ms


def origin_of(effective: Effective, name: str) -> dict[str, Any]:
    """The fields of `Origined`."""
    setting = effective.settings.get(name)
    is_set = setting is not None and setting.value is not None
    return {
        "origin": Origin.RUN_TIME if is_set else Origin.ENV,
        "changed_at": setting and from_ms(setting.changed_at),
        "changed_by": setting and setting.changed_by,
    }


def refuse_too_many(
    known: Collection[str], name: str, most: int, what: str
) -> None:
    """Raises ProblemError 409 for one more than there may be."""
    if name not in known and len(known) >= most:
        raise ProblemError(409, f"there are {most} {what} already")


def forecast(bus: CommandBus) -> Forecast:
    effective = bus.configuration.effective
    coins = effective.coins(Source.COINPAPRIKA)
    schedules = effective.active_schedules()
    needed = calls_a_month(schedules, coins, datetime.now(UTC))
    budget = budget_of(Source.COINPAPRIKA, bus.checkpoints)
    allowed = budget.per_month if budget else None
    return Forecast(
        calls_a_month=needed,
        per_month=allowed,
        warning=shortage(needed, allowed, "what is scheduled"),
    )
