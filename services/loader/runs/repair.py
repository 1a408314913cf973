"""What a run's ledger misses, as tasks.

Pages that never arrived, tasks that nobody works on, runs that were never planned.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, func, select, text, update

from services.loader.dead_letters import requeue
from services.loader.runs import task_cursors
from services.loader.runs.ledger import ledger_of
from shared.messages.base import Message
from shared.messages.runs import (
    RunKind,
    find_feeds,
    move_checkpoint,
    start_ingestion,
    start_replay,
)
from shared.messages.tasks import (
    FetchStream,
    PageRange,
    RepairPages,
    replay_tasks,
)
from shared.ranges import first_of, gaps
from shared.tables import page_receipts, raw_data, runs

MAX_RANGES = 20  # of missing pages asked for at a time: each carries a cursor, which may be large
MAX_PAGES = 10_000  # asked for at a time
MAX_DOUBLINGS = 6  # from one attempt to the next the wait doubles, up to 64 times the first
_NOW = func.clock_timestamp()
_SELECT_IDLE = """
SELECT run_id::text FROM runs
WHERE finished_at IS NULL AND (
    repair_wanted
    OR (clock_timestamp() - last_progress_at > :wait * interval '1 second'
        AND (repaired_at IS NULL
             OR clock_timestamp() - repaired_at
                > :wait * power(2, least(repairs, :doublings)) * interval '1 second')))
"""


def idle_runs(transaction: Connection, after_s: float) -> list[str]:
    """Open runs in which nothing has moved for so long, or whose repair somebody has asked for."""
    values = {"wait": after_s, "doublings": MAX_DOUBLINGS}
    return list(transaction.execute(text(_SELECT_IDLE), values).scalars())


def repair(
    transaction: Connection,
    run_id: str,
    *,
    after_s: float,
    is_quiet: bool,
) -> list[Message]:
    """What is to be published so that the run becomes whole.

    `is_quiet`: nothing waits in any topic, so what is missing is lost. Of several loaders one gets
    the answer; the next attempt comes after twice the time.
    """
    of_run = runs.c.run_id == run_id
    run = transaction.execute(
        select(runs).where(of_run).with_for_update()
    ).one()
    is_wanted = run.repair_wanted or is_quiet
    if not is_wanted or run_id not in idle_runs(transaction, after_s):
        return []
    attempt = {
        "repairs": runs.c.repairs + 1,
        "repaired_at": _NOW,
        "repair_wanted": False,
    }
    transaction.execute(update(runs).where(of_run).values(**attempt))
    match run.kind:
        case RunKind.REQUEUE:
            return list(requeue.tasks(transaction, run_id))
        case RunKind.REPLAY:
            return _replay_again(transaction, run)
        case RunKind.RETIRE:
            return []  # the loader goes on with it by itself
        case RunKind.FIND:
            return [find_feeds(run_id, run.request)]
        case RunKind.CHECKPOINT:
            return [move_checkpoint(run_id, run.request)]
        case _:
            return _ingest_again(transaction, run)


def _ingest_again(transaction: Connection, run: Any) -> list[Message]:
    """The command where the run was not planned, else what its tasks miss."""
    if not run.planned:
        # Without its time nobody knows what was asked for.
        is_known = run.requested_at is not None
        return (
            [start_ingestion(run.run_id, run.request)] if is_known else []
        )
    ledger = ledger_of(transaction, run.run_id)
    unfinished = [
        task for task in ledger.tasks if task.finished_at is None
    ]
    short = [task for task in ledger.tasks if ledger.is_short(task)]
    return [
        *(
            _fetch_again(transaction, run, task, ledger.of(task))
            for task in unfinished
        ),
        *(_repair_pages(transaction, run, task) for task in short),
    ]


def _replay_again(transaction: Connection, run: Any) -> list[Message]:
    """The command where the replay was not planned, else its tasks that miss pages.

    They publish what is not applied yet.
    """
    command = start_replay(run.run_id, run.request)
    if not run.planned:
        return [command]
    ledger = ledger_of(transaction, run.run_id)
    missing = {
        task.task_id for task in ledger.tasks if not ledger.is_whole(task)
    }
    return [
        task for task in replay_tasks(command) if task.task_id in missing
    ]


def _fetch_again(
    transaction: Connection, run: Any, task: Any, received: Any
) -> FetchStream:
    """The task once more.

    Its extractor knows how far it came; if not, it counts on from what is loaded.
    """
    pages = received.next_page if received else 0
    cursor = None
    if pages:
        before = _raw_page(transaction, task, pages - 1)
        cursor = _cursor(transaction, task, pages, before)
    return FetchStream(
        run_id=run.run_id,
        task_id=task.task_id,
        source=task.source,
        stream=task.stream,
        full_refresh=bool(run.request.get("full_refresh")),
        pages=pages,
        records=int(received.records) if received else 0,
        cursor=cursor,
    )


def _repair_pages(
    transaction: Connection, run: Any, task: Any
) -> RepairPages:
    numbers = select(page_receipts.c.page_no).where(
        page_receipts.c.task_id == task.task_id
    )
    received = set(transaction.execute(numbers).scalars())
    missing = first_of(gaps(received, task.pages)[:MAX_RANGES], MAX_PAGES)
    since = run.requested_at or run.started_at or run.last_progress_at
    return RepairPages(
        run_id=run.run_id,
        task_id=task.task_id,
        source=task.source,
        stream=task.stream,
        since_ms=int(since.timestamp() * 1000),
        missing=[_range(transaction, task, *gap) for gap in missing],
    )


def _range(
    transaction: Connection, task: Any, first: int, last: int
) -> PageRange:
    """Missing pages. Their place is that of the page before, else just before the page after."""
    before = _raw_page(transaction, task, first - 1)
    after = _raw_page(transaction, task, last + 1)
    offset = None
    time_ms = None
    neighbour = before or after
    if neighbour is not None:
        offset = before.offset if before else after.offset - 1
        time_ms = round(neighbour.broker_time.timestamp() * 1000)
    cursor = _cursor(transaction, task, first, before)
    return PageRange(
        first=first,
        last=last,
        cursor=cursor,
        offset=offset,
        time_ms=time_ms,
        partition=neighbour.partition if neighbour else None,
    )


def _raw_page(transaction: Connection, task: Any, page_no: int) -> Any:
    """(cursor_after, partition, offset, broker_time) of a page, None where it is not stored."""
    columns = raw_data.c
    query = select(
        columns.cursor_after,
        columns.partition,
        columns.offset,
        columns.broker_time,
    ).where(
        columns.run_id == task.run_id,
        columns.task_id == task.task_id,
        columns.page_no == page_no,
    )
    return transaction.execute(query).one_or_none()


def _cursor(
    transaction: Connection, task: Any, page_no: int, before: Any
) -> str | None:
    """Where the source stood before a page, given the page `before` it, as JSON; None: unknown."""
    if page_no == 0:
        return task_cursors.kept(transaction, task)
    return (
        None
        if before is None
        else msgspec.json.encode(before.cursor_after).decode()
    )
