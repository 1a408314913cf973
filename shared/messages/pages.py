"""Pages of raw records, and what they become."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from shared.messages.base import Id, Json, Message, Stage

# -- pages ------------------------------------------------------------------------------------------------------------


class Rejection(Message, frozen=True):
    """Records that could not be processed, with the reason. `index` None: before the record had a place in its page.

    `count` > 1 stands for the whole page failing alike; `payload` then holds a few samples.
    """

    reason: str
    message: str
    index: int | None = None
    field: str | None = None
    origin: Json | None = None  # line and row of a file, id of an entry
    payload: str | None = None
    count: int = 1
    stage: str = Stage.MAP
    payload_sha256: str | None = None  # of the whole, where `payload` is its beginning


class Skip(Message, frozen=True):
    """A record that carries nothing to load (an exporter's empty day), with the reason. Not an error."""

    index: int
    reason: str


class RawPage(Message, frozen=True, tag="RawPage"):
    """One fetch's answer or one slice of a file: raw records, decoded in syntax only.

    `records` is a JSON array; `context` is what the whole file or answer says about them and is all that a mapping may
    conclude from; `rejections` are records that could not even be decoded.
    """

    page_id: Id
    run_id: Id
    task_id: Id
    source: str
    dataset: str
    stream: str
    page_no: int
    records: msgspec.Raw
    record_count: int
    context: msgspec.Raw
    origin: msgspec.Raw
    fetched_at: str  # the extractor's clock, informational
    cursor_before: msgspec.Raw
    cursor_after: msgspec.Raw
    rejections: list[Rejection] = []


class UnifiedData(Message, frozen=True, gc=False):
    """One normalized data point. `id` is its identity, `value_hash` tells whether its values changed."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]  # of a UUID
    value_hash: int  # signed 64 bits over every value below
    record_index: int
    kind: str  # ticker | candle | price | news
    timestamp: str  # event time, ISO 8601 UTC
    instrument: str | None = None
    symbol: str | None = None
    symbols: list[str] | None = None
    interval: str | None = None
    currency: str | None = None
    price: str | None = None
    open: str | None = None
    high: str | None = None
    low: str | None = None
    close: str | None = None
    volume: str | None = None
    market_cap: str | None = None
    title: str | None = None
    url: str | None = None
    summary: str | None = None
    sentiment: float | None = None
    attributes: Json | None = None


class ReplayOf(Message, frozen=True):
    """The replay that a page is part of. `mode` and `symbol` as it was asked for."""

    run_id: Id
    task_id: Id
    mode: str
    symbol: str | None = None


class ReplayPage(Message, frozen=True, tag="ReplayPage"):
    """A raw page read again, with its place in ingest.raw when it was first published (`raw_time`: the broker's, ms since the epoch)."""

    replay: ReplayOf
    raw: msgspec.Raw  # the RawPage as it was published
    raw_partition: int
    raw_offset: int
    raw_time: int


class UnifiedPage(Message, frozen=True, tag="UnifiedPage"):
    """What a raw page became: records = data points' records + skipped + rejected. Carries the raw page as it came."""

    page_id: Id
    events: list[UnifiedData]
    record_count: int
    raw: msgspec.Raw  # the RawPage
    raw_partition: int
    raw_offset: int
    raw_time: int  # the broker's, ms since the epoch
    normalizer_version: int
    skipped: list[Skip] = []
    rejected: list[Rejection] = []
    replay: ReplayOf | None = None


def place(origin: dict[str, Any], index: int) -> dict[str, object]:
    """Path, line and row of a record of a file, or nothing but its index in the page."""
    if "first_row" not in origin:
        return {"index": index}
    lines = origin.get("lines")
    line = lines[index] if lines and index < len(lines) else origin.get("first_line", 0) + index
    row = origin["rows"][index] if "rows" in origin else origin["first_row"] + index  # records of a requeued page do not follow each other
    return {"path": origin.get("path"), "row": row, "line": line}
