"""A unified page ready to be written: its data points as rows in COPY's text format.

Pure: nothing here knows a database.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import msgspec

from shared.identity import point_ids
from shared.identity.windows import series_stream
from shared.messages.base import MAX_PAYLOAD, Stage
from shared.messages.pages import (
    RawPage,
    Rejection,
    Skip,
    UnifiedPage,
    count_of,
)
from shared.messages.points import (
    SERIES_COLUMNS,
    Points,
    Texts,
    TimestampIs,
    UnifiedData,
)
from shared.messages.serialization import (
    decode,
    encode,
    raw_page_decoder,
    unified_page_decoder,
)
from shared.values.times import from_ms

Label = tuple[str | None, ...]  # in the order of SERIES_COLUMNS
NULL = "\\N"
_ESCAPES = str.maketrans(
    {
        "\\": "\\\\",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\b": "\\b",
        "\f": "\\f",
        "\v": "\\v",
    }
)

_SPECIAL = bytes(_ESCAPES)
_BAD_ID = "its time cannot be read, or its id does not begin with it"
_NOTHING = msgspec.Raw(b"null")


@dataclass
class StagedPage:
    """A page ready to be written. `load_rejections`: records that loading had to reject.

    The data points are kept as what COPY and the receipt need of them, side by side: identity,
    record, hash of the values, texts of the series, and row. `series`: the numbers of their series,
    once they are known. They are made here so that it is done while another batch
    is written, and so that two batches fit into memory.
    """

    unified: UnifiedPage  # without its data points
    raw: RawPage
    ids: list[str]
    records: list[int]
    hashes: list[int]
    labels: list[Label]
    rows: list[str]
    series: list[int] = field(default_factory=list)
    load_rejections: list[Rejection] = field(default_factory=list)
    is_bare: bool = (
        False  # what it says of itself cannot be stored either
    )

    @classmethod
    def from_message(cls, value: bytes | None) -> StagedPage:
        """Raises UndecodableError."""
        unified = decode(unified_page_decoder, value)
        points = unified.points
        if unified.events:  # of version 1 of the messages
            events = unified.events
            if unified.normalizer_version < point_ids.FIRST_VERSION:
                events = list(map(_with_id_of_today, events))
            points = Points.of(events)
        bad = _inconsistent(points)
        raw = decode(raw_page_decoder, bytes(unified.raw))
        page = cls(
            msgspec.structs.replace(
                unified, points=Points(), events=[], raw=msgspec.Raw()
            ),
            raw,
            points.id,
            list(points.column("record_index")),
            points.value_hash,
            _labels(raw, points),
            _point_rows(points),
        )
        return page.without(bad, "bad_identity", _BAD_ID) if bad else page

    @property
    def page_id(self) -> str:
        return self.raw.page_id

    @property
    def run_id(self) -> str:
        """The run that writes it: its own, or a replay."""
        replay = self.unified.replay
        return self.raw.run_id if replay is None else replay.run_id

    @property
    def task_id(self) -> str:
        replay = self.unified.replay
        return self.raw.task_id if replay is None else replay.task_id

    @property
    def is_refused(self) -> bool:
        """Whether the page was refused as a whole already."""
        return not self.ids and any(
            map(_is_of_whole_page, self.load_rejections)
        )

    def rejections(self) -> list[Rejection]:
        return [*self.unified.rejected, *self.load_rejections]

    def rejected_count(self) -> int:
        return count_of(self.rejections())

    def without(
        self, bad: set[int], reason: str, message: str
    ) -> StagedPage:
        """The page with the data points at these positions turned into rejections of records."""
        dropped = {self.records[position] for position in bad}
        kept = [
            n
            for n, record in enumerate(self.records)
            if record not in dropped
        ]
        rejections = [
            Rejection(
                reason=reason,
                message=message,
                index=index,
                stage=Stage.LOAD,
            )
            for index in sorted(dropped)
        ]
        return dataclasses.replace(
            self,
            ids=[self.ids[n] for n in kept],
            records=[self.records[n] for n in kept],
            hashes=[self.hashes[n] for n in kept],
            labels=[self.labels[n] for n in kept],
            rows=[self.rows[n] for n in kept],
            series=[],
            load_rejections=[*self.load_rejections, *rejections],
        )

    def without_points(self) -> StagedPage:
        return dataclasses.replace(
            self,
            ids=[],
            records=[],
            hashes=[],
            labels=[],
            rows=[],
            series=[],
        )

    def superseded(self) -> StagedPage:
        """The page with all its records skipped: when it came, another had taken its place."""
        left = range(self.raw.record_count - self.rejected_count())
        skipped = [
            Skip(index=index, reason="superseded_page") for index in left
        ]
        unified = msgspec.structs.replace(self.unified, skipped=skipped)
        return dataclasses.replace(self.without_points(), unified=unified)

    def refused(self, reason: str, message: str) -> StagedPage:
        """The page with everything rejected.

        Its records are kept as a text: they cannot be stored as JSON.
        """
        shown = (
            bytes(self.raw.records)
            .decode("utf-8", "replace")
            .replace("\\u0000", "\ufffd")
        )
        whole = Rejection(
            reason=reason,
            message=message,
            count=self.raw.record_count,
            payload=shown[:MAX_PAYLOAD],
            stage=Stage.LOAD,
        )
        records = msgspec.Raw(encode({"refused": shown}))
        raw = msgspec.structs.replace(
            self.raw, records=records, context=_NOTHING
        )
        unified = msgspec.structs.replace(
            self.unified, skipped=[], rejected=[]
        )
        return dataclasses.replace(
            self.without_points(),
            unified=unified,
            raw=raw,
            load_rejections=[whole],
        )

    def bare(self) -> StagedPage:
        """A refused page without what it says of its fetch: its run must end all the same."""
        raw = msgspec.structs.replace(
            self.raw,
            fetched_at=from_ms(self.unified.raw_time).isoformat(),
            origin=msgspec.Raw(b"{}"),
            cursor_before=_NOTHING,
            cursor_after=_NOTHING,
            rejections=[],
        )
        return dataclasses.replace(self, raw=raw, is_bare=True)


def _with_id_of_today(event: UnifiedData) -> UnifiedData:
    """A data point of an older mapping with the id that it has now, where its time can be read."""
    try:
        id_ = point_ids.point_id(event.kind, event.timestamp, event.id)
    except ValueError:
        return event
    return msgspec.structs.replace(
        event, id=id_, timestamp_is=_timestamp_is(event.kind)
    )


def _inconsistent(points: Points) -> set[int]:
    """The places of those whose id cannot be that of their time."""
    places = zip(
        points.id,
        points.column("kind"),
        points.column("timestamp"),
        strict=True,
    )
    return {
        n
        for n, place in enumerate(places)
        if not point_ids.is_consistent(*place)
    }


def _labels(raw: RawPage, points: Points) -> list[Label]:
    """The texts of each data point's series, the same ones once."""
    of_page = (raw.source, raw.dataset, series_stream(raw.stream))
    names = SERIES_COLUMNS[len(of_page) :]
    columns = [getattr(points, name) for name in names]
    if not any(isinstance(column, list) for column in columns):
        return [(*of_page, *columns)] * len(points)
    known: dict[Label, Label] = {}
    labels = []
    for own in zip(*map(points.column, names), strict=True):
        label = (*of_page, *own)
        labels.append(known.setdefault(label, label))
    return labels


