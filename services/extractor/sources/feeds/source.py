"""RSS 0.9x–2.0, RDF, Atom and JSON feeds, one stream each. Only new or changed entries count.

Cursor: the answer's validators (for a conditional GET), the hash of each entry seen, newest last,
and what the feed said about asking again: not before a time, at another address, never.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.extractor.settings import Feed
from services.extractor.sources.base import (
    Slice,
    SourceConnector,
    StreamInfo,
    canonical,
    paginate,
)
from services.extractor.sources.coinpaprika.coin_list import CoinList
from services.extractor.sources.feeds import schedule
from services.extractor.sources.feeds.limits import MAX_ENTRIES
from services.extractor.sources.feeds.parse import parse_feed
from services.extractor.sources.feeds.tracking import untracked
from services.extractor.sources.http_client import (
    Answer,
    HttpClient,
    picked,
)
from shared.errors import TaskError
from shared.messages.base import Json, Source

if TYPE_CHECKING:
    from services.extractor.sources.registry import SourceParts

REMEMBERED = MAX_ENTRIES
VALIDATORS = {"etag": "if-none-match", "last-modified": "if-modified-since"}
_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/xml, text/xml, "
    "*/*;q=0.5"
)


@dataclass(frozen=True)
class Entry:
    """An entry of a feed. `key`: its identity; `digest`: the hash of its content."""

    key: str
    digest: str
    value: Json


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
            StreamInfo(f"{self.name}/{name}", name) for name in self._feeds
        ]

    def nothing_configured(self) -> str:
        return "RSS_FEEDS is empty"

    async def fetch(
        self, info: StreamInfo, cursor: Any | None, *, resumed: bool = False
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
            yield Slice([], position, note="the feed has not changed (304)")
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
        fresh = new_entries(feed["entries"], seen)
        digests = {entry.key: entry.digest for entry in fresh}
        validators = _validators(answer, feed, known)
        pages = list(
            paginate([{**entry.value, "key": entry.key} for entry in fresh])
        )
        for number, (records, rejections) in enumerate(pages, 1):
            for record in records:
                seen.pop(record["key"], None)
                seen[record["key"]] = digests[record["key"]]
            position: Json = {
                "seen": dict(list(seen.items())[-REMEMBERED:])
            }
            if number == len(pages):
                # Only once all is published: a 304 must not hide what a crash left behind.
                position |= validators
            context = self._context(feed, records)
            yield Slice(
                records, position, context, answer.origin(), rejections
            )
        if not pages:
            position = {"seen": seen, **validators}
            yield Slice([], position, note="the feed has no new entries")

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


def new_entries(entries: list[Json], seen: dict[str, str]) -> list[Entry]:
    """The entries that are new or changed, oldest first, so that the newest wins.

    Of several with one identity the uppermost counts.
    """
    uppermost: dict[str, Entry] = {}
    for value in reversed(entries):
        entry = identified(value)
        uppermost[entry.key] = entry
    return [
        entry
        for entry in uppermost.values()
        if seen.get(entry.key) != entry.digest
    ]


def identified(entry: Json) -> Entry:
    """The entry with its identity: guid, else link, else title and date.

    Parameters that track readers are part of neither the identity nor the hash.
    """
    dated = f"{entry.get('title')}\x1f{entry.get('published') or entry.get('updated')}"
    name = untracked(str(entry.get("id") or entry.get("link") or dated))
    key = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[
        :32
    ]
    content = {
        field: untracked(value) if isinstance(value, str) else value
        for field, value in entry.items()
        if field != "links"
    }
    digest = hashlib.sha256(canonical(content)[0]).hexdigest()[:16]
    return Entry(key, digest, entry)


def _validators(answer: Answer, feed: Json, known: Json) -> Json:
    return {
        **picked(answer.headers, VALIDATORS),
        "moved": known["moved"],
        "not_before": schedule.fresh_until(answer, feed["ttl"]),
    }


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
