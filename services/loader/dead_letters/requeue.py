"""Dead letters that somebody has looked at: processed again as a run of their own, or discarded with a note."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.messages.base import MESSAGES, Stage
from shared.messages.commands import DiscardDeadLetters, LetterFilter, RequeueDeadLetters
from shared.messages.identity import task_id
from shared.messages.runs import DeadLetterStatus, describe
from shared.messages.tasks import ForwardMessages, MessagePlace, PagePlace, RequeueRecords
from shared.tables import dead_letters, raw_data, run_tasks, runs

_columns = dead_letters.c
# What the extractor rejected never became a record of a page: it has to be read again where it comes from.
_can_be_requeued = or_(and_(_columns.page_id.is_(None), _columns.topic.is_not(None)), _columns.stage != Stage.EXTRACT)
_NEEDED = (_columns.page_id, _columns.source, _columns.stream, _columns.topic, _columns.partition, _columns.offset, _columns.record_index)
_NOW = func.clock_timestamp()
MAX_LETTERS = 20_000  # of a run: what names them fits into one message for each stream


def _meant(letters: LetterFilter) -> list[ColumnElement[bool]]:
    """The open letters that a filter means."""
    where: list[ColumnElement[bool]] = [_columns.status == DeadLetterStatus.OPEN]
    if letters.ids is not None:
        where.append(_columns.id.in_(letters.ids))
    given = {name: getattr(letters, name) for name in ("run_id", "source", "stream", "stage", "reason")}
    return [*where, *(_columns[name] == value for name, value in given.items() if value is not None)]


def requeue(transaction: Connection, command: RequeueDeadLetters, at: datetime) -> None:
    """Mark the letters with the run that processes them again; `tasks` then says what is to be done."""
    planned = transaction.execute(select(runs.c.planned).where(runs.c.run_id == command.run_id).with_for_update()).scalar_one()
    if planned:  # the command came again: what has opened since is not this run's
        return
    where = _meant(command.letters)
    left = transaction.execute(select(func.count()).select_from(dead_letters).where(*where, ~_can_be_requeued)).scalar_one()
    chosen = select(_columns.id).where(*where, _can_be_requeued).order_by(_columns.created_at, _columns.id).limit(MAX_LETTERS)
    marked = transaction.execute(
        update(dead_letters)
        .where(_columns.id.in_(chosen))
        .values(status=DeadLetterStatus.REQUEUED, requeued_run_id=command.run_id, closed_at=_NOW)
    ).rowcount
    notes = [f"{left} dead letter(s) were rejected where they come from: mend the source and ingest it with full_refresh"] if left else []
    if marked == MAX_LETTERS:
        notes.append(f"a run takes {MAX_LETTERS} dead letters: ask again for the rest")
    wanted = describe(command)
    values = {"kind": wanted.kind, "planned": True, "request": wanted.request, "notes": notes}
    transaction.execute(update(runs).where(runs.c.run_id == command.run_id).values(requested_at=at, **values))
    for task in tasks(transaction, command.run_id):
        row = {"task_id": task.task_id, "run_id": task.run_id, "source": task.source, "stream": task.stream}
        transaction.execute(insert(run_tasks).values(**row).on_conflict_do_nothing())


def discard(transaction: Connection, command: DiscardDeadLetters, _at: datetime) -> None:
    transaction.execute(
        update(dead_letters).where(*_meant(command.letters)).values(status=DeadLetterStatus.DISCARDED, note=command.note, closed_at=_NOW)
    )


def tasks(transaction: Connection, run_id: str) -> list[RequeueRecords | ForwardMessages]:
    """What a requeueing run has to do, from the letters that carry its id: the same each time."""
    query = (
        select(*_NEEDED, (func.extract("epoch", raw_data.c.broker_time) * 1000).label("time_ms"))
        .outerjoin(raw_data, raw_data.c.page_id == _columns.page_id)
        .where(_columns.requeued_run_id == run_id)
        .order_by(_columns.partition, _columns.offset, _columns.page_id, _columns.record_index)
    )
    by_stream: dict[tuple[str, str], list[Any]] = defaultdict(list)
    by_topic: dict[str, list[Any]] = defaultdict(list)
    for row in transaction.execute(query):
        if row.page_id is None:
            by_topic[row.topic].append(row)
        else:
            by_stream[row.source, row.stream].append(row)
    found: list[RequeueRecords | ForwardMessages] = []
    for (source, stream), rows in by_stream.items():
        found.append(RequeueRecords(run_id=run_id, task_id=task_id(run_id, stream), source=source, stream=stream, pages=_pages(rows)))
    for topic, rows in by_topic.items():
        places = [MessagePlace(topic=topic, partition=row.partition, offset=row.offset) for row in rows]
        stream = f"{MESSAGES}/{topic}"
        found.append(ForwardMessages(run_id=run_id, task_id=task_id(run_id, stream), source=MESSAGES, stream=stream, messages=places))
    return found


def _pages(rows: Iterable[Any]) -> list[PagePlace]:
    by_page: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_page[row.page_id].append(row)
    places = []
    for page_id, letters in by_page.items():
        first = letters[0]
        indexes = [row.record_index for row in letters]
        whole = None in indexes  # a page whose records all failed alike
        places.append(
            PagePlace(
                page_id=page_id, partition=first.partition, offset=first.offset, time_ms=None if first.time_ms is None else round(first.time_ms),
                records=None if whole else indexes,
            )
        )  # fmt: skip
    return places
