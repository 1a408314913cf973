"""From the bytes of a raw page to the bytes of a unified page. Pure."""

from __future__ import annotations

import msgspec

from services.normalizer.mapping import NORMALIZER_VERSION, map_page
from shared.messages.pages import RawPage, Skip, UnifiedPage
from shared.messages.serialization import decode, raw_page_decoder, replay_page_decoder


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


def unify_again(value: bytes | None) -> tuple[RawPage, UnifiedPage]:
    """As `unify`, for a page of a replay. Where the replay is about one symbol, the other data points are left out and their records skipped."""
    message = decode(replay_page_decoder, value)
    page, unified = unify(bytes(message.raw), partition=message.raw_partition, offset=message.raw_offset, broker_ms=message.raw_time)
    unified = msgspec.structs.replace(unified, replay=message.replay)
    symbol = message.replay.symbol
    if symbol is None:
        return page, unified
    kept = [event for event in unified.events if symbol == event.symbol or symbol in (event.symbols or ())]
    left = {event.record_index for event in unified.events} - {event.record_index for event in kept}
    skipped = [*unified.skipped, *(Skip(index=index, reason="another_symbol") for index in sorted(left))]
    return page, msgspec.structs.replace(unified, events=kept, skipped=skipped)
