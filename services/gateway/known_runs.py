"""Runs that a request names: stored, or asked for a moment ago."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from services.gateway.database import Database
from services.gateway.kafka.command_bus import CommandBus
from services.gateway.problems import ProblemError
from services.gateway.queries import runs
from services.gateway.requests.parameters import checked
from shared.messages.runs import RunKind, RunStatus

R = TypeVar("R")


@dataclass(frozen=True)
class KnownRun:
    """A run that is stored, or was asked for."""

    run_id: str
    status: RunStatus
    kind: RunKind

    @classmethod
    def of(cls, run: dict[str, Any]) -> KnownRun:
        """A run as `queries.runs` gives it."""
        return cls(
            run["run_id"], RunStatus(run["status"]), RunKind(run["kind"])
        )


async def known_run(database: Database, name: str) -> dict[str, Any]:
    """A run that is stored. Raises ProblemError 404, 422."""
    run_id = await runs.resolve(database, checked(name, "path.run_id"))
    return _existing(await runs.one(database, run_id), name)


async def stored_or_pending(
    database: Database, bus: CommandBus, name: str
) -> KnownRun:
    """A run that is stored, or was asked for a moment ago. Raises ProblemError 404, 422."""
    run = await find_run(database, bus, checked(name, "path.run_id"))
    return KnownRun.of(_existing(run, name))


def _existing(run: R | None, name: str) -> R:
    if run is None:
        raise ProblemError(404, f"there is no run {name}")
    return run


async def find_run(
    database: Database, bus: CommandBus, name: str
) -> dict[str, Any] | None:
    """A run as users see it, stored or asked for a moment ago; None where there is none.

    `name`: as `checked` gives it.
    """
    run_id = await runs.resolve(database, name)
    run = await runs.one(database, run_id)
    if run is not None:
        return run
    pending = await bus.find(run_id)
    return None if pending is None else runs.queued_view(pending)
