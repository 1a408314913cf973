"""Retention: what is old is removed, in small batches that nobody waits for.

Data points go by whole partitions, which takes as long for a million as for one; news, whose dates
may be edited, in batches.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, text

from shared.runtime import logs

MAX_BATCHES = 10  # at a time
# What is removed becomes unknown before it is removed: whoever asks for it is told, and never
# answered with a part.
_MARK_PRUNED = """
INSERT INTO pruned (what, before) VALUES (:what, :before)
ON CONFLICT (what) DO UPDATE SET before = greatest(pruned.before, excluded.before)
"""
# A page with an open dead letter stays: its records are processed again from it.
_DELETE_RAW = """
DELETE FROM raw_data WHERE page_id IN (
    SELECT r.page_id FROM raw_data AS r WHERE r.broker_time < :before
    AND NOT EXISTS (
        SELECT FROM dead_letters AS d WHERE d.page_id = r.page_id AND d.status = 'open')
    ORDER BY r.broker_time LIMIT 100 FOR UPDATE SKIP LOCKED)
"""
_DELETE_REVISIONS = """
DELETE FROM unified_revisions WHERE (id, revision) IN (
    SELECT id, revision FROM unified_revisions WHERE replaced_at < :before
    ORDER BY replaced_at LIMIT 2000 FOR UPDATE SKIP LOCKED)
"""
_DISCARD_PREVIEWS = """
UPDATE runs SET preview = 'discarded', notes = notes ||
    '["the preview was discarded: it is older than REVISIONS_RETENTION"]'::jsonb
WHERE preview = 'open' AND finished_at < :before
"""
_DELETE_PREVIEW_POINTS = """
DELETE FROM preview_points WHERE ctid = ANY(ARRAY(
    SELECT p.ctid FROM preview_points AS p JOIN runs AS r USING (run_id)
    WHERE r.preview <> 'open' AND r.finished_at < :before LIMIT 2000))
"""
# Of which nothing is kept any more: no raw page, and no dead letter that is open.
_DELETE_RUNS = """
WITH old AS (
    SELECT r.run_id FROM runs AS r WHERE r.finished_at < :before
    AND NOT EXISTS (SELECT FROM raw_data AS d WHERE d.run_id = r.run_id)
    AND NOT EXISTS (SELECT FROM preview_points AS p WHERE p.run_id = r.run_id)
    AND NOT EXISTS (
        SELECT FROM dead_letter_runs AS s JOIN dead_letters AS l ON l.id = s.letter_id
        WHERE s.run_id = r.run_id AND l.status = 'open')
    ORDER BY r.finished_at LIMIT 500 FOR UPDATE SKIP LOCKED
), tasks AS (DELETE FROM run_tasks AS t USING old WHERE t.run_id = old.run_id)
DELETE FROM runs AS r USING old WHERE r.run_id = old.run_id
"""
_DELETE_CURSORS = """
DELETE FROM task_cursors WHERE digest IN (
    SELECT digest FROM task_cursors WHERE used_at < :before
    ORDER BY used_at LIMIT 2000 FOR UPDATE SKIP LOCKED)
"""
# Numbers rise with the time. What is no longer kept is told in the same moment.
_DELETE_CHANGES = """
WITH gone AS (
    DELETE FROM changes WHERE seq IN (
        SELECT seq FROM changes WHERE seq > 0 ORDER BY seq LIMIT 500) AND at < :before
    RETURNING seq
)
UPDATE change_position SET oldest = (SELECT max(seq) + 1 FROM gone)
WHERE EXISTS (SELECT FROM gone)
"""
_DELETE_AUDIT = """
DELETE FROM audit WHERE id IN (
    SELECT id FROM audit WHERE at < :before ORDER BY at LIMIT 2000)
