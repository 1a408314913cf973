"""Rows of the table dead_letters, for what a page could not have loaded.

What is rejected again (same stream, stage, reason, field and payload) counts in the same row; how
often a run met it stands in dead_letter_runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, NamedTuple

import msgspec
import psycopg2.extras

from services.loader.database import Db
from services.loader.pages.staged_page import StagedPage
from shared.identity.ids import dead_letter_id, equal_letter_id
from shared.messages.base import MAX_PAYLOAD, Stage
from shared.messages.pages import Rejection
from shared.messages.topics import RAW


class Letter(NamedTuple):
    """A row of dead_letters."""

    id: str
    page_id: str | None
    run_id: str | None
    source: str | None
    stream: str | None
    stage: str
    reason: str
    message: str
    field: str | None
    record_index: int | None
    origin: Any
    payload: str | None
    payload_sha256: str | None
    number: int  # the column `count`
    topic: str
    partition: int
    offset: int
    event_time: str | None = None


class Occasion(Enum):
    """Why letters are written.

    LIVE: of pages that are new: each counts. KNOWN: of messages and pages that may come again: a
    letter that is there stays as it is. REPLAYED: as KNOWN, and the replay has met it. PREVIEW: as
    REPLAYED; nobody may requeue them until the preview is published.
    """

    LIVE = "live"
    KNOWN = "known"
    REPLAYED = "replayed"
    PREVIEW = "preview"


_COLUMNS = ", ".join(f'"{column}"' for column in Letter._fields).replace(
    "number", "count"
)
_NEWEST = (
    "page_id",
    "run_id",
    "message",
    "record_index",
    "origin",
    "topic",
    "partition",
    "offset",
    "event_time",
)
_TAKE_NEWEST = ", ".join(
    f'"{name}" = excluded."{name}"' for name in _NEWEST
)
# While a run processes a letter again, its place must not change.
_IS_FREE = """
    d.status <> 'requeued' OR EXISTS (
        SELECT FROM runs AS r WHERE r.run_id = d.requeued_run_id AND r.finished_at IS NOT NULL)
"""
_INSERT_LIVE = f"""
INSERT INTO dead_letters AS d ({_COLUMNS}, first_run_id, last_seen_at) VALUES %s
ON CONFLICT (id) DO UPDATE SET {_TAKE_NEWEST},
    count = CASE WHEN d.status = 'preview' THEN excluded.count ELSE d.count + excluded.count END,
    status = 'open', closed_at = NULL, requeued_run_id = NULL, last_seen_at = excluded.last_seen_at
WHERE {_IS_FREE}
RETURNING id::text
"""
_INSERT_KNOWN = f"""
INSERT INTO dead_letters ({_COLUMNS}, first_run_id, last_seen_at) VALUES %s
ON CONFLICT (id) DO UPDATE SET status = 'open', run_id = excluded.run_id
WHERE dead_letters.status = 'preview'
RETURNING id::text
"""
_INSERT_PREVIEW = f"""
INSERT INTO dead_letters ({_COLUMNS}, first_run_id, last_seen_at, status) VALUES %s
ON CONFLICT (id) DO NOTHING
RETURNING id::text
"""
_TEMPLATE = (
    f"({', '.join(['%s'] * len(Letter._fields))}, %s, clock_timestamp())"
)
_TEMPLATE_PREVIEW = f"{_TEMPLATE[:-1]}, 'preview')"
_STATEMENTS = {
    Occasion.LIVE: (_INSERT_LIVE, _TEMPLATE),
    Occasion.KNOWN: (_INSERT_KNOWN, _TEMPLATE),
    Occasion.REPLAYED: (_INSERT_KNOWN, _TEMPLATE),
    Occasion.PREVIEW: (_INSERT_PREVIEW, _TEMPLATE_PREVIEW),
}
_SELECT_KNOWN = (
    "SELECT id::text FROM dead_letters WHERE id = ANY(%s::uuid[])"
)
_INSERT_RUNS = """
INSERT INTO dead_letter_runs AS s (letter_id, run_id, count) VALUES %s
ON CONFLICT (letter_id, run_id) DO UPDATE SET count = s.count + excluded.count
"""


def insert_dead_letters(
    db: Db, letters: Sequence[Letter], occasion: Occasion
) -> None:
    """Write letters, and how often their runs met them."""
    if not letters:
        return
    if occasion in (Occasion.REPLAYED, Occasion.PREVIEW):
        letters = _as_first_written(db, letters)
    written = list(_together(letters))
    taken = _insert(db, written, occasion)
    if occasion is Occasion.KNOWN:
        written = list(_those(written, taken))
    if occasion is Occasion.LIVE and len(taken) < len(written):
        written = _with_busy_apart(db, written, taken)
    _insert_runs(db, written)


def _those(letters: Iterable[Letter], ids: set[str]) -> Iterator[Letter]:
    return (letter for letter in letters if letter.id in ids)


def _with_busy_apart(
    db: Db, letters: Sequence[Letter], taken: set[str]
) -> list[Letter]:
    """Those that equal one that a run processes again have a row of their own meanwhile."""
    busy = [letter for letter in letters if letter.id not in taken]
    apart = list(map(_with_own_id, busy))
    _insert(db, apart, Occasion.KNOWN)
    return [*_those(letters, taken), *apart]


def _together(letters: Iterable[Letter]) -> Iterable[Letter]:
    """Equal ones as one, with their count; the last one's place."""
    found: dict[str, Letter] = {}
    for letter in letters:
        before = found.get(letter.id)
        count = letter.number + (before.number if before else 0)
        found[letter.id] = letter._replace(number=count)
    return found.values()


