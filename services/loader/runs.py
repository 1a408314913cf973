"""Runs and tasks: what the commands and events say, and what the receipts add up to.

Counters are never incremented: they are sums over receipts, taken anew under a lock on the run's row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from shared.events import (
    CancelRun,
    Command,
    DataGap,
    PlannedTask,
    RunCancelled,
    RunError,
    RunEvent,
    RunPlanned,
    StartIngestion,
    TaskFailed,
    TaskFinished,
    TaskStarted,
)
from shared.tables import page_receipts, run_tasks, runs

COUNTERS = ("records", "inserted", "updated", "unchanged", "skipped", "rejected")
ENDED = frozenset({"succeeded", "partial", "failed", "cancelled"})  # `incomplete` may still change
_NOW = func.clock_timestamp()


@dataclass(frozen=True)
class Timed:
    """A command or event with the broker's time."""

    message: Command | RunEvent
    broker_ms: int
    record: Any = None  # as it came, for a dead letter

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.broker_ms / 1000, UTC)

    @property
    def run_id(self) -> str | None:
        return self.message.run_id


def apply(transaction: Connection, messages: Iterable[Timed]) -> None:
    """Store what happened. Each message may come again and in any order between topics; the result is the same."""
    for timed in messages:
        run_id = timed.run_id
        if run_id is None or isinstance(timed.message, DataGap):
            continue
        transaction.execute(insert(runs).values(run_id=run_id).on_conflict_do_nothing())
        _APPLY[type(timed.message)](transaction, timed.message, timed.at)
        transaction.execute(update(runs).where(runs.c.run_id == run_id).values(last_progress_at=_NOW))


def _requested(transaction: Connection, command: StartIngestion, at: datetime) -> None:
    request = {"sources": command.sources, "streams": command.streams, "full_refresh": command.full_refresh}
    first_only = (runs.c.run_id == command.run_id) & runs.c.requested_at.is_(None)
    transaction.execute(update(runs).where(first_only).values(request=request, requested_at=at))


def _planned(transaction: Connection, event: RunPlanned, at: datetime) -> None:
    values = {
        "planned": runs.c.planned | event.is_last,
        "errors": msgspec.to_builtins(event.errors),
        "notes": event.notes,
        "requested_at": func.coalesce(runs.c.requested_at, at),
    }
    transaction.execute(update(runs).where(runs.c.run_id == event.run_id).values(**values))
    for task in event.tasks:
        _ensure_task(transaction, event.run_id, task)


def _ensure_task(transaction: Connection, run_id: str, task: PlannedTask | TaskStarted | TaskFinished | TaskFailed) -> None:
    row = {"task_id": task.task_id, "run_id": run_id, "source": task.source, "stream": task.stream}
    transaction.execute(insert(run_tasks).values(**row).on_conflict_do_nothing())


def _started(transaction: Connection, event: TaskStarted, at: datetime) -> None:
    _ensure_task(transaction, event.run_id, event)
    transaction.execute(
        update(run_tasks).where(run_tasks.c.task_id == event.task_id).values(
            started_at=func.least(func.coalesce(run_tasks.c.started_at, at), at),
            status=text("CASE WHEN status = 'planned' THEN 'running' ELSE status END"),
        )
    )  # fmt: skip
    transaction.execute(
        update(runs).where(runs.c.run_id == event.run_id).values(started_at=func.least(func.coalesce(runs.c.started_at, at), at))
    )


def _ended(transaction: Connection, event: TaskFinished | TaskFailed, at: datetime) -> None:
    _ensure_task(transaction, event.run_id, event)
    failed = isinstance(event, TaskFailed)
    status = "failed" if failed else "cancelled" if isinstance(event, TaskFinished) and event.cancelled else "finished"
    values = {
        "status": status, "pages": event.pages, "records": event.records, "notes": event.notes, "finished_at": func.coalesce(run_tasks.c.finished_at, at),
        "started_at": func.coalesce(run_tasks.c.started_at, at), "error": msgspec.to_builtins(event.error) if isinstance(event, TaskFailed) else None,
    }  # fmt: skip
    transaction.execute(update(run_tasks).where(run_tasks.c.task_id == event.task_id).values(**values))


def _cancelled(transaction: Connection, event: RunCancelled, _at: datetime) -> None:
    transaction.execute(update(runs).where(runs.c.run_id == event.run_id).values(cancelled=True))


def _cancel_requested(_transaction: Connection, _command: CancelRun, _at: datetime) -> None:
    """The planner answers it with RunCancelled."""


_APPLY: dict[type, Any] = {
    StartIngestion: _requested, CancelRun: _cancel_requested, RunPlanned: _planned, TaskStarted: _started,
    TaskFinished: _ended, TaskFailed: _ended, RunCancelled: _cancelled,
}  # fmt: skip


