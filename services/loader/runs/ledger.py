"""What a run adds up to.

Sums over receipts, never incremented counters, computed again under a lock on the run's row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    func,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.loader.database import db_of
from services.loader.dead_letters import mended
from services.loader.pages import asked, previews
from services.loader.runs.bad_tasks import fail_bad_tasks
from services.loader.runs.run_messages import message_for
from services.loader.runs.superseded import retire_old_readings
from shared.messages.base import REPLAY
from shared.messages.runs import RunKind, RunStatus, TaskStatus
from shared.tables import (
    page_receipts,
    preview_points,
    replay_receipts,
    run_tasks,
    runs,
)

RECORDS = "records"
COLUMNS = ("inserted", "updated", "unchanged", "skipped", "rejected")
COUNTERS = (RECORDS, *COLUMNS)
Counts = dict[str, int]
_NOW = func.clock_timestamp()
_IDLE = (_NOW - runs.c.last_progress_at).label("idle")
_IS_OPEN = runs.c.finished_at.is_(None) & (
    runs.c.status != RunStatus.INCOMPLETE
)


@dataclass(frozen=True)
class Ledger:
    """A run's tasks and the sums over its receipts."""

    tasks: list[Row[Any]]
    by_task: dict[str, Row[Any]]
    sources: dict[str, Counts]

    def of(self, task: Any) -> Any:
        """The sums of a task, None while it has no receipt."""
        return self.by_task.get(task.task_id)

    def totals(self) -> dict[str, Any]:
        """The sums of all sources, and of each."""
        sums: dict[str, Any] = {
            name: self.total(name) for name in COUNTERS
        }
        sums["sources"] = self.sources
        return sums

    def total(self, counter: str) -> int:
        return sum(source[counter] for source in self.sources.values())

    def is_balanced(self) -> bool:
        """Whether every task is whole, and every record stands in one column."""
        accounted = sum(map(self.total, COLUMNS))
        return (
            all(map(self.is_whole, self.tasks))
            and self.total(RECORDS) == accounted
        )

    def is_whole(self, task: Any) -> bool:
        """Whether a task has ended, and what it published was received."""
        if task.finished_at is None:
            return False
        pages = self._pages(task)
        if task.source == REPLAY:
            # One that was interrupted may have found more pages before than after: retention had
            # gone on.
            return pages >= (task.pages or 0)
        received = self.of(task)
        records = received.records if received else 0
        return pages == (task.pages or 0) and task.records in (
            None,
            records,
        )

    def is_short(self, task: Any) -> bool:
        """Whether an ended task has pages without a receipt."""
        return task.finished_at is not None and self._pages(task) < (
            task.pages or 0
        )

    def _pages(self, task: Any) -> int:
        received = self.of(task)
        return received.pages if received else 0


def open_runs(transaction: Connection) -> list[str]:
    """Runs to evaluate now and then. An incomplete one is when something arrives for it."""
    query = select(runs.c.run_id).where(_IS_OPEN)
    return list(transaction.execute(query).scalars())


def evaluate(
    transaction: Connection, run_id: str, incomplete_after_s: float
) -> RunStatus | None:
    """Recompute a run's totals and status under a lock on its row; returns the status."""
    of_run = runs.c.run_id == run_id
    query = select(runs, _IDLE).where(of_run).with_for_update()
    run = transaction.execute(query).one_or_none()
    if run is None:
        return None
    ledger = ledger_of(transaction, run_id)
    is_whole = run.planned and ledger.is_balanced()
    if is_whole and fail_bad_tasks(transaction, run, ledger):
        ledger = ledger_of(transaction, run_id)
    totals = ledger.totals()
    has_moved = totals != run.totals
    is_idle = run.idle.total_seconds() > incomplete_after_s
    status = _status(run, ledger, is_stuck=is_idle and not has_moved)
    if status == run.status and not has_moved:
        return status
    message = message_for(run, ledger, status)
    values: dict[str, Any] = {
        "status": status,
        "totals": totals,
        "message": message,
    }
    if has_moved:
        values["last_progress_at"] = _NOW
    values |= _end(transaction, run, status)
    transaction.execute(update(runs).where(of_run).values(**values))
    if run.kind == RunKind.INGEST and status.is_balanced:
        mended.close(transaction, run_id)
    if run.publish_wanted and status.is_balanced:
        previews.publish(transaction, run_id)
    return status