"""
_DELETE_DELIVERIES = """
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries WHERE created_at < :before ORDER BY created_at LIMIT 2000)
"""
_DETACH_PARTITION = "SELECT detach_partition(:before)"
_DROP_DETACHED = "SELECT drop_detached()"
_DELETE_NEWS = """
WITH old AS (
    SELECT id FROM points_news WHERE "timestamp" < :before
    ORDER BY "timestamp" LIMIT 2000 FOR UPDATE SKIP LOCKED
), revisions AS (DELETE FROM unified_revisions AS r USING old WHERE r.id = old.id)
DELETE FROM points WHERE id IN (SELECT id FROM old)
"""
_EXISTS_RUN = (
    "SELECT EXISTS (SELECT FROM runs WHERE finished_at < :before)"
)
_EXISTS_RAW = (
    "SELECT EXISTS (SELECT FROM raw_data WHERE broker_time < :before)"
)
_EXISTS_NEWS = (
    'SELECT EXISTS (SELECT FROM points_news WHERE "timestamp" < :before)'
)
_EXISTS_REVISION = "SELECT EXISTS (SELECT FROM unified_revisions WHERE replaced_at < :before)"
log = logs.get(__name__)


def _end_of(partition: str) -> datetime:
    """Of the times of a partition, such as `points_2024` or `points_2024_02`."""
    year, _, month = partition.removeprefix("points_").partition("_")
    if not month:
        return datetime(int(year) + 1, 1, 1, tzinfo=UTC)
    first = datetime(int(year), int(month), 1, tzinfo=UTC)
    return (first + timedelta(days=31)).replace(day=1)


class Retention:
    """Removes what is older than its span. None keeps everything."""

    def __init__(
        self,
        engine: Engine,
        *,
        raw: timedelta | None,
        revisions: timedelta | None,
        points: timedelta | None = None,
        runs: timedelta | None = None,
        changes: timedelta | None = None,
        audit: timedelta | None = None,
    ) -> None:
        self._engine = engine
        self._raw = raw
        self._revisions = revisions
        self._points = points
        self._runs = runs
        self._changes = changes
        self._audit = audit

    def prune(self) -> None:
        """Remove some batches of each, oldest first. Blocks; raises DATABASE_UNAVAILABLE."""
        if self._raw is not None:
            self._prune(
                "raw_data",
                self._before(self._raw),
                _EXISTS_RAW,
                _DELETE_RAW,
            )
        if self._revisions is not None:
            before = self._before(self._revisions)
            self._prune(
                "unified_revisions",
                before,
                _EXISTS_REVISION,
                _DELETE_REVISIONS,
            )
            self._delete("open previews", before, _DISCARD_PREVIEWS)
            self._delete("preview_points", before, _DELETE_PREVIEW_POINTS)
        if self._points is not None:
            self._prune_points(self._before(self._points))
        if self._runs is not None:
            before = self._before(self._runs)
            self._prune("runs", before, _EXISTS_RUN, _DELETE_RUNS)
            self._delete("task_cursors", before, _DELETE_CURSORS)

        if self._changes is not None:
            self._delete(
                "changes", self._before(self._changes), _DELETE_CHANGES
            )
        if self._audit is not None:
            before = self._before(self._audit)
            self._delete("audit", before, _DELETE_AUDIT)
            self._delete("deliveries", before, _DELETE_DELIVERIES)

    def _prune_points(self, before: datetime) -> None:
        self._prune("news", before, _EXISTS_NEWS, _DELETE_NEWS)
        for _ in range(MAX_BATCHES):
            with self._engine.begin() as transaction:
                gone = transaction.execute(
                    text(_DETACH_PARTITION), {"before": before}
                ).scalar()
                if gone is not None:
                    marked = {"what": "points", "before": _end_of(gone)}
                    transaction.execute(text(_MARK_PRUNED), marked)
            # Also what was taken off before and, after a crash, not dropped.
            with self._engine.begin() as transaction:
                rows = transaction.execute(text(_DROP_DETACHED)).scalar()
            if gone is None:
                break
            log.info("partition_dropped", partition=gone, rows=rows)

    def _prune(
        self, what: str, before: datetime, exists: str, delete: str
    ) -> None:
        if self._exists(exists, before):
            self._mark(what, before)
            self._delete(what, before, delete)

    def _exists(self, query: str, before: datetime) -> bool:
        with self._engine.begin() as transaction:
            found = transaction.execute(text(query), {"before": before})
            return bool(found.scalar())

    def _mark(self, what: str, before: datetime) -> None:
        values = {"what": what, "before": before}
        with self._engine.begin() as transaction:
            transaction.execute(text(_MARK_PRUNED), values)

    def _before(self, span: timedelta) -> datetime:
        now = text("SELECT clock_timestamp() - :span")
        with self._engine.begin() as transaction:
            found: datetime = transaction.execute(
                now, {"span": span}
            ).scalar_one()
            return found

    def _delete(
        self, what: str, before: datetime, statement: str
    ) -> None:
        removed = 0
        for _ in range(MAX_BATCHES):
            with self._engine.begin() as transaction:
                count = transaction.execute(
                    text(statement), {"before": before}
                ).rowcount
            removed += count
            if not count:
                break
        if removed:
            log.info(
                "pruned",
                what=what,
                rows=removed,
                before=before.isoformat(),
            )
