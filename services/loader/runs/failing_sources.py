"""A source that has gone bad as a whole.

Its task is stopped, so that it does not fill the dead letters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from shared.messages.run_events import TaskStopped

_SELECT_RUNNING = """
WITH received AS (
    SELECT p.task_id, p.records, p.rejected,
           row_number() OVER (PARTITION BY p.task_id ORDER BY p.page_no DESC) AS from_end
    FROM page_receipts AS p
    JOIN runs AS r USING (run_id) JOIN run_tasks AS t ON t.task_id = p.task_id
    WHERE r.finished_at IS NULL AND t.finished_at IS NULL AND r.kind = 'ingest' AND p.records > 0
)
SELECT t.run_id::text, t.task_id::text,
       sum(received.records) AS records, sum(received.rejected) AS rejected,
       count(*) FILTER (WHERE from_end <= :pages AND received.rejected = received.records)
           AS bad_pages
FROM received JOIN run_tasks AS t ON t.task_id = received.task_id
GROUP BY t.task_id HAVING count(*) >= :pages
"""
_SELECT_EXAMPLE = """
SELECT d.message
FROM dead_letters AS d JOIN run_tasks AS t ON t.run_id = d.run_id AND t.stream = d.stream
WHERE t.task_id = :task ORDER BY d.created_at DESC LIMIT 1
"""


def bad_tasks(
    transaction: Connection, *, pages: int, share: float
) -> Iterator[TaskStopped]:
    """Running tasks to stop.

    Those whose last `pages` pages were rejected whole, or of whose records, over as many pages at
    least, `share` was rejected.
    """
    for task in transaction.execute(
        text(_SELECT_RUNNING), {"pages": pages}
    ):
        reason = _reason(task, pages, share)
        if reason is None:
            continue
        example = transaction.execute(
            text(_SELECT_EXAMPLE), {"task": task.task_id}
        )
        message = (
            f"{reason} (such as: {example.scalar_one_or_none()}); the task was stopped, and its "
            "stream stands where it stood before"
        )
        yield TaskStopped(
            run_id=task.run_id, task_id=task.task_id, message=message
        )


def _reason(task: Any, pages: int, share: float) -> str | None:
    if task.bad_pages >= pages:
        return f"the last {task.bad_pages} pages were rejected whole"
    if task.rejected >= share * task.records:
        return f"{task.rejected} of {task.records} records were rejected"
    return None
