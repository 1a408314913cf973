"""Dead letters that somebody has looked at.

They are processed again as a run of their own, or discarded with a note.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from shared.identity.ids import task_id
from shared.messages.base import MESSAGES, Stage
from shared.messages.commands import (
    DeadLetterFilter,
    DiscardDeadLetters,
    RequeueDeadLetters,
)
from shared.messages.runs import DeadLetterStatus, describe
from shared.messages.tasks import (
    ForwardMessages,
    MessagePlace,
    PagePlace,
    RequeueRecords,
)
from shared.tables import (
    dead_letter_runs,
    dead_letters,
    raw_data,
    run_tasks,
    runs,
)

MAX_DEAD_LETTERS = 20_000  # of a run: what names them fits into one message for each stream
_AT_SOURCE = (
    "dead letter(s) were rejected at their source: fix the source and ingest "
    "it with full_refresh"
)
_TOO_MANY = (
    f"a run takes {MAX_DEAD_LETTERS} dead letters: ask again for the rest"
)
_columns = dead_letters.c
_is_message = and_(
    _columns.page_id.is_(None), _columns.topic.is_not(None)
)
# What the extractor rejected never became a record of a page: it has to be read again from its
# source.
_can_be_requeued = or_(_is_message, _columns.stage != Stage.EXTRACT)
_PLACE = (
    _columns.page_id,
    _columns.source,
    _columns.stream,
    _columns.topic,
    _columns.partition,
    _columns.offset,
    _columns.record_index,
)
_FILTERS = ("source", "stream", "stage", "reason")
_ORDER = (
    _columns.partition,
    _columns.offset,
    _columns.page_id,
    _columns.record_index,
)
_NOW = func.clock_timestamp()
RequeueTask = RequeueRecords | ForwardMessages


def requeue(
    transaction: Connection, command: RequeueDeadLetters, at: datetime
) -> None:
    """Mark the dead letters with the run that processes them again.

    `tasks` then says what is to be done.
    """
    run = runs.c.run_id == command.run_id
    planned = select(runs.c.planned).where(run).with_for_update()
    if transaction.execute(planned).scalar_one():
        return  # the command came again: what has opened since is not this run's
    where = _meant(command.letters)
    at_source = _count_at_source(transaction, where)
    notes = _notes(at_source, _mark(transaction, where, command.run_id))
    values = {**_request(command), "notes": notes, "requested_at": at}
    transaction.execute(update(runs).where(run).values(**values))
    for task in tasks(transaction, command.run_id):
        _insert_task(transaction, task)


def _request(command: RequeueDeadLetters) -> dict[str, Any]:
    wanted = describe(command)
    return {
        "kind": wanted.kind,
        "request": wanted.request,
        "planned": True,
    }


def _insert_task(transaction: Connection, task: RequeueTask) -> None:
    row = _fields(task.run_id, task.source, task.stream)
    new = insert(run_tasks).values(**row)
    transaction.execute(new.on_conflict_do_nothing())


def discard(
    transaction: Connection, command: DiscardDeadLetters, _at: datetime
) -> None:
    """Close the dead letters for good."""
    transaction.execute(
        update(dead_letters)
        .where(*_meant(command.letters))
        .values(
            status=DeadLetterStatus.DISCARDED,
            note=command.note,
            closed_at=_NOW,
        )
    )


def _meant(wanted: DeadLetterFilter) -> list[ColumnElement[bool]]:
    """The open dead letters that a filter means."""
    where: list[ColumnElement[bool]] = [
        _columns.status == DeadLetterStatus.OPEN
    ]
    if wanted.ids is not None:
        where.append(_columns.id.in_(wanted.ids))
    if wanted.run_id is not None:
        met = select(dead_letter_runs.c.letter_id).where(
            dead_letter_runs.c.run_id == wanted.run_id
        )
        where.append(_columns.id.in_(met))
    given = {name: getattr(wanted, name) for name in _FILTERS}
    where += [
        _columns[name] == value
        for name, value in given.items()
        if value is not None
    ]
    return where


def _count_at_source(
    transaction: Connection, where: Sequence[ColumnElement[bool]]
) -> int:
    query = (
        select(func.count())
        .select_from(dead_letters)
        .where(*where, ~_can_be_requeued)
    )
    return transaction.execute(query).scalar_one()


def _mark(
    transaction: Connection,
    where: Sequence[ColumnElement[bool]],
    run_id: str,
) -> int:
    """Give open dead letters to a run; returns how many."""
    chosen = (
        select(_columns.id)
        .where(*where, _can_be_requeued)
        .order_by(_columns.created_at, _columns.id)
        .limit(MAX_DEAD_LETTERS)
    )
    requeued = {
        "status": DeadLetterStatus.REQUEUED,
        "requeued_run_id": run_id,
        "closed_at": _NOW,
    }
    statement = (
        update(dead_letters)
        .where(_columns.id.in_(chosen))
        .values(**requeued)
    )
    return transaction.execute(statement).rowcount


def _notes(at_source: int, marked: int) -> list[str]:
    notes = []
    if at_source:
        notes.append(f"{at_source} {_AT_SOURCE}")
    if marked == MAX_DEAD_LETTERS:
        notes.append(_TOO_MANY)
    return notes


def tasks(transaction: Connection, run_id: str) -> list[RequeueTask]:
    """What a run of dead letters has to do, from those that carry its id: the same each time."""
    by_stream: dict[tuple[str, str], list[Any]] = defaultdict(list)
    by_topic: dict[str, list[Any]] = defaultdict(list)
    for row in _requeued(transaction, run_id):
        if row.page_id is None:
            by_topic[row.topic].append(row)
        else:
            by_stream[row.source, row.stream].append(row)
    found: list[RequeueTask] = []
    for (source, stream), rows in by_stream.items():
        found.append(_of_stream(run_id, source, stream, rows))
    for topic, rows in by_topic.items():
        found.append(_of_topic(run_id, topic, rows))
    return found


def _requeued(transaction: Connection, run_id: str) -> Iterable[Any]:
    """The places of a run's dead letters, in the order of the topics."""
    time_ms = func.extract("epoch", raw_data.c.broker_time) * 1000
    query = (
        select(*_PLACE, time_ms.label("time_ms"))
        .outerjoin(raw_data, raw_data.c.page_id == _columns.page_id)
        .where(_columns.requeued_run_id == run_id)
        .order_by(*_ORDER)
    )
    return transaction.execute(query)


