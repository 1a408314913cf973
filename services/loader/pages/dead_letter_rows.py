"""Rows of the table dead_letters, for what a page could not have loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg2.extras

from services.loader.database import Db
from services.loader.pages.copy_rows import StagedPage
from shared.messages.base import MAX_PAYLOAD, Stage
from shared.messages.identity import dead_letter_id
from shared.messages.pages import Rejection
from shared.messages.topics import RAW

_COLUMNS = """
    id, page_id, run_id, source, stream, stage, reason, message, field, record_index, origin,
    payload, payload_sha256, count, topic, "partition", "offset"
"""
_INSERT = f"""
INSERT INTO dead_letters ({_COLUMNS}) VALUES %s
ON CONFLICT (id) DO UPDATE SET status = 'open', run_id = excluded.run_id
WHERE dead_letters.status = 'preview'
"""
_INSERT_OF_PREVIEW = f"""
WITH letters ({_COLUMNS}) AS (VALUES %s)
INSERT INTO dead_letters ({_COLUMNS}, status)
SELECT id::uuid, page_id::uuid, run_id::uuid, source, stream, stage, reason, message, field,
       record_index::int, origin::jsonb, payload, payload_sha256, count,
       topic, "partition", "offset", 'preview'
FROM letters ON CONFLICT (id) DO NOTHING
"""


def insert_dead_letters(
    db: Db, rows: Sequence[tuple[Any, ...]], *, is_preview: bool = False
) -> None:
    """`is_preview`: nobody may requeue them until the preview is published."""
    if rows:
        statement = _INSERT_OF_PREVIEW if is_preview else _INSERT
        psycopg2.extras.execute_values(db, statement, rows)


def dead_letter_rows(
    page: StagedPage, rejections: Sequence[Rejection]
) -> list[tuple[Any, ...]]:
    """Rows of a page's dead letters. What was rejected after extraction lies in the page itself."""
    if not rejections:
        return []
    records = _records(page)
    return [_row(page, rejection, records) for rejection in rejections]


def _records(page: StagedPage) -> list[msgspec.Raw]:
    """None of a page that was refused as a whole."""
    try:
        return msgspec.json.decode(page.raw.records, type=list[msgspec.Raw])
    except msgspec.DecodeError:
        return []


def _row(
    page: StagedPage, rejection: Rejection, records: list[msgspec.Raw]
) -> tuple[Any, ...]:
    raw = page.raw
    place = f"{rejection.reason}:{rejection.origin}"
    if rejection.index is not None:
        place = str(rejection.index)
    origin = None
    if rejection.origin is not None:
        origin = psycopg2.extras.Json(rejection.origin)
    payload, digest = _payload(page, rejection, records)
    return (
        dead_letter_id(raw.page_id, place, rejection.stage),
        raw.page_id,
        raw.run_id,
        raw.source,
        raw.stream,
        rejection.stage,
        rejection.reason,
        rejection.message.replace("\x00", "\ufffd"),
        rejection.field,
        rejection.index,
        origin,
        payload,
        digest,
        rejection.count,
        RAW.name,
        page.unified.raw_partition,
        page.unified.raw_offset,
    )


def _payload(
    page: StagedPage, rejection: Rejection, records: list[msgspec.Raw]
) -> tuple[str | None, str | None]:
    """At most 64 KiB of the payload, and the hash of all of it."""
    payload = rejection.payload
    digest = rejection.payload_sha256
    if rejection.stage != Stage.EXTRACT:
        if rejection.index is not None and rejection.index < len(records):
            payload = bytes(records[rejection.index]).decode()
            digest = None
        else:
            digest = hashlib.sha256(page.raw.records).hexdigest()
    if payload is None:
        return None, digest
    digest = (
        digest
        or hashlib.sha256(payload.encode("utf-8", "replace")).hexdigest()
    )
    return payload[:MAX_PAYLOAD].replace("\x00", "\ufffd"), digest
