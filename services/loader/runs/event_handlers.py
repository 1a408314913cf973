"""What commands and events change in runs and tasks.

Each may come again, and in any order between topics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    case,
    func,
    null,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from services.loader.database import db_of
from services.loader.dead_letters import requeue
from services.loader.pages import asked, previews
from services.loader.runs import (
    audit,
    deliveries,
    retirements,
    task_cursors,
)
from shared.access.keys import KeyState
from shared.configuration.settings import Setting
from shared.identity.ids import gap_id
from shared.messages.commands import (
    CancelRun,
    Command,
    DiscardDeadLetters,
    DiscardReplay,
    FindFeeds,
    MoveCheckpoint,
    PublishReplay,
    RepairRun,
    ReplayMode,
    RequeueDeadLetters,
    RetireSeries,
    StartIngestion,
    StartReplay,
    UndoRun,
)
from shared.messages.run_events import (
    DataGap,
    DeliveryTried,
    KeysUsed,
    PagesRepaired,
    PlannedTask,
    RunCancelled,
    RunEnded,
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
from shared.values.times import from_ms

_NOW = func.clock_timestamp()
_TaskMessage = PlannedTask | TaskStarted | TaskFinished | TaskFailed


@dataclass(frozen=True)
class ReceivedMessage:
    """A command or event with the broker's time."""

    message: Command | RunEvent | KeyState | Setting
    broker_ms: int
    record: Any = None  # as it came, for a dead letter

    @property
    def at(self) -> datetime:
        return from_ms(self.broker_ms)

    @property
    def run_id(self) -> str | None:
        """None where it is about no run."""
        return getattr(self.message, "run_id", None)


def apply(transaction: Connection, received: ReceivedMessage) -> None:
    """Store what happened. Raises what PostgreSQL refuses, and ValueError."""
    message = received.message
    if received.record and not isinstance(message, RunEvent):
        audit.record(transaction, message, received.record)
    if isinstance(message, KeyState | Setting):
        return
    # What the loader said of a run that it had: no progress, and no run where it is gone since.
    is_own = isinstance(message, TaskStopped | RunEnded)
    run_id = None if is_own else message.run_id
    if run_id is not None:
        row = insert(runs).values(run_id=run_id)
        transaction.execute(row.on_conflict_do_nothing())
    HANDLERS[type(message)](transaction, message, received.at)
    if run_id is not None:
        transaction.execute(
            _update_run(run_id).values(last_progress_at=_NOW)
        )


def _update_run(run_id: str) -> Any:
    return update(runs).where(runs.c.run_id == run_id)


def _update_task(task_id: str) -> Any:
    return update(run_tasks).where(run_tasks.c.task_id == task_id)


def _add(column: Any, entries: list[Any]) -> ColumnElement[Any]:
    """A JSON list with these at its end."""
    added: ColumnElement[Any] = column + type_coerce(entries, JSONB)
    return added


# -- commands -------------------------------------------------------------------------------------


def _on_request(
    transaction: Connection,
    command: StartIngestion
    | StartReplay
    | MoveCheckpoint
    | FindFeeds
    | RetireSeries,
    at: datetime,
) -> None:
    """Note what a run was asked for, once. Its plan may come first: it lies on another topic."""
    wanted = describe(command)
    values = {
        "kind": wanted.kind,
        "request": wanted.request,
        # A broker whose clock is ahead has no runs of the future.
        "requested_at": func.least(at, _NOW),
    }
    if (
        isinstance(command, StartReplay | RetireSeries)
        and command.mode == ReplayMode.PREVIEW
    ):
        values["preview"] = PreviewState.OPEN
    is_unopened = runs.c.request == type_coerce({}, JSONB)
    transaction.execute(
        _update_run(command.run_id).where(is_unopened).values(**values)
    )


def _on_retire_series(
    transaction: Connection, command: RetireSeries, at: datetime
) -> None:
    _on_request(transaction, command, at)
    retirements.open_run(transaction, command)


