"""From the bytes of a raw page to a unified page. Pure."""

from __future__ import annotations

import msgspec

from services.normalizer.mapping.page import Elsewhere, map_page
from services.normalizer.mapping.registry import NORMALIZER_VERSION
from shared.messages.base import Source
from shared.messages.pages import RawPage, Skip, UnifiedPage
from shared.messages.points import Points
from shared.messages.serialization import (
    decode,
    raw_page_decoder,
    replay_page_decoder,
)

WITH_MARKUP = frozenset({Source.RSS})


def unify(
    value: bytes | None,
    *,
    partition: int,
    offset: int,
    broker_ms: int,
    republished: bool = False,
    elsewhere: Elsewhere | None = None,
) -> tuple[RawPage, UnifiedPage]:
    """The raw page, and what it becomes. Raises UndecodableError for what is not a raw page.

    `offset`, `broker_ms`: where the page first lay in its partition, and the broker's time of it.
    `republished`: it was published again. `elsewhere`: maps records in another process.
    """
    page = decode(raw_page_decoder, value)
    mapped = map_page(page, elsewhere)
    unified = UnifiedPage(
        page_id=page.page_id,
        points=mapped.points,
        record_count=page.record_count,
        raw=msgspec.Raw(value or b""),
        raw_partition=partition,
        raw_offset=offset,
        raw_time=broker_ms,
        normalizer_version=NORMALIZER_VERSION,
        skipped=mapped.skipped,
        rejected=mapped.rejected,
        republished=republished,
    )
    return page, unified


def unify_replayed(
    value: bytes | None, elsewhere: Elsewhere | None = None
) -> tuple[RawPage, UnifiedPage]:
    """As `unify`, for a page of a replay.

    Where the replay is about one symbol, the other data points are left out and their records
    skipped.
    """
    message = decode(replay_page_decoder, value)
    page, unified = unify(
        bytes(message.raw),
        partition=message.raw_partition,
        offset=message.raw_offset,
        broker_ms=message.raw_time,
        elsewhere=elsewhere,
    )
    unified = msgspec.structs.replace(unified, replay=message.replay)
    if message.replay.symbol is None:
        return page, unified
    return page, _only(unified, message.replay.symbol)


class _Source(msgspec.Struct):
    source: str


class _Replayed(msgspec.Struct):
    raw: _Source


_page_source = msgspec.json.Decoder(_Source)
_replayed_source = msgspec.json.Decoder(_Replayed)


def holds_markup(value: bytes | None) -> bool:
    """Whether a message is a page, also a replayed one, whose records hold markup."""
    for decoder in (_page_source, _replayed_source):
        try:
            found = decoder.decode(value or b"")
        except (ValueError, RecursionError):
            continue
        page = found.raw if isinstance(found, _Replayed) else found
        return page.source in WITH_MARKUP
    return False


def _only(unified: UnifiedPage, symbol: str) -> UnifiedPage:
    rows = unified.points.rows()
    kept = [
        row
        for row in rows
        if symbol == row.symbol or symbol in (row.symbols or ())
    ]
    kept_records = {row.record_index for row in kept}
    left = {row.record_index for row in rows} - kept_records
    skipped = [
        Skip(index=index, reason="another_symbol")
        for index in sorted(left)
    ]
    return msgspec.structs.replace(
        unified,
        points=Points.of(kept),
        skipped=[*unified.skipped, *skipped],
    )
