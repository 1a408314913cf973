"""A task of which nothing but rejections came is no success."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text, update

from shared.messages.runs import RunKind, TaskStatus
from shared.tables import run_tasks

NEARLY_ALL = 0.9  # of the records that are not skipped
_SELECT_REASONS = """
SELECT d.reason, sum(r.count)::int AS count, min(d.message) AS example
FROM dead_letter_runs AS r JOIN dead_letters AS d ON d.id = r.letter_id
WHERE r.run_id = :run AND d.stream = :stream
GROUP BY d.reason ORDER BY sum(r.count) DESC LIMIT 3
"""


def fail_bad_tasks(
    transaction: Connection, run: Any, ledger: Any
) -> bool:
    """Fail the ended tasks of a run whose records were nearly all rejected; True when some were."""
    if run.kind != RunKind.INGEST:
        return False
    bad = list(_bad(ledger))
    for task, received in bad:
        error = {
            "code": "nearly_all_rejected",
            "message": _message(transaction, task, received),
            "stream": task.stream,
            "source": task.source,
        }
        transaction.execute(
            update(run_tasks)
            .where(run_tasks.c.task_id == task.task_id)
            .values(status=TaskStatus.FAILED, error=error)
        )
    return bool(bad)


def _bad(ledger: Any) -> Iterator[tuple[Any, Any]]:
    for task in ledger.tasks:
        received = ledger.of(task)
        if task.status != TaskStatus.FINISHED or received is None:
            continue
        tried = received.records - received.skipped
        is_bad = received.rejected >= NEARLY_ALL * tried
        if received.rejected and is_bad and ledger.is_whole(task):
            yield task, received


def _message(transaction: Connection, task: Any, received: Any) -> str:
    values = {"run": task.run_id, "stream": task.stream}
    reasons = transaction.execute(text(_SELECT_REASONS), values)
    shown = "; ".join(
        f"{row.reason} × {row.count} ({row.example})" for row in reasons
    )
    counts = (
        f"{received.rejected} of {received.records} records were rejected"
    )
    return f"{counts}: {shown}" if shown else counts
