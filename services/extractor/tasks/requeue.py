"""Publishing dead-lettered records and messages again."""

from __future__ import annotations

import msgspec

from shared.messages.identity import page_id
from shared.messages.pages import RawPage
from shared.messages.serialization import encode, exact_decoder, plain, raw
from shared.messages.tasks import PagePlace, RequeueRecords


def picked(page: RawPage, task: RequeueRecords, place: PagePlace, page_no: int) -> RawPage | None:
    """A page of the task with the meant records of an older page; None when it has none of them. Pure."""
    records = exact_decoder.decode(page.records)
    indexes = [n for n in (range(len(records)) if place.records is None else place.records) if n < len(records)]
    if not indexes:
        return None
    origin = plain(page.origin)
    if "first_row" in origin:
        lines = origin.get("lines")
        first_line = origin.get("first_line", 0)
        origin["lines"] = [lines[n] if lines else first_line + n for n in indexes]
        origin["rows"] = [origin["first_row"] + n for n in indexes]
    origin["requeued_from"] = page.page_id
    chosen = encode([records[n] for n in indexes])
    return msgspec.structs.replace(
        page, page_id=page_id(task.run_id, task.stream, page_no, chosen), run_id=task.run_id, task_id=task.task_id, page_no=page_no,
        records=msgspec.Raw(chosen), record_count=len(indexes), origin=raw(origin), rejections=[],
    )  # fmt: skip