def _end(
    transaction: Connection, run: Any, status: RunStatus
) -> dict[str, Any]:
    """What changes in a run that is balanced now, or is no longer."""
    if not status.is_balanced:
        return {"finished_at": None}
    if run.finished_at is not None:
        return {}
    changes: dict[str, Any] = {}
    if run.kind == RunKind.INGEST:
        notes = list(retire_old_readings(transaction, str(run.run_id)))
        asked.keep_files(db_of(transaction), str(run.run_id))
        if notes:
            changes["notes"] = runs.c.notes + type_coerce(notes, JSONB)
    if run.kind == RunKind.REPLAY and run.preview is None:
        # Points that it kept in case that a newer page no longer yields them.
        of_run = preview_points.c.run_id == run.run_id
        transaction.execute(preview_points.delete().where(of_run))
    started_at = func.coalesce(
        runs.c.started_at, runs.c.requested_at, _NOW
    )
    return {
        **changes,
        "finished_at": _NOW,
        "started_at": started_at,
        "end_untold": True,
    }


def ledger_of(transaction: Connection, run_id: str) -> Ledger:
    """The ledger of a run, as its receipts stand."""
    of_run = run_tasks.c.run_id == run_id
    query = select(run_tasks).where(of_run).order_by(run_tasks.c.stream)
    tasks = list(transaction.execute(query))
    if any(task.source == REPLAY for task in tasks):
        return _ledger_of_replay(transaction, run_id, tasks)
    rows = _receipts_by_task(transaction, run_id)
    sources = {task.source: _zeros() for task in tasks}
    for row in rows:
        _add(sources.setdefault(row.source, _zeros()), row)
    return Ledger(tasks, {row.task_id: row for row in rows}, sources)


def _zeros() -> Counts:
    return dict.fromkeys(COUNTERS, 0)


def _receipts_by_task(
    transaction: Connection, run_id: str
) -> list[Row[Any]]:
    receipts = page_receipts.c
    is_open = run_tasks.c.finished_at.is_(None)
    is_in_time = is_open | (receipts.page_no < run_tasks.c.pages)
    of_task = run_tasks.c.task_id == receipts.task_id
    query = (
        select(
            receipts.task_id,
            receipts.source,
            func.count(receipts.page_no).label("pages"),
            (func.max(receipts.page_no) + 1).label("next_page"),
            *_sums(receipts),
        )
        .outerjoin_from(page_receipts, run_tasks, of_task)
        .where(receipts.run_id == run_id, is_in_time)
        .group_by(receipts.task_id, receipts.source)
    )
    return list(transaction.execute(query))


def _ledger_of_replay(
    transaction: Connection, run_id: str, tasks: list[Row[Any]]
) -> Ledger:
    """As `ledger_of`, from the receipts of a replay.

    One of its tasks may have pages of several sources.
    """
    receipts = replay_receipts.c
    of_run = receipts.run_id == run_id
    pages = func.count(receipts.page_id).label("pages")
    by_source = transaction.execute(
        select(receipts.source, *_sums(receipts))
        .where(of_run)
        .group_by(receipts.source)
    )
    by_task = transaction.execute(
        select(receipts.task_id, pages, *_sums(receipts))
        .where(of_run)
        .group_by(receipts.task_id)
    )
    sources = {row.source: _counts(row) for row in by_source}
    return Ledger(tasks, {row.task_id: row for row in by_task}, sources)


def _sums(receipts: Any) -> list[Any]:
    return [
        func.sum(receipts[counter]).label(counter) for counter in COUNTERS
    ]


def _counts(row: Any) -> Counts:
    return {counter: int(getattr(row, counter)) for counter in COUNTERS}


def _add(counts: Counts, row: Any) -> None:
    for counter, count in _counts(row).items():
        counts[counter] += count


def _status(run: Any, ledger: Ledger, *, is_stuck: bool) -> RunStatus:
    if not run.planned or not ledger.is_balanced():
        return _open_status(run, is_stuck=is_stuck)
    statuses = [task.status for task in ledger.tasks]
    if run.cancelled and TaskStatus.CANCELLED in statuses:
        return RunStatus.CANCELLED
    if TaskStatus.FINISHED not in statuses and (statuses or run.errors):
        return RunStatus.FAILED
    is_clean = set(statuses) <= {TaskStatus.FINISHED}
    if is_clean and not run.errors and not ledger.total("rejected"):
        return RunStatus.SUCCEEDED
    return RunStatus.PARTIAL


def _open_status(run: Any, *, is_stuck: bool) -> RunStatus:
    if is_stuck:
        return RunStatus.INCOMPLETE
    has_begun = run.planned or run.started_at is not None
    return RunStatus.RUNNING if has_begun else RunStatus.QUEUED