def _timestamp_is(kind: str) -> str | None:
    """What older mappings did not say: only of a candle it is not known."""
    return None if kind == "candle" else TimestampIs.MOMENT


def _is_of_whole_page(rejection: Rejection) -> bool:
    return rejection.stage == Stage.LOAD and rejection.index is None


# -- cells in COPY's text format ------------------------------------------------------------------


def text(value: object) -> str:
    return NULL if value is None else str(value).translate(_ESCAPES)


def json_text(value: Any) -> str:
    return (
        NULL
        if value is None
        else encode(value).decode().translate(_ESCAPES)
    )


def raw_text(value: msgspec.Raw) -> str:
    encoded = bytes(value)
    return encoded.decode().translate(_ESCAPES) if encoded else NULL


def _array(values: list[str] | None) -> str:
    """A text[] literal; every element quoted."""
    if values is None:
        return NULL
    quoted = ",".join(map(_quoted, values))
    return f"{{{quoted}}}".translate(_ESCAPES)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# The cells of a data point behind those of its place and its series, in their order.
POINT_CELLS = (
    "id",
    "symbols",
    "timestamp",
    "price",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "market_cap",
    "base_volume",
    "quote_volume",
    "title",
    "url",
    "summary",
    "sentiment",
    "attributes",
    "value_hash",
    "record_index",
)
_WRITERS: dict[str, Callable[[Any], str]] = {
    "symbols": _array,
    "sentiment": text,
    "attributes": json_text,
    "value_hash": str,
    "record_index": str,
}


def _point_rows(points: Points) -> list[str]:
    """The `POINT_CELLS` of each data point."""
    columns = [_cells(points, name) for name in POINT_CELLS]
    return list(map("\t".join, zip(*columns, strict=True)))


def _cells(points: Points, name: str) -> Iterable[str]:
    column = getattr(points, name)
    write = _WRITERS.get(name)
    if write is None:
        return _texts(column, len(points))
    if column is None and name != "record_index":
        return repeat(NULL, len(points))
    return map(write, points.column(name))


def _texts(column: Texts, count: int) -> Iterable[str]:
    if not isinstance(column, list):
        return repeat(text(column), count)
    texts = [cell for cell in column if cell is not None]
    if _are_escaped("".join(texts)):
        return map(text, column)
    if len(texts) == count:
        return texts
    return map(_or_null, column)


def _or_null(cell: str | None) -> str:
    return NULL if cell is None else cell


def _are_escaped(texts: str) -> bool:
    """Whether anything in texts has a meaning of its own for COPY."""
    encoded = texts.encode("utf-8", "surrogatepass")
    return len(encoded.translate(None, _SPECIAL)) < len(encoded)
