"""Unified pages as rows for COPY. Pure: nothing here knows a database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from shared.messages.base import Stage
from shared.messages.pages import RawPage, Rejection, Skip, UnifiedData, UnifiedPage
from shared.messages.runs import Outcome
from shared.messages.serialization import decode, raw_page_decoder, unified_page_decoder

POINT_COLUMNS = (
    "n", "round", "id", "instrument", "symbol", "symbols", "kind", "interval", "timestamp", "currency",
    "price", "open", "high", "low", "close", "volume", "market_cap", "title", "url", "summary", "sentiment", "attributes",
    "value_hash", "record_index",
)  # fmt: skip
PAGE_COLUMNS = (
    "n", "page_id", "run_id", "task_id", "source", "dataset", "stream", "page_no", "record_count", "fetched_at", "raw_time", "origin", "context", "payload",
    "rejections", "cursor_before", "cursor_after", "topic", "partition", "raw_offset", "skipped", "rejected", "skip_reasons", "normalizer_version",
    "ids", "value_hashes", "of_run", "of_task", "symbol",
)  # fmt: skip
INSERTED, UPDATED, UNCHANGED = (outcome.encode() for outcome in Outcome)
Round = dict[str, tuple[int, int]]  # id → its page's place in the batch, its place in the page

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\v": "\\v"})
_NULL = "\\N"
_PRICES = frozenset({"candle", "price"})
_json = msgspec.json.Encoder(decimal_format="number")


@dataclass
class StagedPage:
    """A page ready to be written. `lost` are records that loading had to reject.

    The data points are kept as what COPY and the receipt need of them, side by side: identity, record, hash of the values,
    and row. They are made here so that it is done while another batch is written, and so that two batches fit into memory.
    """

    unified: UnifiedPage  # without its events
    raw: RawPage
    ids: list[str]
    records: list[int]
    hashes: list[int]
    rows: list[str]
    lost: list[Rejection] = field(default_factory=list)

    @classmethod
    def from_message(cls, value: bytes | None) -> StagedPage:
        """Raises UndecodableError."""
        unified = decode(unified_page_decoder, value)
        raw, events = decode(raw_page_decoder, bytes(unified.raw)), unified.events
        ids, records, hashes = [e.id for e in events], [e.record_index for e in events], [e.value_hash for e in events]
        rows = [_row(event) for event in events]
        return cls(msgspec.structs.replace(unified, events=[], raw=msgspec.Raw()), raw, ids, records, hashes, rows)

    @property
    def run_id(self) -> str:
        """The run that writes it: its own, or a replay."""
        return self.raw.run_id if self.unified.replay is None else self.unified.replay.run_id

    @property
    def task_id(self) -> str:
        return self.raw.task_id if self.unified.replay is None else self.unified.replay.task_id

    @property
    def is_refused(self) -> bool:
        """Whether the page was refused as a whole already."""
        return not self.ids and any(each.stage == Stage.LOAD and each.index is None for each in self.lost)

    def rejections(self) -> list[Rejection]:
        return [*self.unified.rejected, *self.lost]

    def rejected_count(self) -> int:
        return sum(rejection.count for rejection in self.rejections())

    def without(self, bad: set[int], reason: str, message: str) -> StagedPage:
        """The page with the data points at these positions turned into rejections of their records."""
        gone = {self.records[position] for position in bad}
        kept = [position for position, record in enumerate(self.records) if record not in gone]
        ids, records, hashes, rows = ([column[n] for n in kept] for column in (self.ids, self.records, self.hashes, self.rows))
        lost = [Rejection(reason=reason, message=message, index=index, stage=Stage.LOAD) for index in sorted(gone)]
        return StagedPage(self.unified, self.raw, ids, records, hashes, rows, [*self.lost, *lost])  # type: ignore[arg-type]

    def superseded(self) -> StagedPage:
        """The page with all its records skipped: when it came, another had taken its place."""
        left = range(self.raw.record_count - self.rejected_count())
        skipped = [Skip(index=index, reason="superseded_page") for index in left]
        return StagedPage(msgspec.structs.replace(self.unified, skipped=skipped), self.raw, [], [], [], [], self.lost)

    def refused(self, reason: str, message: str) -> StagedPage:
        """The page with everything rejected and its records kept as a text: they cannot be stored as JSON."""
        shown = bytes(self.raw.records).decode("utf-8", "replace").replace("\\u0000", "\ufffd")
        whole = Rejection(reason=reason, message=message, count=self.raw.record_count, payload=shown[:65536], stage=Stage.LOAD)
        raw_page = msgspec.structs.replace(self.raw, records=msgspec.Raw(_json.encode({"refused": shown})), context=msgspec.Raw(b"null"))
        return StagedPage(msgspec.structs.replace(self.unified, skipped=[], rejected=[]), raw_page, [], [], [], [], [whole])


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


def in_rounds(pages: list[StagedPage]) -> list[Round]:
    """The data points of pages that are in the order of their versions, in rounds: an `INSERT … ON CONFLICT` must not meet
    one id twice. Round n holds the n-th occurrence of each id, so the oldest version comes first.
    """
    points = [(id_, (number, position)) for number, page in enumerate(pages) for position, id_ in enumerate(page.ids)]
    rounds: list[Round] = []
    while points:
        found: Round = {}
        later = []
        for id_, place in points:
            if found.setdefault(id_, place) is not place:
                later.append((id_, place))
        rounds.append(found)
        points = later
    return rounds


def point_rows(pages: list[StagedPage], rounds: list[Round]) -> Iterator[str]:
    for number, places in enumerate(rounds):
        for page, position in places.values():
            yield f"{page}\t{number}\t{pages[page].rows[position]}"


def tally(records: list[int], outcomes: bytes) -> tuple[str, int, int, int]:
    """The outcomes as a text, and how many records were inserted, updated, unchanged: a record of several points counts once, as the best of them."""
    best = outcomes
    if len(set(records)) < len(records):
        by_record: dict[int, int] = {}
        for record, outcome in zip(records, outcomes, strict=True):
            by_record[record] = min(by_record.get(record, outcome), outcome, key=b"iun".index)
        best = bytes(by_record.values())
    return outcomes.decode(), best.count(INSERTED), best.count(UPDATED), best.count(UNCHANGED)


def _row(event: UnifiedData) -> str:
    """All cells of a data point but the first two."""
    if event.kind in _PRICES and event.symbols is None and event.attributes is None and event.title is None:  # nearly all
        return (
            f"{event.id}\t{_word(event.instrument)}\t{_word(event.symbol)}\t\\N\t{event.kind}\t{_word(event.interval)}\t{event.timestamp}\t"
            f"{_word(event.currency)}\t{event.price or _NULL}\t{event.open or _NULL}\t{event.high or _NULL}\t{event.low or _NULL}\t"
            f"{event.close or _NULL}\t{event.volume or _NULL}\t{event.market_cap or _NULL}\t\\N\t{text(event.url)}\t{text(event.summary)}\t"
            f"{text(event.sentiment)}\t\\N\t{event.value_hash}\t{event.record_index}\n"
        )
    numbers = (event.price, event.open, event.high, event.low, event.close, event.volume, event.market_cap)
    return "\t".join((
        event.id,
        _word(event.instrument), _word(event.symbol), _array(event.symbols), _word(event.kind), _word(event.interval), text(event.timestamp), _word(event.currency),
        *[_NULL if number is None else text(number) for number in numbers],
        text(event.title), text(event.url), text(event.summary), text(event.sentiment), json_text(event.attributes),
        str(event.value_hash), f"{event.record_index}\n",
    ))  # fmt: skip


def page_rows(pages: list[StagedPage], topic: str) -> Iterator[str]:
    """Rows of the pages themselves: what raw_data and the receipts need. `run_id` is the run that writes them, `of_run` that of the page."""
    for number, page in enumerate(pages):
        raw, unified = page.raw, page.unified
        reasons = Counter(skip.reason for skip in unified.skipped)
        yield "\t".join((
            str(number), raw.page_id, page.run_id, page.task_id, text(raw.source), text(raw.dataset), text(raw.stream), str(raw.page_no), str(raw.record_count),
            text(raw.fetched_at), str(unified.raw_time), raw_text(raw.origin), raw_text(raw.context), raw_text(raw.records), json_text(raw.rejections or None),
            raw_text(raw.cursor_before), raw_text(raw.cursor_after), topic, str(unified.raw_partition), str(unified.raw_offset),
            str(len(unified.skipped)), str(page.rejected_count()), json_text(reasons), str(unified.normalizer_version),
            f"{{{','.join(page.ids)}}}", f"{{{','.join(map(str, page.hashes))}}}", raw.run_id, raw.task_id,
            text(unified.replay and unified.replay.symbol) + "\n",
        ))  # fmt: skip