def _of_stream(
    run_id: str, source: str, stream: str, rows: Iterable[Any]
) -> RequeueRecords:
    by_page: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_page[row.page_id].append(row)
    return RequeueRecords(
        run_id=run_id,
        task_id=task_id(run_id, stream),
        source=source,
        stream=stream,
        pages=[
            _page_place(page_id, of_page)
            for page_id, of_page in by_page.items()
        ],
    )


def _page_place(page_id: str, rows: Sequence[Any]) -> PagePlace:
    first = rows[0]
    indexes = [row.record_index for row in rows]
    is_whole = None in indexes  # a page whose records all failed alike
    return PagePlace(
        page_id=page_id,
        partition=first.partition,
        offset=first.offset,
        time_ms=None if first.time_ms is None else round(first.time_ms),
        records=None if is_whole else indexes,
    )


def _of_topic(
    run_id: str, topic: str, rows: Iterable[Any]
) -> ForwardMessages:
    fields = _fields(run_id, MESSAGES, f"{MESSAGES}/{topic}")
    places = list(map(_message_place, rows))
    return ForwardMessages(**fields, messages=places)


def _fields(run_id: str, source: str, stream: str) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "task_id": task_id(run_id, stream),
        "source": source,
        "stream": stream,
    }


def _message_place(row: Any) -> MessagePlace:
    return MessagePlace(
        topic=row.topic, partition=row.partition, offset=row.offset
    )
