"""Dead letters of a file that was read whole again, without them: what was wrong is mended."""

from __future__ import annotations

from sqlalchemy import Connection, text

# A task has a profile when it read its file from the start; it is finished when it came to the end.
# What it met again names its run.
_CLOSE = text(
    """
    UPDATE dead_letters AS l SET status = 'discarded', closed_at = clock_timestamp(),
           note = 'mended: run ' || left(t.run_id::text, 8) || ' read the file whole, without this'
    FROM run_tasks AS t
    WHERE t.run_id = :run_id AND t.source = 'csv' AND t.status = 'finished'
      AND jsonb_typeof(t.profile) = 'object' AND l.stream = t.stream AND l.status = 'open'
      AND l.stage IN ('extract', 'map') AND l.created_at < t.started_at
      AND NOT EXISTS (
          SELECT FROM dead_letter_runs AS s WHERE s.letter_id = l.id AND s.run_id = t.run_id)
    """
)


def close(transaction: Connection, run_id: str) -> None:
    """Close those that a run which has ended did not meet."""
    transaction.execute(_CLOSE, {"run_id": run_id})
