"""A slice of a source as a page of a task."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from services.extractor.sources.base import Slice, StreamInfo, canonical, clean
from shared.messages.checkpoints import Checkpoint
from shared.messages.identity import page_id
from shared.messages.pages import RawPage
from shared.messages.serialization import encode
from shared.messages.tasks import Task


def build_page(task: Task, info: StreamInfo, piece: Slice, position: Checkpoint) -> RawPage:
    """The slice as a page of this task, with records as both topic and table will hold them."""
    records, was_repaired = canonical(piece.records)
    repaired = {"repaired": [n for n, record in enumerate(piece.records) if clean(record) != record]} if was_repaired else {}
    rejections = [msgspec.structs.replace(rejection, payload=clean(rejection.payload)) for rejection in piece.rejections]
    page_no = position.current.pages if position.current else 0
    return RawPage(
        page_id=page_id(task.run_id, task.stream, page_no, records, encode(rejections)),
        run_id=task.run_id, task_id=task.task_id, source=task.source, dataset=info.dataset, stream=task.stream, page_no=page_no,
        records=msgspec.Raw(records), record_count=len(piece.records) + sum(rejection.count for rejection in rejections),
        context=_raw(piece.context), origin=_raw({**piece.origin, **repaired}), fetched_at=datetime.now(UTC).isoformat(),
        cursor_before=position.cursor, cursor_after=_raw(piece.cursor_after), rejections=rejections,
    )  # fmt: skip


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(canonical(value)[0])
