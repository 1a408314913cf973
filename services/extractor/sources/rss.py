"""RSS 0.9x–2.0, RDF and Atom feeds, one stream each. Only new or changed entries are published.

Cursor: the answer's validators (for a conditional GET) and the hash of each entry seen, newest last.
"""

from __future__ import annotations

import asyncio
import calendar
import hashlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import feedparser

from services.extractor.http_client import Answer, HttpClient
from services.extractor.settings import Feed
from services.extractor.sources.base import Slice, StreamInfo, canonical, paginate
from shared.errors import TaskError
from shared.events import Json, Source

MAX_ENTRIES = 5_000
REMEMBERED = MAX_ENTRIES


class Rss:
    """Source `rss`; the dataset is the feed's name."""

    name = Source.RSS

    def __init__(self, http: HttpClient, feeds: list[Feed]) -> None:
        self._http, self._feeds = http, {feed.name: feed for feed in feeds}

    async def streams(self) -> list[StreamInfo]:
        return [StreamInfo(f"{self.name}/{name}", name) for name in self._feeds]

    def nothing_configured(self) -> str:
        return "RSS_FEEDS is empty"

    async def fetch(self, info: StreamInfo, cursor: Any | None, *, resumed: bool = False) -> AsyncIterator[Slice]:
        known: Json = cursor if isinstance(cursor, dict) else {}
        feed = self._feeds[info.dataset]
        answer = await self._http.get(
            feed.url, headers=_conditions(known), accept="application/atom+xml, application/rss+xml, application/xml, text/xml, */*;q=0.5"
        )
        if answer.status == 304:
            yield Slice([], known, note="the feed has not changed (304)")
            return
        parsed = await asyncio.to_thread(parse_feed, answer)
        seen: dict[str, str] = dict(known.get("seen") or {})
        first = {
            key: (key, digest, entry) for key, digest, entry in map(_identified, reversed(parsed["entries"]))
        }  # of one identity, the uppermost
        fresh = [found for found in reversed(first.values()) if seen.get(found[0]) != found[1]]
        context = {"format": parsed["format"], "title": parsed["title"], "language": parsed["language"]}
        validators = {n: answer.headers[n] for n in ("etag", "last-modified") if n in answer.headers}
        digests = {key: digest for key, digest, _ in fresh}
        pages = list(paginate([{**entry, "key": key} for key, _, entry in reversed(fresh)]))  # oldest first: the newest wins
        for number, (records, rejections) in enumerate(pages, 1):
            for record in records:
                seen.pop(record["key"], None)
                seen[record["key"]] = digests[record["key"]]
            # The validators only once all is published: a 304 must not hide what a crash left behind.
            position = {"seen": dict(list(seen.items())[-REMEMBERED:]), **(validators if number == len(pages) else {})}
            yield Slice(records, position, context, answer.origin(), rejections)
        if not pages:
            yield Slice([], {"seen": seen, **validators}, note="the feed has no new entries")


def _conditions(known: Json) -> dict[str, str]:
    names = {"etag": "if-none-match", "last-modified": "if-modified-since"}
    return {header: str(known[name]) for name, header in names.items() if known.get(name)}


def parse_feed(answer: Answer) -> Json:
    """Entries as plain JSON values. Raises TaskError `not_a_feed` saying what came, `limit_exceeded` for too many entries.

    A feed that is not well-formed keeps the entries that could be read (feedparser's `bozo`).
    """
    headers = {"content-type": answer.headers.get("content-type", ""), "content-location": answer.url}
    parsed: Any = feedparser.parse(answer.body, response_headers=headers) if answer.body.strip() else {}
    if not parsed.get("version"):
        start = answer.body[:80].decode("utf-8", "replace").strip()
        kind = answer.headers.get("content-type", "no content type")
        raise TaskError("not_a_feed", f"{answer.url} is no feed: it is {len(answer.body)} bytes of {kind} beginning {start!r}")
    if len(parsed.entries) > MAX_ENTRIES:
        raise TaskError("limit_exceeded", f"{answer.url} has {len(parsed.entries)} entries, at most {MAX_ENTRIES} are read")
    return {
        "format": parsed.version,
        "title": parsed.feed.get("title"),
        "language": parsed.feed.get("language"),
        "entries": [plain(entry) for entry in parsed.entries],
    }


def plain(value: Any) -> Any:
    """feedparser's values as JSON: times as ISO 8601 UTC, everything unknown as text."""
    if isinstance(value, time.struct_time):
        try:
            return datetime.fromtimestamp(calendar.timegm(value), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        except (ValueError, OverflowError, OSError):
            return None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _identified(entry: Json) -> tuple[str, str, Json]:
    """(identity, hash of the content, entry). Identity: guid → link → title and date."""
    name = entry.get("id") or entry.get("link") or f"{entry.get('title')}\x1f{entry.get('published') or entry.get('updated')}"
    key = hashlib.sha256(str(name).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    digest = hashlib.sha256(canonical(entry)[0]).hexdigest()[:16]
    return key, digest, entry
