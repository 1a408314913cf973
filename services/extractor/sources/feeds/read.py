"""A feed's answer as pages of its new entries. Done in a confined child process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from services.extractor.sources.answer import Answer
from services.extractor.sources.base import paginate
from services.extractor.sources.feeds.identity import (
    Entry,
    Identified,
    identified,
)
from services.extractor.sources.feeds.parse import parse_feed
from shared.messages.base import Json
from shared.messages.pages import Rejection
from shared.runtime.confined import MEGABYTE, Limits, Meter

MAX_BYTES = 8 * MEGABYTE  # of a feed; large ones have two
# Ordinary feeds take 0.1 s and 20 MB; 0.4 s a megabyte.
LIMITS = Limits(
    cpu_s=5.0, cpu_s_per_mb=1.0, memory=56 * MEGABYTE, answer=4 * MEGABYTE
)


@dataclass(frozen=True)
class FeedHead:
    """What a feed says as a whole. `context`: what its pages carry of that.

    `shared`: names that several entries have had. `is_empty`: it has no entries at all. `is_whole`:
    the XML was read to its end.
    """

    context: Json
    ttl: Any
    notes: list[str]
    shared: list[str]
    is_empty: bool
    is_whole: bool


@dataclass(frozen=True)
class FeedPage:
    """New entries, oldest first. `digests`: the hash of the content by identity."""

    records: list[Json]
    rejections: list[Rejection]
    digests: dict[str, str] = field(default_factory=dict)
    is_last: bool = False


def read_feed(
    meter: Meter,
    answer: Answer,
    seen: dict[str, str],
    shared: list[str],
) -> Iterator[FeedHead | FeedPage]:
    """The head, then pages of the entries that `seen` does not hold. Raises TaskError.

    `seen`: the content's hash by identity, of earlier answers. `shared`: names that several entries
    had before.
    """
    meter(len(answer.body))
    feed = parse_feed(answer)
    found = identified(feed["entries"], seen, shared)
    yield FeedHead(
        {name: feed[name] for name in ("format", "title", "language")},
        feed["ttl"],
        [*feed["notes"], *_note_of_copies(found.copies)],
        sorted(found.shared),
        not feed["entries"],
        feed["is_whole"],
    )
    yield from _pages(found, seen)


def _pages(found: Identified, seen: dict[str, str]) -> Iterator[FeedPage]:
    # Oldest first, so that the newest wins.
    fresh = [
        entry
        for entry in reversed(found.entries)
        if seen.get(entry.key) != entry.digest
    ]
    found.entries.clear()
    digests = {entry.key: entry.digest for entry in fresh}
    pages = list(paginate(list(map(_record, fresh))))
    for number, (records, rejections) in enumerate(pages, 1):
        held = {
            record["key"]: digests[record["key"]] for record in records
        }
        is_last = number == len(pages)
        yield FeedPage(records, rejections, held, is_last)


def _record(entry: Entry) -> Json:
    return {**entry.value, "key": entry.key}


def _note_of_copies(copies: list[str]) -> Iterator[str]:
    if copies:
        shown = ", ".join(repr(title[:60]) for title in copies[:3])
        more = " …" if len(copies) > 3 else ""
        yield (
            "entries that equal another of the feed in everything count once; left out: "
            f"{len(copies)} ({shown}{more})"
        )
