"""What a run's ledger misses, as tasks: pages that never arrived, tasks that nobody works on, runs that were never planned."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, func, select, text, update

from services.loader.dead_letters import requeue
from services.loader.runs.ledger import ledger_of
from shared.messages.base import Message
from shared.messages.runs import RunKind, move_checkpoint, start_ingestion, start_replay
from shared.messages.tasks import FetchStream, PageRange, RepairPages, replay_tasks
from shared.ranges import ranges
from shared.tables import page_receipts, raw_data, runs

MAX_RANGES = 20  # of missing pages asked for at a time: each carries a cursor, which may be large
MAX_DOUBLINGS = 6  # from one attempt to the next the wait doubles, up to 64 times the first
_NOW = func.clock_timestamp()
_IDLE = """
SELECT run_id::text FROM runs WHERE finished_at IS NULL AND (repair_wanted OR
    (clock_timestamp() - last_progress_at > :wait * interval '1 second'
     AND (repaired_at IS NULL OR clock_timestamp() - repaired_at > :wait * power(2, least(repairs, :doublings)) * interval '1 second')))
"""


def idle_runs(transaction: Connection, after_s: float) -> list[str]:
    """Open runs in which nothing has moved for so long, or whose repair somebody has asked for."""
    return list(transaction.execute(text(_IDLE), {"wait": after_s, "doublings": MAX_DOUBLINGS}).scalars())


def repair(transaction: Connection, run_id: str, *, after_s: float, is_quiet: bool) -> list[Message]:
    """What is to be published so that the run becomes whole. `is_quiet`: nothing waits in any topic, so what is missing is lost.

    Of several loaders one gets the answer; the next attempt comes after twice the time.
    """
    locked = transaction.execute(select(runs).where(runs.c.run_id == run_id).with_for_update()).one()
    if run_id not in idle_runs(transaction, after_s) or not (is_quiet or locked.repair_wanted):
        return []
    values = {"repairs": runs.c.repairs + 1, "repaired_at": _NOW, "repair_wanted": False}
    transaction.execute(update(runs).where(runs.c.run_id == run_id).values(**values))
    if locked.kind == RunKind.REQUEUE:
        return list(requeue.tasks(transaction, run_id))
    if locked.kind == RunKind.REPLAY:
        return _replay_again(transaction, locked)
    if locked.kind == RunKind.CHECKPOINT:
        return [move_checkpoint(run_id, locked.request)]
    if not locked.planned:
        if locked.requested_at is None:  # nobody knows what was asked for
            return []
        return [start_ingestion(run_id, locked.request)]
    ledger = ledger_of(transaction, run_id)
    unfinished = [_again(transaction, locked, task, ledger.by_task.get(task.task_id)) for task in ledger.tasks if task.finished_at is None]
    short = [_missing(transaction, locked, task) for task in ledger.tasks if ledger.is_short(task)]
    return [*unfinished, *short]


def _replay_again(transaction: Connection, run: Any) -> list[Message]:
    """The whole replay where it was not planned, else its tasks that have not ended or miss pages: they publish what is not applied yet."""
    command = start_replay(run.run_id, run.request)
    if not run.planned:
        return [command]
    ledger = ledger_of(transaction, run.run_id)
    missing = {task.task_id for task in ledger.tasks if not ledger.is_whole(task)}
    return [task for task in replay_tasks(command) if task.task_id in missing]


def _again(transaction: Connection, run: Any, task: Any, seen: Any) -> FetchStream:
    """The task once more. Its extractor knows how far it came; if not, it counts on from what is loaded."""
    pages = seen.next_page if seen else 0
    return FetchStream(
        run_id=run.run_id, task_id=task.task_id, source=task.source, stream=task.stream, full_refresh=bool(run.request.get("full_refresh")),
        pages=pages, records=int(seen.records) if seen else 0, cursor=_cursor(task, pages, _received(transaction, task, pages - 1)) if pages else None,
    )  # fmt: skip


def _missing(transaction: Connection, run: Any, task: Any) -> RepairPages:
    received = set(transaction.execute(select(page_receipts.c.page_no).where(page_receipts.c.task_id == task.task_id)).scalars())
    gaps = ranges(number for number in range(task.pages) if number not in received)
    missing = [_range(transaction, task, first, last) for first, last in gaps[:MAX_RANGES]]
    since = run.requested_at or run.started_at or run.last_progress_at
    return RepairPages(
        run_id=run.run_id,
        task_id=task.task_id,
        source=task.source,
        stream=task.stream,
        since_ms=int(since.timestamp() * 1000),
        missing=missing,
    )


def _range(transaction: Connection, task: Any, first: int, last: int) -> PageRange:
    """Its place is that of the page before it, else just before the page after it."""
    before, after = _received(transaction, task, first - 1), _received(transaction, task, last + 1)
    place = (before.offset, before.broker_time) if before else (after.offset - 1, after.broker_time) if after else (None, None)
    time_ms = None if place[1] is None else round(place[1].timestamp() * 1000)
    return PageRange(first=first, last=last, cursor=_cursor(task, first, before), offset=place[0], time_ms=time_ms)


def _received(transaction: Connection, task: Any, page_no: int) -> Any | None:
    columns = raw_data.c
    which = (columns.run_id == task.run_id) & (columns.task_id == task.task_id) & (columns.page_no == page_no)
    return transaction.execute(select(columns.cursor_after, columns.offset, columns.broker_time).where(which)).one_or_none()


def _cursor(task: Any, page_no: int, before: Any | None) -> str | None:
    """Where the source stood before a page, given the page `before` it, as JSON; None where that is not known."""
    if page_no == 0:
        return task.cursor_before  # type: ignore[no-any-return]
    return None if before is None else msgspec.json.encode(before.cursor_after).decode()
