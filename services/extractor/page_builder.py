"""A slice of a source as a page of a task."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from services.extractor.sources.base import (
    Slice,
    StreamInfo,
    canonical,
    clean,
)
from shared.identity.ids import page_id
from shared.messages.base import Json
from shared.messages.checkpoints import Checkpoint
from shared.messages.pages import RawPage, Rejection, count_of
from shared.messages.serialization import encode
from shared.messages.tasks import Task


def build_page(
    task: Task,
    info: StreamInfo,
    piece: Slice,
    position: Checkpoint,
    after_ms: int | None = None,
) -> RawPage:
    """The slice as a page of this task, with records as topic and table will both hold them."""
    records, was_repaired = canonical(piece.records)
    origin = dict(piece.origin)
    if was_repaired:
        origin["repaired"] = _repaired_indexes(piece.records)
    rejections = list(map(_storable, piece.rejections))
    number = position.pages
    encoded = encode(rejections)
    return RawPage(
        page_id=page_id(
            task.run_id, task.stream, number, records, encoded
        ),
        run_id=task.run_id,
        task_id=task.task_id,
        source=task.source,
        dataset=info.dataset,
        stream=task.stream,
        page_no=number,
        records=msgspec.Raw(records),
        record_count=len(piece.records) + count_of(rejections),
        context=storable_json(piece.context),
        origin=storable_json(origin),
        fetched_at=datetime.now(UTC).isoformat(),
        cursor_before=position.cursor,
        cursor_after=storable_json(piece.cursor_after),
        rejections=rejections,
        asked=piece.asked,
        after_ms=after_ms,
    )


def storable_json(value: Any) -> msgspec.Raw:
    """A value as JSON that PostgreSQL can store."""
    return msgspec.Raw(canonical(value)[0])


def _repaired_indexes(records: list[Json]) -> list[int]:
    return [
        index
        for index, record in enumerate(records)
        if clean(record) != record
    ]


def _storable(rejection: Rejection) -> Rejection:
    return msgspec.structs.replace(
        rejection, payload=clean(rejection.payload)
    )