def _on_publish_replay(
    transaction: Connection, command: PublishReplay, _at: datetime
) -> None:
    if not retirements.publish(transaction, command.run_id):
        previews.publish_or_wait(transaction, command.run_id)


def _on_discard_replay(
    transaction: Connection, command: DiscardReplay, _at: datetime
) -> None:
    previews.discard(transaction, command.run_id)


def _on_undo_run(
    transaction: Connection, command: UndoRun, _at: datetime
) -> None:
    retirements.undo(transaction, command.run_id)


def _on_repair_run(
    transaction: Connection, command: RepairRun, _at: datetime
) -> None:
    is_open = runs.c.finished_at.is_(None)
    transaction.execute(
        _update_run(command.run_id)
        .where(is_open)
        .values(repair_wanted=True)
    )


# -- events ---------------------------------------------------------------------------------------


def _on_run_planned(
    transaction: Connection, event: RunPlanned, at: datetime
) -> None:
    values = {
        "planned": runs.c.planned | event.is_last,
        "errors": msgspec.to_builtins(event.errors),
        "notes": event.notes,
        "requested_at": func.coalesce(runs.c.requested_at, at),
    }
    # Only the first time: what came later about the run is not to be lost.
    transaction.execute(
        _update_run(event.run_id).where(~runs.c.planned).values(**values)
    )
    for task in event.tasks:
        _ensure_task(transaction, event.run_id, task)


def _ensure_task(
    transaction: Connection, run_id: str, task: _TaskMessage
) -> None:
    row = {
        "task_id": task.task_id,
        "run_id": run_id,
        "source": task.source,
        "stream": task.stream,
    }
    transaction.execute(
        insert(run_tasks).values(**row).on_conflict_do_nothing()
    )


def _on_task_started(
    transaction: Connection, event: TaskStarted, at: datetime
) -> None:
    _ensure_task(transaction, event.run_id, event)
    columns = run_tasks.c
    is_planned = columns.status == TaskStatus.PLANNED
    of_task = {
        "started_at": func.least(
            func.coalesce(columns.started_at, at), at
        ),
        "status": case(
            (is_planned, str(TaskStatus.RUNNING)), else_=columns.status
        ),
        "cursor_digest": func.coalesce(
            columns.cursor_digest,
            task_cursors.keep(transaction, event.cursor_before),
        ),
    }
    started_at = func.least(func.coalesce(runs.c.started_at, at), at)
    transaction.execute(_update_task(event.task_id).values(**of_task))
    transaction.execute(
        _update_run(event.run_id).values(started_at=started_at)
    )


def _on_task_ended(
    transaction: Connection,
    event: TaskFinished | TaskFailed,
    at: datetime,
) -> None:
    _ensure_task(transaction, event.run_id, event)
    error = (
        msgspec.to_builtins(event.error)
        if isinstance(event, TaskFailed)
        else None
    )
    values = {
        "status": _end_status(event),
        "pages": event.pages,
        "records": event.records,
        "notes": event.notes,
        "finished_at": at,
        "profile": event.profile,
        "started_at": func.coalesce(run_tasks.c.started_at, at),
        "error": error,
    }
    # A task ends once: what a process reports that was frozen meanwhile, and had a successor,
    # comes too late.
    is_open = run_tasks.c.finished_at.is_(None)
    ended = transaction.execute(
        _update_task(event.task_id).where(is_open).values(**values)
    )
    if ended.rowcount:
        asked.keep(
            db_of(transaction),
            [
                asked.AskedOf(event.stream, event.run_id, each)
                for each in event.asked
            ],
        )


def _end_status(event: TaskFinished | TaskFailed) -> TaskStatus:
    if isinstance(event, TaskFailed):
        return TaskStatus.FAILED
    return (
        TaskStatus.CANCELLED if event.cancelled else TaskStatus.FINISHED
    )


def _on_run_cancelled(
    transaction: Connection, event: RunCancelled, _at: datetime
) -> None:
    transaction.execute(_update_run(event.run_id).values(cancelled=True))


