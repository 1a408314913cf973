"""Publishing and discarding what a preview keeps."""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
    Connection,
    Update,
    func,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.loader.database import by_index, db_of
from services.loader.pages import sql
from shared.messages.runs import DeadLetterStatus, PreviewState
from shared.tables import (
    dead_letters,
    preview_points,
    replay_receipts,
    runs,
)

_RETIRE = """
UPDATE points AS u SET retired_at = %(now)s, updated_at = %(now)s, revision = u.revision + 1,
    run_id = r.run_id, normalizer_version = r.normalizer_version
FROM (
    SELECT run_id, page_id, normalizer_version, unnest(retired_ids) AS id
    FROM replay_receipts WHERE run_id = %(run)s
) AS r
WHERE u.id = r.id AND u.page_id = r.page_id AND u.retired_at IS NULL
AND u.normalizer_version < r.normalizer_version
"""
_COUNT_RETIRED = """
SELECT count(*)
FROM (SELECT unnest(retired_ids) AS id FROM replay_receipts WHERE run_id = %(run)s) AS r
JOIN points AS u USING (id) WHERE u.retired_at = %(now)s
"""

_OPENED = update(dead_letters).values(status=DeadLetterStatus.OPEN)
_IS_OPEN = (
    runs.c.preview == PreviewState.OPEN
) & runs.c.finished_at.is_not(None)


def publish(transaction: Connection, run_id: str) -> None:
    """Write what a preview keeps, once. What came meanwhile and is newer stays."""
    if not _close(transaction, run_id, PreviewState.PUBLISHED):
        return
    now = transaction.execute(select(func.clock_timestamp())).scalar_one()
    db = db_of(transaction)
    values = {"run": run_id, "now": now}
    with by_index(db):
        db.execute(_RETIRE, values)
        db.execute(sql.APPLY_KEPT_POINTS, {**values, "ids": None})
        added, changed, stayed = db.fetchone() or (0, 0, 0)
        db.execute(_COUNT_RETIRED, values)
        (retired,) = db.fetchone() or (0,)
    _mark_published(transaction, run_id)
    changes = f"{added} added, {changed} changed, {retired} retired"
    note = f"published: {changes}; {stayed} newer values stayed"
    _note(transaction, run_id, note)


def publish_or_wait(transaction: Connection, run_id: str) -> None:
    """Publish now, or when the run has ended: topics that are read again come in any order."""
    is_early = (
        runs.c.preview == PreviewState.OPEN
    ) & runs.c.finished_at.is_(None)
    of_run = update(runs).where(runs.c.run_id == run_id, is_early)
    is_waiting = transaction.execute(
        of_run.values(publish_wanted=True)
    ).rowcount
    if not is_waiting:
        publish(transaction, run_id)


def _mark_published(transaction: Connection, run_id: str) -> None:
    """Its dead letters are open from now on, its receipts count."""
    transaction.execute(_OPENED.where(_kept(run_id)))
    transaction.execute(_receipts(run_id).values(is_applied=True))


def _receipts(run_id: str) -> Update:
    return update(replay_receipts).where(
        replay_receipts.c.run_id == run_id
    )


def _kept(run_id: str) -> ColumnElement[bool]:
    """The dead letters that a preview keeps."""
    is_kept = dead_letters.c.status == DeadLetterStatus.PREVIEW
    return (dead_letters.c.run_id == run_id) & is_kept


def discard(transaction: Connection, run_id: str) -> None:
    """Drop what a preview keeps."""
    if not _close(transaction, run_id, PreviewState.DISCARDED):
        return
    of_run = preview_points.c.run_id == run_id
    transaction.execute(preview_points.delete().where(of_run))
    transaction.execute(dead_letters.delete().where(_kept(run_id)))
    _note(transaction, run_id, "the preview was discarded")


def _close(
    transaction: Connection, run_id: str, state: PreviewState
) -> bool:
    """Mark an ended, open preview; False when it is not one or was closed before."""
    of_run = update(runs).where(runs.c.run_id == run_id, _IS_OPEN)
    return transaction.execute(of_run.values(preview=state)).rowcount > 0


def _note(transaction: Connection, run_id: str, note: str) -> None:
    of_run = update(runs).where(runs.c.run_id == run_id)
    notes = runs.c.notes + type_coerce([note], JSONB)
    transaction.execute(of_run.values(notes=notes))
