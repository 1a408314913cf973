"""Runs and tasks: what commands and events say about them. Each may come again, and in any order between topics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, case, func, null, text, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from services.loader.dead_letters import requeue
from services.loader.pages import previews
from shared.messages.commands import (
    CancelRun,
    Command,
    DiscardDeadLetters,
    DiscardReplay,
    MoveCheckpoint,
    PublishReplay,
    RepairRun,
    ReplayMode,
    RequeueDeadLetters,
    StartIngestion,
    StartReplay,
)
from shared.messages.identity import gap_id
from shared.messages.run_events import (
    DataGap,
    PagesRepaired,
    PlannedTask,
    RunCancelled,
    RunEvent,
    RunPlanned,
    TaskFailed,
    TaskFinished,
    TaskStarted,
    TaskStopped,
)
from shared.messages.runs import PreviewState, TaskStatus, describe
from shared.ranges import ranges_text
from shared.tables import data_gaps, run_tasks, runs

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
    """Store what happened."""
    for timed in messages:
        if timed.run_id is not None:
            transaction.execute(insert(runs).values(run_id=timed.run_id).on_conflict_do_nothing())
        _APPLY[type(timed.message)](transaction, timed.message, timed.at)
        if timed.run_id is not None and not isinstance(timed.message, TaskStopped):  # a wish, repeated or not, is no progress
            transaction.execute(update(runs).where(runs.c.run_id == timed.run_id).values(last_progress_at=_NOW))


def _is_unopened(run_id: str) -> ColumnElement[bool]:
    """Whether no opening command of the run was stored yet. Its plan may come first: it lies on another topic."""
    return (runs.c.run_id == run_id) & (runs.c.request == type_coerce({}, JSONB))


def _requested(transaction: Connection, command: StartIngestion | StartReplay | MoveCheckpoint, at: datetime) -> None:
    wanted = describe(command)
    values = {"kind": wanted.kind, "request": wanted.request, "requested_at": at}
    if isinstance(command, StartReplay) and command.mode == ReplayMode.PREVIEW:
        values["preview"] = PreviewState.OPEN
    transaction.execute(update(runs).where(_is_unopened(command.run_id)).values(**values))


def _publish(transaction: Connection, command: PublishReplay, _at: datetime) -> None:
    previews.publish(transaction, command.run_id)


def _discard(transaction: Connection, command: DiscardReplay, _at: datetime) -> None:
    previews.discard(transaction, command.run_id)


def _planned(transaction: Connection, event: RunPlanned, at: datetime) -> None:
    values = {
        "planned": runs.c.planned | event.is_last,
        "errors": msgspec.to_builtins(event.errors),
        "notes": event.notes,
        "requested_at": func.coalesce(runs.c.requested_at, at),
    }
    first_time = (runs.c.run_id == event.run_id) & ~runs.c.planned  # what came later about the run is not to be lost
    transaction.execute(update(runs).where(first_time).values(**values))
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
            cursor_before=func.coalesce(run_tasks.c.cursor_before, event.cursor_before),
        )
    )  # fmt: skip
    transaction.execute(
        update(runs).where(runs.c.run_id == event.run_id).values(started_at=func.least(func.coalesce(runs.c.started_at, at), at))
    )


def _ended(transaction: Connection, event: TaskFinished | TaskFailed, at: datetime) -> None:
    _ensure_task(transaction, event.run_id, event)
    failed = isinstance(event, TaskFailed)
    status = (
        TaskStatus.FAILED
        if failed
        else TaskStatus.CANCELLED
        if isinstance(event, TaskFinished) and event.cancelled
        else TaskStatus.FINISHED
    )
    values = {
        "status": status, "pages": event.pages, "records": event.records, "notes": event.notes, "finished_at": at, "profile": event.profile,
        "started_at": func.coalesce(run_tasks.c.started_at, at), "error": msgspec.to_builtins(event.error) if isinstance(event, TaskFailed) else None,
    }  # fmt: skip
    # A task ends once: what a process says that was frozen meanwhile, and had a successor, comes too late.
    transaction.execute(update(run_tasks).where(run_tasks.c.task_id == event.task_id, run_tasks.c.finished_at.is_(None)).values(**values))


def _cancelled(transaction: Connection, event: RunCancelled, _at: datetime) -> None:
    transaction.execute(update(runs).where(runs.c.run_id == event.run_id).values(cancelled=True))


def _repaired(transaction: Connection, event: PagesRepaired, _at: datetime) -> None:
    """Say what was published again. How many records were published is not known any more then: a page that is read anew may hold others, and a lost task has counted what was received."""
    parts = [f"pages {ranges_text(event.from_topic)} were published again from the topic"] if event.from_topic else []
    parts += [f"pages {ranges_text(event.from_source)} were read again from the source"] if event.from_source else []
    values: dict[str, Any] = {"notes": run_tasks.c.notes + type_coerce(parts, JSONB)}
    if parts:
        values["records"] = None
    if not event.lost:
        values["error"] = case((run_tasks.c.error["code"].astext == "pages_lost", null()), else_=run_tasks.c.error)
    else:
        message = (
            f"pages {ranges_text(event.lost)} are neither in the topic nor at the source any more: read the stream again with full_refresh"
        )
        values["error"] = {"code": "pages_lost", "message": message, "stream": event.stream, "source": event.stream.partition("/")[0]}
    transaction.execute(update(run_tasks).where(run_tasks.c.task_id == event.task_id).values(**values))


def _repair_requested(transaction: Connection, command: RepairRun, _at: datetime) -> None:
    transaction.execute(update(runs).where(runs.c.run_id == command.run_id, runs.c.finished_at.is_(None)).values(repair_wanted=True))


def _missed(transaction: Connection, gap: DataGap, at: datetime) -> None:
    """Keep the gap, and say it in every open run: any of them may miss something now."""
    identity = gap_id(gap.topic, gap.partition, gap.first_missing, gap.first_available, gap.group)
    row = {
        "id": identity, "topic": gap.topic, "partition": gap.partition, "first_missing": gap.first_missing, "first_available": gap.first_available,
        "group": gap.group, "reason": gap.reason, "noticed_at": at,
    }  # fmt: skip
    done = transaction.execute(insert(data_gaps).values(**row).on_conflict_do_nothing().returning(data_gaps.c.id)).all()
    if not done:
        return
    note = (
        f"data_gap: {gap.topic}[{gap.partition}] lost its messages from offset {gap.first_missing} on before {gap.group} read them "
        f"({gap.reason}); pages that are missing for it are published again"
    )
    transaction.execute(update(runs).where(runs.c.finished_at.is_(None)).values(notes=runs.c.notes + type_coerce([note], JSONB)))


def _answered_elsewhere(_transaction: Connection, _message: CancelRun | TaskStopped, _at: datetime) -> None:
    """CancelRun: the planner answers it with RunCancelled. TaskStopped: the extractor answers it with TaskFailed."""


_APPLY: dict[type, Any] = {
    StartReplay: _requested, PublishReplay: _publish, DiscardReplay: _discard, MoveCheckpoint: _requested,
    StartIngestion: _requested, CancelRun: _answered_elsewhere, RepairRun: _repair_requested, RequeueDeadLetters: requeue.requeue,
    DiscardDeadLetters: requeue.discard, RunPlanned: _planned, TaskStarted: _started, TaskFinished: _ended, TaskFailed: _ended,
    TaskStopped: _answered_elsewhere, PagesRepaired: _repaired, RunCancelled: _cancelled, DataGap: _missed,
}  # fmt: skip
