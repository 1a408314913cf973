"""Pages of raw records, and what they become."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from shared.messages.asked import Asked, is_moment
from shared.messages.base import (
    Count,
    Id,
    Json,
    Message,
    Millis,
    Name,
    Offset,
    Partition,
    Stage,
)
from shared.messages.points import Points, UnifiedData


class DatedBy(StrEnum):
    """What dates a piece of news that does not say its time: that of the first sight."""

    FETCHED = "fetched"
    UNREADABLE_DATE = "unreadable_date"


class Rejection(Message, frozen=True):
    """Records that could not be processed, with the reason.

    `index` None: before the record had a place in its page. `count` > 1: the whole page failed
    alike; `payload` then holds a few samples.
    """

    reason: Name
    message: str
    index: Count | None = None
    field: str | None = None
    origin: Json | None = None  # line and row of a file, id of an entry
    payload: str | None = None
    count: Count = 1
    stage: str = Stage.MAP
    payload_sha256: str | None = (
        None  # of the whole, where `payload` is its beginning
    )
    event_time: str | None = None  # of the record, where it can be read
    last_event_time: str | None = None  # of the last of several

    def __post_init__(self) -> None:
        """Raises ValueError, which decoding tells as its own error."""
        _check_moments(self.event_time, self.last_event_time)


def count_of(rejections: Iterable[Rejection]) -> int:
    """How many records were rejected: one rejection may stand for many."""
    return sum(rejection.count for rejection in rejections)


class Skip(Message, frozen=True):
    """A record that carries nothing to load, with the reason. Not an error.

    `name`: of the record, such as a coin's id or a line; of the first few of a page only.
    `event_time`: where it can be read.
    """

    index: Count
    reason: Name
    name: str | None = None
    event_time: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, which decoding tells as its own error."""
        _check_moments(self.event_time)


def _check_moments(*moments: str | None) -> None:
    """What a foreign message says must be a time."""
    for moment in moments:
        if moment is not None and not is_moment(moment):
            raise ValueError(f"{moment[:40]!r} is no time")


class RawPage(Message, frozen=True, tag="RawPage"):
    """One fetch's answer or one slice of a file: raw records, decoded in syntax only.

    `records`: a JSON array. `context`: what the whole file or answer says about them, all that a
    mapping may conclude from. `rejections`: records that could not even be decoded. `after_ms`: the
    time of the stream's page before, where pages of the stream may lie in several partitions: this
    one's place is behind it. None: they lie in one, in their order.
    """

    page_id: Id
    run_id: Id
    task_id: Id
    source: Name
    dataset: Name
    stream: Name
    page_no: Count
    records: msgspec.Raw
    record_count: Count
    context: msgspec.Raw
    origin: msgspec.Raw
    fetched_at: str  # the extractor's clock, informational
    cursor_before: msgspec.Raw
    cursor_after: msgspec.Raw
    rejections: list[Rejection] = []
    asked: list[Asked] = []  # the times that the answer was asked for
    after_ms: Millis | None = None


def place_ms(broker_ms: int, after_ms: int | None) -> int:
    """The time of a page's place, in ms."""
    return broker_ms if after_ms is None else max(broker_ms, after_ms + 1)


class ReplayOf(Message, frozen=True):
    """The replay that a page is part of. `mode` and `symbol` as it was asked for."""

    run_id: Id
    task_id: Id
    mode: str
    symbol: str | None = None


class ReplayPage(Message, frozen=True, tag="ReplayPage"):
    """A raw page read again, with its place in ingest.raw when it was first published."""

    replay: ReplayOf
    raw: msgspec.Raw  # the RawPage as it was published
    raw_partition: Partition
    raw_offset: Offset
    raw_time: Millis  # the broker's, ms since the epoch


class UnifiedPage(Message, frozen=True, tag="UnifiedPage"):
    """What a raw page became, with the raw page as it came.

    Its records = records of the data points + skipped + rejected. `events`: the data points as
    version 1 of the messages had them; `points` in their place since version 2.
    """

    page_id: Id
    record_count: Count
    raw: msgspec.Raw  # the RawPage
    raw_partition: Partition
    raw_offset: Offset
    raw_time: Millis  # the broker's, ms since the epoch
    normalizer_version: int
    points: Points = Points()
    events: list[UnifiedData] = []
    skipped: list[Skip] = []
    rejected: list[Rejection] = []
    replay: ReplayOf | None = None
    republished: bool = False  # its place is that of what first lay there


def record_location(origin: Json, index: int) -> dict[str, object]:
    """Path, line and row of a record of a file; of other sources its index in the page."""
    if "first_row" not in origin:
        return {"index": index}
    line = origin.get("first_line", 0) + index
    lines = origin.get("lines")
    if lines and index < len(lines):
        line = lines[index]
    row = origin["first_row"] + index
    if (
        "rows" in origin
    ):  # records of a requeued page do not follow each other
        row = origin["rows"][index]
    return {"path": origin.get("path"), "row": row, "line": line}