def _as_first_written(db: Db, letters: Sequence[Letter]) -> list[Letter]:
    """With the id that an older release gave a record's letter, where that is there."""
    older = {letter.id: _id_by_place(letter) for letter in letters}
    db.execute(_SELECT_KNOWN, (list(filter(None, older.values())),))
    known = {id_ for (id_,) in db.fetchall()}
    found = []
    for letter in letters:
        before = older[letter.id]
        if before is not None and before in known:
            found.append(letter._replace(id=before))
        else:
            found.append(letter)
    return found


def _id_by_place(letter: Letter) -> str | None:
    if letter.page_id is None or letter.record_index is None:
        return None
    return dead_letter_id(
        letter.page_id, str(letter.record_index), letter.stage
    )


def _with_own_id(letter: Letter) -> Letter:
    place = f"{letter.run_id}:{letter.id}"
    own = dead_letter_id(letter.page_id or "", place, letter.stage)
    return letter._replace(id=own)


def _insert(
    db: Db, letters: Sequence[Letter], occasion: Occasion
) -> set[str]:
    """Returns the ids of those that were written."""
    statement, template = _STATEMENTS[occasion]
    rows = [(*letter, letter.run_id) for letter in letters]
    written = psycopg2.extras.execute_values(
        db, statement, rows, template, fetch=True
    )
    return {id_ for (id_,) in written}


def _insert_runs(db: Db, letters: Iterable[Letter]) -> None:
    rows = [
        (letter.id, letter.run_id, letter.number)
        for letter in letters
        if letter.run_id is not None
    ]
    if rows:
        psycopg2.extras.execute_values(db, _INSERT_RUNS, rows)


# -- letters of pages -----------------------------------------------------------------------------


def dead_letter_rows(
    page: StagedPage, rejections: Sequence[Rejection]
) -> list[Letter]:
    """A page's dead letters. What was rejected after extraction lies in the page itself."""
    if not rejections:
        return []
    records = _records(page)
    return [_letter(page, rejection, records) for rejection in rejections]


def _records(page: StagedPage) -> list[msgspec.Raw]:
    """None of a page that was refused as a whole."""
    try:
        return msgspec.json.decode(
            page.raw.records, type=list[msgspec.Raw]
        )
    except msgspec.DecodeError:
        return []


def _letter(
    page: StagedPage, rejection: Rejection, records: list[msgspec.Raw]
) -> Letter:
    raw = page.raw
    origin = None
    if rejection.origin is not None:
        origin = psycopg2.extras.Json(rejection.origin)
    payload, digest = _payload(page, rejection, records)
    record = _record(rejection, records)
    same = digest if record is None else digest_of_value(record)
    return Letter(
        id=_identity(page, rejection, same),
        page_id=raw.page_id,
        run_id=raw.run_id,
        source=raw.source,
        stream=raw.stream,
        stage=rejection.stage,
        reason=rejection.reason,
        message=rejection.message.replace("\x00", "\ufffd"),
        field=rejection.field,
        record_index=rejection.index,
        origin=origin,
        payload=payload,
        payload_sha256=digest,
        number=rejection.count,
        topic=RAW.name,
        partition=page.unified.raw_partition,
        offset=page.unified.raw_offset,
        event_time=rejection.event_time,
    )


def _identity(
    page: StagedPage, rejection: Rejection, digest: str | None
) -> str:
    if digest is not None:
        return equal_letter_id(
            page.raw.stream,
            rejection.stage,
            rejection.reason,
            rejection.field or "",
            digest,
        )
    place = f"{rejection.reason}:{rejection.origin}"
    if rejection.index is not None:
        place = str(rejection.index)
    return dead_letter_id(page.raw.page_id, place, rejection.stage)


def _record(
    rejection: Rejection, records: list[msgspec.Raw]
) -> msgspec.Raw | None:
    """The record of the page that was rejected; None for another part of it."""
    index = rejection.index
    if rejection.stage == Stage.EXTRACT or index is None:
        return None
    return records[index] if index < len(records) else None


def digest_of_value(record: msgspec.Raw) -> str:
    """The same for a record of a topic and for one that JSONB wrote in its own way."""
    value = _VALUES.decode(record)
    text = msgspec.json.encode(value, order="sorted")
    return hashlib.sha256(text).hexdigest()


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


_VALUES = msgspec.json.Decoder(float_hook=_number)


def _payload(
    page: StagedPage, rejection: Rejection, records: list[msgspec.Raw]
) -> tuple[str | None, str | None]:
    """At most 64 KiB of the payload, and the hash of all of it."""
    payload = rejection.payload
    digest = rejection.payload_sha256
    record = _record(rejection, records)
    if record is not None:
        payload = bytes(record).decode()
        digest = None
    elif rejection.stage != Stage.EXTRACT:
        digest = hashlib.sha256(page.raw.records).hexdigest()
    if payload is None:
        return None, digest
    digest = (
        digest
        or hashlib.sha256(payload.encode("utf-8", "replace")).hexdigest()
    )
    return payload[:MAX_PAYLOAD].replace("\x00", "\ufffd"), digest
