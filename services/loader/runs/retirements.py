"""Runs that take series out of sight, and bring them back.

A task for each series, done by the loader itself, in batches that note how far they came. A retired
data point has the place of the newest page of its stream: what was read before brings it back no
more, also by a replay, and what is read later does.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert

from services.loader.database import by_index, db_of
from shared.identity.ids import task_id
from shared.identity.windows import OF_WINDOW
from shared.messages.commands import ReplayMode, RetireSeries
from shared.messages.runs import (
    PreviewState,
    RunKind,
    RunStatus,
    TaskStatus,
)
from shared.tables import (
    retirements,
    run_tasks,
    runs,
    series,
    stream_state,
)
from shared.versions import OF_LATER_READING

BATCH = 5_000
MAX_BATCHES = 20  # at a time: others wait for the reconciler too
_NOW = func.clock_timestamp()
# The stream of a series, see shared/identity/windows.py.
_PARENT = func.regexp_replace(stream_state.c.stream, OF_WINDOW, "")
_FIRST = "00000000-0000-0000-0000-000000000000"
_STAY = "stay retired: their replaced values are older than REVISIONS_RETENTION"
_RETIRE = f"""
WITH next AS (
    SELECT id FROM points WHERE series_id = :series_id AND id > :reached AND retired_at IS NULL
    AND (raw_time, raw_offset) <= (:raw_time, :raw_offset)
    ORDER BY id LIMIT :batch FOR UPDATE
), retired AS (
    UPDATE points AS u SET retired_at = clock_timestamp(), updated_at = clock_timestamp(),
        revision = u.revision + 1, run_id = :run_id, raw_time = :raw_time,
        raw_offset = :raw_offset + 1, record_index = {OF_LATER_READING}
    FROM next WHERE u.id = next.id RETURNING u.id
)
SELECT (SELECT id::text FROM next ORDER BY id DESC LIMIT 1), (SELECT count(*) FROM next),
       (SELECT count(*) FROM retired)
"""
# As it was before, with a revision more. Whose replaced value is no longer kept stays retired.
_RESTORE = """
WITH next AS (
    SELECT p.id, p.revision, p.page_id FROM points AS p
    WHERE series_id = :series_id AND id > :reached AND retired_at IS NOT NULL AND run_id = :run_id
    ORDER BY id LIMIT :batch FOR UPDATE
), before AS (
    SELECT n.id, (r.data ->> 'raw_time')::bigint AS raw_time,
           (r.data ->> 'raw_offset')::bigint AS raw_offset,
           (r.data ->> 'record_index')::integer AS record_index,
           nullif((r.data ->> 'run_id')::uuid, (
               SELECT p.run_id FROM page_receipts AS p WHERE p.page_id = n.page_id)) AS run_id
    FROM next AS n JOIN unified_revisions AS r ON r.id = n.id AND r.revision = n.revision - 1
), restored AS (
    UPDATE points AS u SET retired_at = NULL, updated_at = clock_timestamp(),
        revision = u.revision + 1, run_id = b.run_id, raw_time = b.raw_time,
        raw_offset = b.raw_offset, record_index = b.record_index
    FROM before AS b WHERE u.id = b.id RETURNING u.id
)
SELECT (SELECT id::text FROM next ORDER BY id DESC LIMIT 1), (SELECT count(*) FROM next),
       (SELECT count(*) FROM restored)
