"""What a run adds up to: sums over receipts, never incremented counters, taken anew under a lock on the run's row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

from shared.messages.base import REPLAY
from shared.messages.runs import RunKind, RunStatus, TaskStatus
from shared.tables import page_receipts, preview_points, replay_receipts, run_tasks, runs

COUNTERS = ("records", "inserted", "updated", "unchanged", "skipped", "rejected")
_NOW = func.clock_timestamp()


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
        return all(self.is_whole(task) for task in self.tasks) and self.total("records") == sum(map(self.total, COUNTERS[1:]))

    def is_whole(self, task: Any) -> bool:
        """Whether a task has ended, and what it has published has been received: as many pages, as many records."""
        if task.finished_at is None:
            return False
        seen = self.by_task.get(task.task_id)
        pages, records = (seen.pages, seen.records) if seen else (0, 0)
        if task.source == REPLAY:  # one that was interrupted may have found more before than after, when retention had gone on
            return pages >= (task.pages or 0)
        return pages == (task.pages or 0) and (task.records is None or records == task.records)

    def is_short(self, task: Any) -> bool:
        """Whether an ended task has pages without a receipt."""
        seen = self.by_task.get(task.task_id)
        return task.finished_at is not None and (seen.pages if seen else 0) < (task.pages or 0)


def open_runs(transaction: Connection) -> list[str]:
    """Runs to look at now and then. An incomplete one is looked at when something arrives for it."""
    is_open = runs.c.finished_at.is_(None) & (runs.c.status != RunStatus.INCOMPLETE)
    return list(transaction.execute(select(runs.c.run_id).where(is_open)).scalars())


def evaluate(transaction: Connection, run_id: str, incomplete_after_s: float) -> RunStatus | None:
    """Recompute a run's totals and status under a lock on its row; returns the status."""
    run = transaction.execute(
        select(runs, (_NOW - runs.c.last_progress_at).label("idle")).where(runs.c.run_id == run_id).with_for_update()
    ).one_or_none()
    if run is None:
        return None
    ledger = ledger_of(transaction, run_id)
    errors = [*run.errors, *(task.error for task in ledger.tasks if task.error)]
    totals = {**{counter: ledger.total(counter) for counter in COUNTERS}, "sources": ledger.sources}
    is_stuck = totals == run.totals and run.idle.total_seconds() > incomplete_after_s
    status = _status(run, ledger, is_stuck=is_stuck)
    values: dict[str, Any] = {"status": status, "totals": totals, "message": _message(run, ledger, status, errors)}
    if totals != run.totals:
        values["last_progress_at"] = _NOW
    if not status.is_balanced:
        values["finished_at"] = None
    elif run.finished_at is None:
        values["finished_at"] = _NOW
        values["started_at"] = func.coalesce(runs.c.started_at, runs.c.requested_at, _NOW)
        if run.kind == RunKind.REPLAY and run.preview is None:  # what was kept in case that a newer page yields it no more
            transaction.execute(preview_points.delete().where(preview_points.c.run_id == run_id))
    if status != run.status or totals != run.totals:
        transaction.execute(update(runs).where(runs.c.run_id == run_id).values(**values))
    return status


def ledger_of(transaction: Connection, run_id: str) -> Ledger:
    tasks = list(transaction.execute(select(run_tasks).where(run_tasks.c.run_id == run_id).order_by(run_tasks.c.stream)))
    counts = [func.sum(page_receipts.c[counter]).label(counter) for counter in COUNTERS]
    grouped = select(
        page_receipts.c.task_id,
        page_receipts.c.source,
        func.count(page_receipts.c.page_no).label("pages"),
        (func.max(page_receipts.c.page_no) + 1).label("next_page"),
        *counts,
    )
    replayed = [task for task in tasks if task.source == REPLAY]
    if replayed:
        return _of_replay(transaction, tasks)
    rows = transaction.execute(
        grouped.outerjoin_from(page_receipts, run_tasks, run_tasks.c.task_id == page_receipts.c.task_id)
        .where(page_receipts.c.run_id == run_id, run_tasks.c.finished_at.is_(None) | (page_receipts.c.page_no < run_tasks.c.pages))
        .group_by(page_receipts.c.task_id, page_receipts.c.source)
    ).all()
    sources: dict[str, dict[str, int]] = {task.source: dict.fromkeys(COUNTERS, 0) for task in tasks}
    for row in rows:
        into = sources.setdefault(row.source, dict.fromkeys(COUNTERS, 0))
        for counter in COUNTERS:
            into[counter] += int(getattr(row, counter))
    return Ledger(tasks, {row.task_id: row for row in rows}, sources)


