"""Publishing and discarding what a preview keeps."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB

from services.loader.database import cursor_of
from services.loader.pages import sql
from shared.messages.runs import DeadLetterStatus, PreviewState
from shared.tables import dead_letters, preview_points, replay_receipts, runs

_PUBLISH_RETIRED = """
UPDATE unified_data AS u SET retired_at = %(now)s, updated_at = %(now)s, revision = u.revision + 1, run_id = r.run_id,
                             normalizer_version = r.normalizer_version
FROM (SELECT run_id, page_id, normalizer_version, unnest(retired_ids) AS id FROM replay_receipts WHERE run_id = %(run)s) AS r
WHERE u.id = r.id AND u.page_id = r.page_id AND u.retired_at IS NULL AND u.normalizer_version < r.normalizer_version
"""
_STILL_RETIRED = """
SELECT count(*) FROM (SELECT unnest(retired_ids) AS id FROM replay_receipts WHERE run_id = %(run)s) AS r JOIN unified_data AS u USING (id)
WHERE u.retired_at = %(now)s
"""


# -- publishing and discarding a preview -------------------------------------------------------------------------------


def publish(transaction: Connection, run_id: str) -> None:
    """Write what a preview keeps, once. What came meanwhile and is newer stays."""
    if not _close(transaction, run_id, PreviewState.PUBLISHED):
        return
    now = transaction.execute(select(func.clock_timestamp())).scalar_one()
    cursor = cursor_of(transaction)
    cursor.execute(_PUBLISH_RETIRED, {"run": run_id, "now": now})
    cursor.execute(sql.WRITE_KEPT, {"run": run_id, "now": now, "ids": None})
    added, changed, stayed = cursor.fetchone() or (0, 0, 0)
    cursor.execute(_STILL_RETIRED, {"run": run_id, "now": now})
    (retired,) = cursor.fetchone() or (0,)
    kept = (dead_letters.c.run_id == run_id) & (dead_letters.c.status == DeadLetterStatus.PREVIEW)
    transaction.execute(update(dead_letters).where(kept).values(status=DeadLetterStatus.OPEN))
    transaction.execute(update(replay_receipts).where(replay_receipts.c.run_id == run_id).values(is_applied=True))
    _note(transaction, run_id, f"published: {added} added, {changed} changed, {retired} retired; {stayed} newer values stayed")


def discard(transaction: Connection, run_id: str) -> None:
    """Drop what a preview keeps."""
    if _close(transaction, run_id, PreviewState.DISCARDED):
        transaction.execute(preview_points.delete().where(preview_points.c.run_id == run_id))
        transaction.execute(dead_letters.delete().where(dead_letters.c.run_id == run_id, dead_letters.c.status == DeadLetterStatus.PREVIEW))
        _note(transaction, run_id, "the preview was discarded")


def _close(transaction: Connection, run_id: str, how: PreviewState) -> bool:
    """Mark an ended, open preview; False when it is none or was closed before."""
    is_open = (runs.c.run_id == run_id) & (runs.c.preview == PreviewState.OPEN) & runs.c.finished_at.is_not(None)
    return bool(transaction.execute(update(runs).where(is_open).values(preview=how)).rowcount)


def _note(transaction: Connection, run_id: str, note: str) -> None:
    transaction.execute(update(runs).where(runs.c.run_id == run_id).values(notes=runs.c.notes + type_coerce([note], JSONB)))
