"""Unified pages as rows for COPY. Pure: nothing here knows a database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from shared.events import RawPage, Rejection, Stage, UnifiedData, UnifiedPage
from shared.serialization import decode, raw_page_decoder, unified_page_decoder

POINT_COLUMNS = (
    "page_id", "idx", "round", "id", "source", "dataset", "stream", "instrument", "symbol", "symbols", "kind", "interval", "timestamp", "currency",
    "price", "open", "high", "low", "close", "volume", "market_cap", "title", "url", "summary", "sentiment", "attributes",
    "value_hash", "raw_time", "raw_offset", "record_index", "normalizer_version", "run_id",
)  # fmt: skip
PAGE_COLUMNS = (
    "page_id", "run_id", "task_id", "source", "dataset", "stream", "page_no", "record_count", "fetched_at", "broker_time", "origin", "context", "payload",
    "rejections", "cursor_before", "cursor_after", "topic", "partition", "offset", "skipped", "rejected", "skip_reasons", "normalizer_version", "raw_time",
)  # fmt: skip

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\v": "\\v"})
_NULL = "\\N"
_json = msgspec.json.Encoder(decimal_format="number")


@dataclass
class StagedPage:
    """A unified page with its raw page decoded, ready to be written. `lost` are records that loading had to reject.

    `values` holds the cells of each event for COPY, made here so that it is done while another batch is written.
    """

    unified: UnifiedPage
    raw: RawPage
    values: list[str]
    lost: list[Rejection] = field(default_factory=list)

    @classmethod
    def from_message(cls, value: bytes | None) -> StagedPage:
        """Raises UndecodableError."""
        unified = decode(unified_page_decoder, value)
        return cls(unified, decode(raw_page_decoder, bytes(unified.raw)), [_values(event) for event in unified.events])

    def rejections(self) -> list[Rejection]:
        return [*self.unified.rejected, *self.lost]

    def rejected_count(self) -> int:
        return sum(rejection.count for rejection in self.rejections())

    def without(self, bad: set[int], reason: str, message: str) -> StagedPage:
        """The page with the data points at these positions turned into rejections of their records."""
        records = {self.unified.events[position].record_index for position in bad}
        kept = [position for position, event in enumerate(self.unified.events) if event.record_index not in records]
        events, values = [self.unified.events[position] for position in kept], [self.values[position] for position in kept]
        lost = [Rejection(reason=reason, message=message, index=index, stage=Stage.LOAD) for index in sorted(records)]
        return StagedPage(msgspec.structs.replace(self.unified, events=events), self.raw, values, [*self.lost, *lost])

    def refused(self, reason: str, message: str) -> StagedPage:
        """The page with everything rejected and its records kept as a text: they cannot be stored as JSON."""
        shown = bytes(self.raw.records).decode("utf-8", "replace").replace("\\u0000", "\ufffd")
        whole = Rejection(reason=reason, message=message, count=self.raw.record_count, payload=shown[:65536], stage=Stage.LOAD)
        raw_page = msgspec.structs.replace(self.raw, records=msgspec.Raw(_json.encode({"refused": shown})), context=msgspec.Raw(b"null"))
        return StagedPage(msgspec.structs.replace(self.unified, events=[], skipped=[], rejected=[]), raw_page, [], [whole])


def text(value: object) -> str:
    """One value in COPY's text format."""
    return _NULL if value is None else str(value).translate(_ESCAPES)


_word = lru_cache(maxsize=4096)(text)  # the few values that nearly all rows share


def json_text(value: Any) -> str:
    return _NULL if value is None else _json.encode(value).decode().translate(_ESCAPES)


def raw_text(value: msgspec.Raw) -> str:
    return bytes(value).decode().translate(_ESCAPES) if bytes(value) else _NULL


def _array(values: list[str] | None) -> str:
    """A text[] literal; every element quoted."""
    if values is None:
        return _NULL
    quoted = ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return ("{" + ",".join(quoted) + "}").translate(_ESCAPES)


def point_rows(pages: list[StagedPage]) -> tuple[list[str], int]:
    """Rows of all data points, and the number of rounds.

    Round n holds the n-th occurrence of each id, oldest version first: an `INSERT … ON CONFLICT` must not meet one id twice.
    """
    seen: Counter[str] = Counter()
    rows: list[str] = []
    rounds = 0
    for page in sorted(pages, key=lambda page: (page.unified.raw_time, page.unified.raw_offset)):
        raw, unified = page.raw, page.unified
        where = f"{text(raw.source)}\t{text(raw.dataset)}\t{text(raw.stream)}"
        for idx, event in enumerate(unified.events):
            number = seen[event.id]
            seen[event.id] = number + 1
            rounds = max(rounds, number + 1)
            version = f"{event.value_hash}\t{unified.raw_time}\t{unified.raw_offset}\t{event.record_index}\t{unified.normalizer_version}\t{raw.run_id}"
            rows.append(f"{raw.page_id}\t{idx}\t{number}\t{event.id}\t{where}\t{page.values[idx]}\t{version}\n")
    return rows, rounds


def _values(event: UnifiedData) -> str:
    numbers = (event.price, event.open, event.high, event.low, event.close, event.volume, event.market_cap)
    return "\t".join((
        _word(event.instrument), _word(event.symbol), _array(event.symbols), _word(event.kind), _word(event.interval), text(event.timestamp), _word(event.currency),
        *[_NULL if number is None else number for number in numbers],
        text(event.title), text(event.url), text(event.summary), text(event.sentiment), json_text(event.attributes),
    ))  # fmt: skip


def page_rows(pages: list[StagedPage], topic: str) -> Iterator[str]:
    """Rows of the pages themselves: what raw_data and page_receipts need."""
    for page in pages:
        raw, unified = page.raw, page.unified
        reasons = Counter(skip.reason for skip in unified.skipped)
        yield "\t".join((
            raw.page_id, raw.run_id, raw.task_id, text(raw.source), text(raw.dataset), text(raw.stream), str(raw.page_no), str(raw.record_count), text(raw.fetched_at),
            str(unified.raw_time), raw_text(raw.origin), raw_text(raw.context), raw_text(raw.records), json_text(raw.rejections or None),
            raw_text(raw.cursor_before), raw_text(raw.cursor_after), topic, str(unified.raw_partition), str(unified.raw_offset),
            str(len(unified.skipped)), str(page.rejected_count()), json_text(reasons), str(unified.normalizer_version), str(unified.raw_time),
        )) + "\n"  # fmt: skip