def _of_replay(transaction: Connection, tasks: list[Any]) -> Ledger:
    """As `ledger_of`, from the receipts of a replay. One of its tasks may have pages of several sources."""
    counts = [func.sum(replay_receipts.c[counter]).label(counter) for counter in COUNTERS]
    pages = func.count(replay_receipts.c.page_id).label("pages")
    mine = replay_receipts.c.run_id == tasks[0].run_id
    by_source = transaction.execute(select(replay_receipts.c.source, *counts).where(mine).group_by(replay_receipts.c.source))
    by_task = transaction.execute(select(replay_receipts.c.task_id, pages, *counts).where(mine).group_by(replay_receipts.c.task_id))
    sources = {row.source: {counter: int(getattr(row, counter)) for counter in COUNTERS} for row in by_source}
    return Ledger(tasks, {row.task_id: row for row in by_task}, sources)


def _status(run: Any, ledger: Ledger, *, is_stuck: bool) -> RunStatus:
    if not run.planned or not ledger.is_balanced():
        if is_stuck:
            return RunStatus.INCOMPLETE
        return RunStatus.RUNNING if run.planned or run.started_at is not None else RunStatus.QUEUED
    succeeded = [task for task in ledger.tasks if task.status == TaskStatus.FINISHED]
    if run.cancelled and any(task.status == TaskStatus.CANCELLED for task in ledger.tasks):
        return RunStatus.CANCELLED
    if not succeeded and (ledger.tasks or run.errors):
        return RunStatus.FAILED
    clean = len(succeeded) == len(ledger.tasks) and not run.errors and not ledger.total("rejected")
    return RunStatus.SUCCEEDED if clean else RunStatus.PARTIAL


def _message(run: Any, ledger: Ledger, status: RunStatus, errors: list[Any]) -> str | None:
    """One sentence for people about how it ended."""
    if status in (RunStatus.QUEUED, RunStatus.RUNNING):
        return None
    if status == RunStatus.INCOMPLETE:
        return _what_is_missing(run, ledger)
    if not ledger.tasks and run.kind == RunKind.REQUEUE:
        return "; ".join(["no open dead letter was meant that can be processed again", *run.notes])
    if not ledger.tasks:
        return "no streams to ingest: " + (
            "; ".join(run.notes) or "; ".join(error["message"] for error in run.errors) or "none were asked for"
        )
    if run.kind == RunKind.CHECKPOINT and not errors:
        return "; ".join(note for task in ledger.tasks for note in task.notes) or None
    if run.kind == RunKind.REPLAY and ledger.total("records") == 0 and not errors:
        return "; ".join(["no raw page was meant", *_task_notes(ledger), *run.notes])
    if ledger.total("records") == 0 and not errors:
        return "; ".join([f"nothing new: {len(ledger.tasks)} stream(s) are up to date", *run.notes])
    parts = [f"{len(errors)} error(s)"] if errors else []
    parts += [f"{ledger.total('rejected')} record(s) rejected: GET /api/v1/runs/{run.run_id} says why"] if ledger.total("rejected") else []
    return "; ".join([*parts, *run.notes]) or None


def _task_notes(ledger: Ledger) -> list[str]:
    return list(dict.fromkeys(note for task in ledger.tasks for note in task.notes))


def _what_is_missing(run: Any, ledger: Ledger) -> str:
    if not run.planned:
        return "nothing has moved for a while; the run waits to be planned by an extractor"
    waiting = [task.stream for task in ledger.tasks if task.finished_at is None]
    short = [f"{task.stream} ({task.pages} published)" for task in ledger.tasks if ledger.is_short(task)]
    parts = [f"waiting for {', '.join(waiting[:5])}"] if waiting else []
    parts += [f"pages are missing of {', '.join(short[:5])}: GET /api/v1/runs/{run.run_id} says which"] if short else []
    return "; ".join(["nothing has moved for a while", *(parts or ["published and received records do not add up"]), *run.notes])