"""
_NEXT = (
    select(run_tasks.c.run_id, runs.c.preview, *retirements.c)
    .join_from(
        run_tasks,
        retirements,
        run_tasks.c.task_id == retirements.c.task_id,
    )
    .join(runs, runs.c.run_id == run_tasks.c.run_id)
    .where(run_tasks.c.finished_at.is_(None))
    .order_by(run_tasks.c.task_id)
    .limit(1)
    .with_for_update(of=retirements, skip_locked=True)
)


def open_run(transaction: Connection, command: RetireSeries) -> None:
    """Plan the run, once: its tasks begin at once, or when the preview is published."""
    run_id = command.run_id
    plan = (
        update(runs)
        .where(runs.c.run_id == run_id, ~runs.c.planned)
        .values(planned=True)
    )
    if not transaction.execute(plan).rowcount:
        return
    found = _series(transaction, command.series)
    known = {row.series_id for row in found}
    missing = sorted(set(command.series) - known)
    notes = [f"there is no series {number}" for number in missing]
    if command.mode == ReplayMode.PREVIEW:
        count = sum(row.points for row in found)
        notes.append(f"would retire {count} data points")
    else:
        _begin(transaction, run_id, found)
    values: dict[str, Any] = {"notes": notes}
    if not found:
        error = {"code": "not_found", "message": "; ".join(notes[:5])}
        values["errors"] = [error]
    _update(transaction, run_id, **values)


def publish(transaction: Connection, run_id: str) -> bool:
    """Begin what a preview has shown, once; False for a run of another kind."""
    query = select(runs).where(runs.c.run_id == run_id).with_for_update()
    run = transaction.execute(query).one_or_none()
    if run is None or run.kind != RunKind.RETIRE:
        return False
    if run.preview == PreviewState.OPEN and run.finished_at is not None:
        _begin(
            transaction,
            run_id,
            _series(transaction, run.request["series"]),
        )
    return True


def undo(transaction: Connection, run_id: str) -> None:
    """Begin to bring back what a run has retired, once."""
    ended = update(runs).where(
        runs.c.run_id == run_id,
        runs.c.kind == RunKind.RETIRE,
        runs.c.preview == PreviewState.PUBLISHED,
        runs.c.finished_at.is_not(None),
    )
    values = {
        "preview": PreviewState.UNDONE,
        "status": RunStatus.RUNNING,
        "finished_at": None,
    }
    if not transaction.execute(ended.values(**values)).rowcount:
        return
    of_run = run_tasks.c.run_id == run_id
    again = update(run_tasks).where(of_run)
    transaction.execute(
        again.values(status=TaskStatus.RUNNING, finished_at=None)
    )
    numbers = select(run_tasks.c.task_id).where(of_run)
    begin = update(retirements).where(retirements.c.task_id.in_(numbers))
    transaction.execute(begin.values(reached=_FIRST, changed=0, stayed=0))


def work(engine: Engine) -> set[str]:
    """Do some batches of what is to be done. Returns the runs that have moved.

    Raises DATABASE_UNAVAILABLE.
    """
    moved = set()
    for _ in range(MAX_BATCHES):
        with engine.begin() as transaction:
            run_id = _do_batch(transaction)
        if run_id is None:
            break
        moved.add(run_id)
    return moved


def _begin(
    transaction: Connection, run_id: str, found: list[Any]
) -> None:
    """A task for each series, with the place up to which its data points are meant."""
    _update(
        transaction,
        run_id,
        preview=PreviewState.PUBLISHED,
        status=RunStatus.RUNNING,
        finished_at=None,
        started_at=func.coalesce(runs.c.started_at, _NOW),
    )
    if not found:
        return
    tasks, positions = [], []
    for row in found:
        number = task_id(run_id, f"series/{row.series_id}")
        task = {
            "task_id": number,
            "run_id": run_id,
            "source": row.source,
            "stream": row.stream,
            "status": TaskStatus.RUNNING,
            "started_at": _NOW,
        }
        tasks.append(task)
        position = {
            "task_id": number,
            "series_id": row.series_id,
            "raw_time": row.raw_time,
            "raw_offset": row.raw_offset,
        }
        positions.append(position)
    for table, rows in ((run_tasks, tasks), (retirements, positions)):
        new = insert(table).values(rows)
        transaction.execute(new.on_conflict_do_nothing())


def _series(transaction: Connection, numbers: list[int]) -> list[Any]:
    """Series, each with the place of the newest page of its stream."""
    newest = (
        select(
            _PARENT.label("stream"),
            stream_state.c.raw_time,
            stream_state.c.raw_offset,
        )
        .ext(distinct_on(_PARENT))
        .order_by(
            _PARENT,
            stream_state.c.raw_time.desc(),
            stream_state.c.raw_offset.desc(),
        )
        .subquery()
    )
    query = (
        select(
            series,
            func.coalesce(newest.c.raw_time, 0).label("raw_time"),
            func.coalesce(newest.c.raw_offset, 0).label("raw_offset"),
        )
        .outerjoin_from(
            series,
            newest,
            newest.c.stream
            == func.regexp_replace(series.c.stream, OF_WINDOW, ""),
        )
        .where(series.c.series_id.in_(numbers))
    )
    return list(transaction.execute(query))


def _do_batch(transaction: Connection) -> str | None:
    """One batch of one task; None where there is nothing to do, or others do it."""
    task = transaction.execute(_NEXT).one_or_none()
    if task is None:
        return None
    is_undone = task.preview == PreviewState.UNDONE
    statement = text(_RESTORE if is_undone else _RETIRE)
    values = {**task._asdict(), "batch": BATCH}
    with by_index(db_of(transaction)):
        found = transaction.execute(statement, values).one()
    reached, seen, changed = found
    position = update(retirements).where(
        retirements.c.task_id == task.task_id
    )
    changed += task.changed
    stayed = task.stayed + seen + task.changed - changed
    transaction.execute(
        position.values(
            reached=reached or task.reached,
            changed=changed,
            stayed=stayed,
        )
    )
    if seen < BATCH:
        word = "brought back" if is_undone else "retired"
        note = f"series {task.series_id}: {changed} data points {word}"
        if stayed:
            note += f"; {stayed} {_STAY}"
        ended = update(run_tasks).where(
            run_tasks.c.task_id == task.task_id
        )
        transaction.execute(
            ended.values(
                status=TaskStatus.FINISHED,
                finished_at=_NOW,
                pages=0,
                notes=[note],
            )
        )
    _update(transaction, task.run_id, last_progress_at=_NOW)
    return str(task.run_id)


def _update(transaction: Connection, run_id: str, **values: Any) -> None:
    of_run = update(runs).where(runs.c.run_id == run_id)
    transaction.execute(of_run.values(**values))
