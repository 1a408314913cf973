"""Rows of the table dead_letters, for what a page could not have loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg2.extensions
import psycopg2.extras

from services.loader.pages.copy_rows import StagedPage
from shared.messages.base import MAX_PAYLOAD, Stage
from shared.messages.identity import dead_letter_id
from shared.messages.pages import Rejection
from shared.messages.topics import RAW

_DEAD_LETTER = """
INSERT INTO dead_letters (id, page_id, run_id, source, stream, stage, reason, message, field, record_index, origin, payload, payload_sha256, count,
                          topic, "partition", "offset")
VALUES %s ON CONFLICT (id) DO UPDATE SET status = 'open', run_id = excluded.run_id WHERE dead_letters.status = 'preview'
"""
_OF_A_PREVIEW = """
WITH letters (id, page_id, run_id, source, stream, stage, reason, message, field, record_index, origin, payload, payload_sha256, count, topic, "partition", "offset")
AS (VALUES %s)
INSERT INTO dead_letters (id, page_id, run_id, source, stream, stage, reason, message, field, record_index, origin, payload, payload_sha256, count,
                          topic, "partition", "offset", status)
SELECT id::uuid, page_id::uuid, run_id::uuid, source, stream, stage, reason, message, field, record_index::int, origin::jsonb, payload, payload_sha256, count,
       topic, "partition", "offset", 'preview' FROM letters ON CONFLICT (id) DO NOTHING
"""


def insert_dead_letters(cursor: psycopg2.extensions.cursor, letters: Sequence[tuple[Any, ...]], *, is_preview: bool = False) -> None:
    """`is_preview`: nobody may requeue them until the preview is published."""
    if letters:
        psycopg2.extras.execute_values(cursor, _OF_A_PREVIEW if is_preview else _DEAD_LETTER, letters)


def letter_rows(page: StagedPage, rejections: Sequence[Rejection]) -> list[tuple[Any, ...]]:
    """Rows of a page's dead letters. What was rejected after extraction lies in the page itself."""
    if not rejections:
        return []
    try:
        records = msgspec.json.decode(page.raw.records, type=list[msgspec.Raw])
    except msgspec.DecodeError:  # a page that was refused as a whole
        records = []
    rows = []
    for each in rejections:
        shown, digest = each.payload, each.payload_sha256
        if each.stage != Stage.EXTRACT and each.index is not None and each.index < len(records):
            shown, digest = bytes(records[each.index]).decode(), None
        elif each.stage != Stage.EXTRACT:
            digest = hashlib.sha256(page.raw.records).hexdigest()
        rows.append(_letter(page, each, shown, digest))
    return rows


def _letter(page: StagedPage, rejection: Rejection, payload: str | None, digest: str | None) -> tuple[Any, ...]:
    raw, unified = page.raw, page.unified
    place = str(rejection.index) if rejection.index is not None else f"{rejection.reason}:{rejection.origin}"
    origin = psycopg2.extras.Json(rejection.origin) if rejection.origin is not None else None
    where = (RAW.name, unified.raw_partition, unified.raw_offset)
    return (
        dead_letter_id(raw.page_id, place, rejection.stage), raw.page_id, raw.run_id, raw.source, raw.stream, rejection.stage, rejection.reason,
        rejection.message.replace("\x00", "\ufffd"), rejection.field, rejection.index, origin, *_payload_cells(payload, digest), rejection.count, *where,
    )  # fmt: skip


def _payload_cells(payload: str | None, digest: str | None = None) -> tuple[str | None, str | None]:
    """At most 64 KiB of the payload, and the hash of all of it: `digest` where the payload is not all of it."""
    if payload is None:
        return None, digest
    digest = digest or hashlib.sha256(payload.encode("utf-8", "replace")).hexdigest()
    return payload[:MAX_PAYLOAD].replace("\x00", "\ufffd"), digest
