"""RSS 0.9x–2.0, RDF, Atom and JSON feeds, one stream each. Only new or changed entries count.

Cursor: the answer's validators (for a conditional GET), the hash of each entry seen, newest last,
names that several entries share, and what the feed said about asking again: not before a time, at
another address, never.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from services.extractor.settings import Feed
from services.extractor.sources.base import (
    Slice,
    SourceConnector,
    StreamInfo,
    paginate,
)
from services.extractor.sources.coinpaprika.coin_list import CoinList
from services.extractor.sources.feeds import schedule
from services.extractor.sources.feeds.identity import Entry, identified
from services.extractor.sources.feeds.limits import MAX_ENTRIES
from services.extractor.sources.feeds.parse import parse_feed
from services.extractor.sources.http_client import (
    Answer,
    HttpClient,
    http_date,
    picked,
)
from shared.errors import TaskError
from shared.messages.base import Json, Source

if TYPE_CHECKING:
    from services.extractor.sources.registry import SourceParts

REMEMBERED = MAX_ENTRIES
NOTHING_NEW = "the feed has no new entries"
NO_ENTRIES = "the feed has no entries"
VALIDATORS = {
    "etag": "if-none-match",
    "last-modified": "if-modified-since",
}
_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/xml, text/xml, "
    "*/*;q=0.5"
)


class Rss(SourceConnector):
    """Source `rss`; the dataset is the feed's name."""

    name = Source.RSS

    def __init__(
        self,
        http: HttpClient,
        feeds: list[Feed],
        coins: CoinList | None = None,
    ) -> None:
        """`coins`: beyond the built-in ones, those that pages may name."""
        self._http = http
        self._feeds = {feed.name: feed for feed in feeds}
        self._coins = coins

    async def streams(self) -> list[StreamInfo]:
        return [
            StreamInfo(f"{self.name}/{name}", name)
            for name in self._feeds
        ]

    def nothing_configured(self) -> str:
        return "RSS_FEEDS is empty"

    async def fetch(
        self,
        info: StreamInfo,
        cursor: Any | None,
        *,
        resumed: bool = False,
    ) -> AsyncIterator[Slice]:
        known: Json = cursor if isinstance(cursor, dict) else {}
        url = self._feeds[info.dataset].url
        reason = schedule.not_now(known, url)
        if reason:
            yield Slice([], known, note=reason)
            return
        try:
            answer = await self._ask(known, url)
        except TaskError as error:
            yield Slice(
                [], {**known, **schedule.after_error(error, known, url)}
            )
            raise
        known = schedule.after_answer(answer, known, url)
        if answer.status == 304:
            position = {
                **known,
                "not_before": schedule.fresh_until(answer, None),
            }
            yield Slice(
                [], position, note="the feed has not changed (304)"
            )
            return
        feed = await asyncio.to_thread(parse_feed, answer)
        for piece in self._slices(answer, feed, known):
            yield piece

    async def _ask(self, known: Json, url: str) -> Answer:
        conditions = {
            header: str(known[name])
            for name, header in VALIDATORS.items()
            if known.get(name)
        }
        address = schedule.address(known, url)
        return await self._http.get(
            address, headers=conditions, accept=_ACCEPT
        )

    def _slices(
        self, answer: Answer, feed: Json, known: Json
    ) -> Iterator[Slice]:
        seen: dict[str, str] = dict(known.get("seen") or {})
        found = identified(
            feed["entries"], seen, known.get("shared") or ()
        )
        # Oldest first, so that the newest wins.
        fresh = [
            entry
            for entry in reversed(found.entries)
            if seen.get(entry.key) != entry.digest
        ]
        shared = {"shared": sorted(found.shared)[:REMEMBERED]}
        last = {**_validators(answer, feed, known), **shared}
        for note in (*feed["notes"], *_note_of_copies(found.copies)):
            yield Slice([], {"seen": seen}, note=note)
        if not fresh:
            note = NOTHING_NEW if feed["entries"] else NO_ENTRIES
            yield Slice([], {"seen": seen, **last}, note=note)
            return
        yield from self._pages(answer, feed, fresh, seen, last)

    def _pages(
        self,
        answer: Answer,
        feed: Json,
        fresh: list[Entry],
        seen: dict[str, str],
        last: Json,
    ) -> Iterator[Slice]:
        """Pages of new entries. `last`: what the cursor says only when all of them are published.

        Else a 304 would hide what a crash left behind.
        """
        digests = {entry.key: entry.digest for entry in fresh}
        pages = list(
            paginate(
                [{**entry.value, "key": entry.key} for entry in fresh]
            )
        )
        for number, (records, rejections) in enumerate(pages, 1):
            for record in records:
                seen.pop(record["key"], None)
                seen[record["key"]] = digests[record["key"]]
            position: Json = {
                "seen": dict(list(seen.items())[-REMEMBERED:])
            }
            if number == len(pages):
                position |= last
            context = self._context(feed, records)
            yield Slice(
                records, position, context, answer.origin(), rejections
            )

    def _context(self, feed: Json, records: list[Json]) -> Json:
        context = {
            name: feed[name] for name in ("format", "title", "language")
        }
        mentioned = (
            self._coins.mentioned(_texts(records)) if self._coins else []
        )
        if mentioned:
            context["coins"] = mentioned
        return context


def build(parts: SourceParts) -> Rss:
    return Rss(parts.http, parts.settings.rss_feeds, parts.coins)


def _note_of_copies(copies: list[str]) -> Iterator[str]:
    if copies:
        shown = ", ".join(repr(title[:60]) for title in copies[:3])
        more = " …" if len(copies) > 3 else ""
        yield (
            "entries that equal another of the feed in everything count once; left out: "
            f"{len(copies)} ({shown}{more})"
        )


def _validators(answer: Answer, feed: Json, known: Json) -> Json:
    validators = picked(answer.headers, VALIDATORS)
    if _is_future(validators.get("last-modified")):
        # Sent back, it would be answered by 304 until then.
        del validators["last-modified"]
    return {
        **validators,
        "moved": known["moved"],
        "not_before": schedule.fresh_until(answer, feed["ttl"]),
    }


def _is_future(date: str | None) -> bool:
    moment = http_date(date) if date is not None else None
    return moment is not None and moment > datetime.now(UTC)


def _texts(entries: list[Json]) -> Iterator[str]:
    for entry in entries:
        texts = [entry.get("title"), entry.get("summary")]
        yield from filter(_is_text, [*texts, *_contents(entry)])


def _contents(entry: Json) -> Iterator[Any]:
    for content in entry.get("content") or []:
        if isinstance(content, dict):
            yield content.get("value")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
