"""Raw pages that are published a second time, for a repair or a requeue.

Headers mark them, so that nobody takes them for a stream's newest page, and carry where and when the records first lay in
ingest.raw, so that they never overwrite what is newer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.serialization import Headers

_MARK, _OFFSET, _TIME = "republished", "first_offset", "first_time_ms"


@dataclass(frozen=True)
class Place:
    """Where a page first lay in its partition, and the broker's time of it."""

    offset: int
    time_ms: int


def marked(headers: Headers, first: Place | None) -> Headers:
    """Headers of a page that is published again. `first` None: it was read anew from its source."""
    kept = [(name, value) for name, value in headers if name not in (_MARK, _OFFSET, _TIME)]
    place = [] if first is None else [(_OFFSET, str(first.offset).encode()), (_TIME, str(first.time_ms).encode())]
    return [*kept, (_MARK, b"1"), *place]


def is_republished(headers: Any) -> bool:
    """Whether a raw page is one that was published before or stands in for one. `headers` as aiokafka or Faust give them."""
    return _MARK in dict(headers or ())


def place_of(headers: Any, here: Place) -> Place:
    """Where a raw page first lay: `here`, unless its headers say otherwise."""
    known = dict(headers or ())
    offset, time = known.get(_OFFSET) or b"", known.get(_TIME) or b""
    return Place(int(offset), int(time)) if offset.isdigit() and time.isdigit() else here