def _on_pages_repaired(
    transaction: Connection, event: PagesRepaired, _at: datetime
) -> None:
    """Note what was published again, and what is lost.

    How many records were published is then unknown: a page that is read again may hold others, and
    a lost task has counted what was received.
    """
    notes = []
    if event.from_topic:
        pages = ranges_text(event.from_topic)
        notes.append(f"pages {pages} were published again from the topic")
    if event.from_source:
        pages = ranges_text(event.from_source)
        notes.append(f"pages {pages} were read again from the source")
    values: dict[str, Any] = {"notes": _add(run_tasks.c.notes, notes)}
    if notes:
        values["records"] = None
    values["error"] = _error_of_lost(event)
    transaction.execute(_update_task(event.task_id).values(**values))


def _error_of_lost(event: PagesRepaired) -> Any:
    if not event.lost:
        was_lost = run_tasks.c.error["code"].astext == "pages_lost"
        return case((was_lost, null()), else_=run_tasks.c.error)
    message = (
        f"pages {ranges_text(event.lost)} are neither in the topic nor at the source any more: "
        "read the stream again with full_refresh"
    )
    source = event.stream.partition("/")[0]
    return {
        "code": "pages_lost",
        "message": message,
        "stream": event.stream,
        "source": source,
    }


def _on_data_gap(
    transaction: Connection, gap: DataGap, at: datetime
) -> None:
    """Keep the gap, and note it in every open run: any of them may miss something now."""
    row = insert(data_gaps).values(**_gap_row(gap), noticed_at=at)
    new = row.on_conflict_do_nothing().returning(data_gaps.c.id)
    if not transaction.execute(new).all():
        return
    lost = f"lost its messages from offset {gap.first_missing} on"
    note = (
        f"data_gap: {gap.topic}[{gap.partition}] {lost} before {gap.group} "
        f"read them ({gap.reason}); pages that are missing for it are "
        "published again"
    )
    open_runs = update(runs).where(runs.c.finished_at.is_(None))
    transaction.execute(
        open_runs.values(notes=_add(runs.c.notes, [note]))
    )


def _gap_row(gap: DataGap) -> dict[str, Any]:
    bounds = (gap.first_missing, gap.first_available)
    return {
        "id": gap_id(gap.topic, gap.partition, *bounds, gap.group),
        "topic": gap.topic,
        "partition": gap.partition,
        "first_missing": gap.first_missing,
        "first_available": gap.first_available,
        "group": gap.group,
        "reason": gap.reason,
    }


def _on_answered_elsewhere(
    _transaction: Connection,
    _message: CancelRun | TaskStopped,
    _at: datetime,
) -> None:
    """Nothing: the planner answers CancelRun, the extractor TaskStopped, with events."""


def _on_run_ended(
    _transaction: Connection, _event: RunEnded, _at: datetime
) -> None:
    """The loader has said so itself."""


HANDLERS: dict[type, Callable[[Connection, Any, datetime], None]] = {
    StartIngestion: _on_request,
    StartReplay: _on_request,
    MoveCheckpoint: _on_request,
    FindFeeds: _on_request,
    RetireSeries: _on_retire_series,
    UndoRun: _on_undo_run,
    PublishReplay: _on_publish_replay,
    DiscardReplay: _on_discard_replay,
    RepairRun: _on_repair_run,
    RequeueDeadLetters: requeue.requeue,
    DiscardDeadLetters: requeue.discard,
    CancelRun: _on_answered_elsewhere,
    TaskStopped: _on_answered_elsewhere,
    RunEnded: _on_run_ended,
    DeliveryTried: deliveries.on_tried,
    KeysUsed: audit.on_keys_used,
    RunPlanned: _on_run_planned,
    TaskStarted: _on_task_started,
    TaskFinished: _on_task_ended,
    TaskFailed: _on_task_ended,
    PagesRepaired: _on_pages_repaired,
    RunCancelled: _on_run_cancelled,
    DataGap: _on_data_gap,
}