# -- what it adds up to -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ledger:
    """A run's tasks and the sums over its receipts."""

    tasks: list[Any]
    by_task: dict[str, Any]
    sources: dict[str, dict[str, int]]

    def total(self, counter: str) -> int:
        return sum(source[counter] for source in self.sources.values())

    def is_balanced(self) -> bool:
        """Every task has ended, each of its pages has a receipt, and every record stands in one column."""
        if any(task.finished_at is None for task in self.tasks):
            return False
        if any(not self._has_all_pages(task) for task in self.tasks):
            return False
        return self.total("records") == sum(self.total(counter) for counter in COUNTERS[1:])

    def _has_all_pages(self, task: Any) -> bool:
        seen = self.by_task.get(task.task_id)
        return (seen.numbers if seen else 0) >= (task.pages or 0)


def open_runs(transaction: Connection) -> list[str]:
    return list(transaction.execute(select(runs.c.run_id).where(runs.c.finished_at.is_(None))).scalars())


def evaluate(transaction: Connection, run_id: str, incomplete_after_s: float) -> str | None:
    """Recompute a run's totals and status under a lock on its row; returns the status."""
    run = transaction.execute(
        select(runs, (_NOW - runs.c.last_progress_at).label("idle")).where(runs.c.run_id == run_id).with_for_update()
    ).one_or_none()
    if run is None:
        return None
    ledger = _ledger(transaction, run_id)
    errors = [*run.errors, *(task.error for task in ledger.tasks if task.error)]
    totals = {**{counter: ledger.total(counter) for counter in COUNTERS}, "sources": ledger.sources}
    is_stuck = totals == run.totals and run.idle.total_seconds() > incomplete_after_s
    status = _status(run, ledger, is_stuck=is_stuck)
    values: dict[str, Any] = {"status": status, "totals": totals, "message": _message(run, ledger, status, errors)}
    if totals != run.totals:
        values["last_progress_at"] = _NOW
    if status in ENDED and run.finished_at is None:
        values["finished_at"] = _NOW
        values["started_at"] = func.coalesce(runs.c.started_at, runs.c.requested_at, _NOW)
    if status != run.status or totals != run.totals:
        transaction.execute(update(runs).where(runs.c.run_id == run_id).values(**values))
    return status


def _ledger(transaction: Connection, run_id: str) -> Ledger:
    tasks = list(transaction.execute(select(run_tasks).where(run_tasks.c.run_id == run_id).order_by(run_tasks.c.stream)))
    counts = [func.sum(page_receipts.c[counter]).label(counter) for counter in COUNTERS]
    grouped = select(
        page_receipts.c.task_id, page_receipts.c.source, func.count(page_receipts.c.page_no.distinct()).label("numbers"), *counts
    )
    rows = transaction.execute(
        grouped.where(page_receipts.c.run_id == run_id).group_by(page_receipts.c.task_id, page_receipts.c.source)
    ).all()
    sources: dict[str, dict[str, int]] = {task.source: dict.fromkeys(COUNTERS, 0) for task in tasks}
    for row in rows:
        into = sources.setdefault(row.source, dict.fromkeys(COUNTERS, 0))
        for counter in COUNTERS:
            into[counter] += int(getattr(row, counter))
    return Ledger(tasks, {row.task_id: row for row in rows}, sources)


def _status(run: Any, ledger: Ledger, *, is_stuck: bool) -> str:
    if not run.planned or not ledger.is_balanced():
        if is_stuck and run.planned:
            return "incomplete"
        return "running" if run.planned or run.started_at is not None else "queued"
    succeeded = [task for task in ledger.tasks if task.status == "finished"]
    if run.cancelled and any(task.status == "cancelled" for task in ledger.tasks):
        return "cancelled"
    if not succeeded and (ledger.tasks or run.errors):
        return "failed"
    clean = len(succeeded) == len(ledger.tasks) and not run.errors and not ledger.total("rejected")
    return "succeeded" if clean else "partial"


def _message(run: Any, ledger: Ledger, status: str, errors: list[RunError]) -> str | None:
    """One sentence for people about how it ended."""
    if status in ("queued", "running"):
        return None
    if status == "incomplete":
        waiting = [task.stream for task in ledger.tasks if task.finished_at is None]
        return f"nothing has moved for a while; waiting for {', '.join(waiting[:5]) or 'pages of finished tasks'}"
    if not ledger.tasks:
        return "no streams to ingest: " + (
            "; ".join(run.notes) or "; ".join(error["message"] for error in run.errors) or "none were asked for"
        )
    if ledger.total("records") == 0 and not errors:
        return "; ".join([f"nothing new: {len(ledger.tasks)} stream(s) are up to date", *run.notes])
    parts = [f"{len(errors)} error(s)"] if errors else []
    parts += [f"{ledger.total('rejected')} record(s) rejected: GET /api/v1/runs/{run.run_id} says why"] if ledger.total("rejected") else []
    return "; ".join([*parts, *run.notes]) or None
