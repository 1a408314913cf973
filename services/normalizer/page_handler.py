"""From the bytes of a raw page to the bytes of a unified page. Pure."""

from __future__ import annotations

import msgspec

from services.normalizer.mapping import NORMALIZER_VERSION, map_page
from shared.events import RawPage, UnifiedPage
from shared.serialization import decode, raw_page_decoder


def unify(value: bytes | None, *, partition: int, offset: int, broker_ms: int) -> tuple[RawPage, UnifiedPage]:
    """The raw page, and what it becomes. Raises UndecodableError for what is no raw page."""
    page = decode(raw_page_decoder, value)
    mapped = map_page(page)
    unified = UnifiedPage(
        page_id=page.page_id, events=mapped.events, record_count=page.record_count, raw=msgspec.Raw(value or b""),
        raw_partition=partition, raw_offset=offset, raw_time=broker_ms, normalizer_version=NORMALIZER_VERSION,
        skipped=mapped.skipped, rejected=mapped.rejected,
    )  # fmt: skip
    return page, unified
