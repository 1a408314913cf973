"""Retention: old raw pages and revisions are removed, a small batch a transaction, so that nobody waits for it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator
from sqlalchemy import Engine, text

from shared.runtime import logs

BATCHES_A_TIME = 10
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
# What is removed becomes unknown before it is removed: whoever asks for it is told so, and never answered with a part.
_SAY = """
INSERT INTO pruned (what, before) VALUES (:what, :before)
ON CONFLICT (what) DO UPDATE SET before = greatest(pruned.before, excluded.before)
"""
# A page with an open dead letter stays: it is what the letter's records are processed again from.
_RAW = """
DELETE FROM raw_data WHERE page_id IN (
    SELECT r.page_id FROM raw_data AS r WHERE r.broker_time < :before
    AND NOT EXISTS (SELECT FROM dead_letters AS d WHERE d.page_id = r.page_id AND d.status = 'open')
    ORDER BY r.broker_time LIMIT 100 FOR UPDATE SKIP LOCKED)
"""
_REVISIONS = """
DELETE FROM unified_revisions WHERE (id, revision) IN (
    SELECT id, revision FROM unified_revisions WHERE replaced_at < :before ORDER BY replaced_at LIMIT 2000 FOR UPDATE SKIP LOCKED)
"""
_CLOSE_PREVIEWS = """
UPDATE runs SET preview = 'discarded', notes = notes || '["the preview was discarded: it is older than REVISIONS_RETENTION"]'::jsonb
WHERE preview = 'open' AND finished_at < :before
"""
_PREVIEWS = """
DELETE FROM preview_points WHERE ctid = ANY(ARRAY(
    SELECT p.ctid FROM preview_points AS p JOIN runs AS r USING (run_id) WHERE r.preview <> 'open' AND r.finished_at < :before LIMIT 2000))
"""
log = logs.get(__name__)


def _span(value: Any) -> Any:
    if value in (None, ""):
        return None
    found = re.fullmatch(r"(\d{1,5})([mhd])", str(value))
    if found is None or int(found[1]) == 0:
        raise ValueError(f"{value!r} is no span of time: write a number and m, h or d, such as 30d; empty keeps everything")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


Span = Annotated[timedelta | None, BeforeValidator(_span)]


class Retention:
    """What is older than its span goes. None keeps everything."""

    def __init__(self, engine: Engine, *, raw: timedelta | None, revisions: timedelta | None) -> None:
        self._engine, self._raw, self._revisions = engine, raw, revisions

    def prune(self) -> None:
        """Some batches of each, oldest first. Blocks; raises what SQLAlchemy raises when the database is away."""
        if self._raw is not None:
            self._prune("raw_data", self._raw, _RAW)
        if self._revisions is not None:
            self._prune("unified_revisions", self._revisions, _REVISIONS)
            before = self._before(self._revisions)
            self._batches("open previews", before, _CLOSE_PREVIEWS)
            self._batches("preview_points", before, _PREVIEWS)

    def _prune(self, what: str, span: timedelta, delete: str) -> None:
        column = {"raw_data": "broker_time", "unified_revisions": "replaced_at"}[what]
        before = self._before(span)
        with self._engine.begin() as transaction:
            if not transaction.execute(text(f"SELECT EXISTS (SELECT FROM {what} WHERE {column} < :before)"), {"before": before}).scalar():
                return
            transaction.execute(text(_SAY), {"what": what, "before": before})
        self._batches(what, before, delete)

    def _before(self, span: timedelta) -> datetime:
        with self._engine.begin() as transaction:
            found: datetime = transaction.execute(text("SELECT clock_timestamp() - :span"), {"span": span}).scalar_one()
            return found

    def _batches(self, what: str, before: datetime, statement: str) -> None:
        removed = 0
        for _ in range(BATCHES_A_TIME):
            with self._engine.begin() as transaction:
                count = transaction.execute(text(statement), {"before": before}).rowcount
            removed += count
            if not count:
                break
        if removed:
            log.info("pruned", what=what, rows=removed, before=before.isoformat())
