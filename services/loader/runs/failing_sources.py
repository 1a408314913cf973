"""A source that has gone bad as a whole: its task is stopped, so that it does not fill the dead letters."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from shared.messages.run_events import TaskStopped

_RUNNING = """
WITH received AS (
    SELECT p.task_id, p.records, p.rejected, row_number() OVER (PARTITION BY p.task_id ORDER BY p.page_no DESC) AS from_end
    FROM page_receipts AS p JOIN runs AS r USING (run_id) JOIN run_tasks AS t ON t.task_id = p.task_id
    WHERE r.finished_at IS NULL AND t.finished_at IS NULL AND r.kind = 'ingest' AND p.records > 0
)
SELECT t.run_id::text, t.task_id::text, sum(received.records) AS records, sum(received.rejected) AS rejected,
       count(*) FILTER (WHERE from_end <= :pages AND received.rejected = received.records) AS bad_pages
FROM received JOIN run_tasks AS t ON t.task_id = received.task_id GROUP BY t.task_id HAVING count(*) >= :pages
"""
_EXAMPLE = """
SELECT d.message FROM dead_letters AS d JOIN run_tasks AS t ON t.run_id = d.run_id AND t.stream = d.stream
WHERE t.task_id = :task ORDER BY d.created_at DESC LIMIT 1
"""


def bad_tasks(transaction: Connection, *, pages: int, share: float) -> Iterator[TaskStopped]:
    """Running tasks whose last `pages` pages were rejected whole, or of whose records, over as many pages, `share` was rejected."""
    for task in transaction.execute(text(_RUNNING), {"pages": pages}):
        if task.bad_pages >= pages:
            what = f"the last {task.bad_pages} pages were rejected whole"
        elif task.rejected >= share * task.records:
            what = f"{task.rejected} of {task.records} records were rejected"
        else:
            continue
        example = transaction.execute(text(_EXAMPLE), {"task": task.task_id}).scalar_one_or_none()
        message = f"{what} (such as: {example}); the task was stopped, and its stream stands where it stood before"
        yield TaskStopped(run_id=task.run_id, task_id=task.task_id, message=message)
