"""RSS 0.9x–2.0, RDF, Atom and JSON feeds, one stream each. Only new or changed entries are published.

Cursor: the answer's validators (for a conditional GET), the hash of each entry seen, newest last, and what the feed said about
asking again: not before a time, at another address, never.
"""

from __future__ import annotations

import asyncio
import calendar
import hashlib
import re
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import feedparser

from services.extractor.settings import Feed
from services.extractor.sources.base import Slice, SourceConnector, StreamInfo, canonical, paginate
from services.extractor.sources.coinpaprika.coin_list import CoinList
from services.extractor.sources.feeds.json_feed import parse as parse_json_feed
from services.extractor.sources.feeds.limits import MAX_ENTRIES, bounded, refuse_entries
from services.extractor.sources.http_client import Answer, HttpClient, RetryableError
from shared.errors import TaskError
from shared.messages.base import Json, Source

MAX_FRESH_S = 3600
FIRST_WAIT_S, MAX_WAIT_S = 60, 3600  # of a feed that fails again
_ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, application/xml, text/xml, */*;q=0.5"
REMEMBERED = MAX_ENTRIES


class Rss(SourceConnector):
    """Source `rss`; the dataset is the feed's name."""

    name = Source.RSS

    def __init__(self, http: HttpClient, feeds: list[Feed], coins: CoinList | None = None) -> None:
        """`coins`: beyond the built-in ones, those that pages may name."""
        self._http, self._feeds, self._coins = http, {feed.name: feed for feed in feeds}, coins

    async def streams(self) -> list[StreamInfo]:
        return [StreamInfo(f"{self.name}/{name}", name) for name in self._feeds]

    def nothing_configured(self) -> str:
        return "RSS_FEEDS is empty"

    async def fetch(self, info: StreamInfo, cursor: Any | None, *, resumed: bool = False) -> AsyncIterator[Slice]:
        known: Json = cursor if isinstance(cursor, dict) else {}
        feed = self._feeds[info.dataset]
        if why := _not_now(known, feed.url):
            yield Slice([], known, note=why)
            return
        try:
            answer = await self._http.get(_address(known, feed.url), headers=_conditions(known), accept=_ACCEPT)
        except TaskError as error:
            yield Slice([], {**known, **_after(error, known, feed.url)})
            raise
        known = {
            **{name: value for name, value in known.items() if name != "failures"},
            "not_before": None,
            "moved": {"from": feed.url, "to": answer.moved_to} if answer.moved_to else known.get("moved"),
        }
        if answer.status == 304:
            yield Slice([], {**known, "not_before": _fresh_until(answer, None)}, note="the feed has not changed (304)")
            return
        parsed = await asyncio.to_thread(parse_feed, answer)
        seen: dict[str, str] = dict(known.get("seen") or {})
        first = {
            key: (key, digest, entry) for key, digest, entry in map(_identified, reversed(parsed["entries"]))
        }  # of one identity, the uppermost
        fresh = [found for found in reversed(first.values()) if seen.get(found[0]) != found[1]]
        context = {"format": parsed["format"], "title": parsed["title"], "language": parsed["language"]}
        validators: Json = {n: answer.headers[n] for n in ("etag", "last-modified") if n in answer.headers}
        validators |= {"moved": known["moved"], "not_before": _fresh_until(answer, parsed["ttl"])}
        digests = {key: digest for key, digest, _ in fresh}
        pages = list(paginate([{**entry, "key": key} for key, _, entry in reversed(fresh)]))  # oldest first: the newest wins
        for number, (records, rejections) in enumerate(pages, 1):
            for record in records:
                seen.pop(record["key"], None)
                seen[record["key"]] = digests[record["key"]]
            # The validators only once all is published: a 304 must not hide what a crash left behind.
            position = {"seen": dict(list(seen.items())[-REMEMBERED:]), **(validators if number == len(pages) else {})}
            named = self._coins.mentioned(_texts(records)) if self._coins else []
            yield Slice(records, position, {**context, **({"coins": named} if named else {})}, answer.origin(), rejections)
        if not pages:
            yield Slice([], {"seen": seen, **validators}, note="the feed has no new entries")


def _texts(entries: list[Json]) -> Iterator[str]:
    for entry in entries:
        contents = [content.get("value") for content in entry.get("content") or [] if isinstance(content, dict)]
        yield from (text for text in (entry.get("title"), entry.get("summary"), *contents) if isinstance(text, str))


def _not_now(known: Json, url: str) -> str | None:
    """A sentence where the feed must not be asked yet. Raises TaskError `gone` where it must not be asked again."""
    if known.get("gone") == url:
        raise TaskError(
            "gone", f"{url} answered 410 (gone) and is not asked any more: take it out of RSS_FEEDS, or read it with full_refresh"
        )
    until = str(known.get("not_before") or "")
    if until <= _clock(0):
        return None
    why = f"it failed {known['failures']} times in a row; full_refresh asks at once" if known.get("failures") else "it said so"
    return f"the feed is not asked again before {until}: {why}"


def _after(error: TaskError, known: Json, url: str) -> Json:
    """What an error means for the next time: what the server named, else twice as long as the time before, up to an hour, for ever."""
    if error.code == "gone":
        return {"gone": url}
    failures = int(known.get("failures") or 0) + 1
    wait = (error.wait_s if isinstance(error, RetryableError) else None) or (
        min(FIRST_WAIT_S * 2 ** min(failures - 2, 20), MAX_WAIT_S) if failures > 1 else 0
    )
    return {"failures": failures, "not_before": _clock(wait) if wait else None}


def _address(known: Json, url: str) -> str:
    moved = known.get("moved") or {}
    return str(moved["to"]) if moved.get("from") == url else url


def _fresh_until(answer: Answer, ttl: object) -> str | None:
    """Until when another request would be answered alike: `max-age` of Cache-Control, or the feed's own `ttl` in minutes."""
    found = re.search(r"max-age=(\d{1,9})", answer.headers.get("cache-control", ""))
    seconds = int(found[1]) - int(answer.headers.get("age", "0")[:9] if answer.headers.get("age", "0").isdigit() else 0) if found else 0
    if isinstance(ttl, str) and ttl.strip().isdigit():
        seconds = max(seconds, 60 * int(ttl.strip()[:6]))
    return _clock(min(seconds, MAX_FRESH_S)) if seconds > 0 else None


def _clock(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _conditions(known: Json) -> dict[str, str]:
    names = {"etag": "if-none-match", "last-modified": "if-modified-since"}
    return {header: str(known[name]) for name, header in names.items() if known.get(name)}


def parse_feed(answer: Answer) -> Json:
    """Entries as plain JSON values. Raises TaskError `not_a_feed` saying what came, `limit_exceeded` for too many entries.

    A feed that is not well-formed keeps the entries that could be read (feedparser's `bozo`).
    """
    if (json_feed := parse_json_feed(answer.body)) is not None:
        refuse_entries(answer.url, len(json_feed["entries"]))
        return json_feed
    body = bounded(answer)
    headers = {"content-type": answer.headers.get("content-type", ""), "content-location": answer.url}
    parsed: Any = feedparser.parse(body, response_headers=headers) if body.strip() else {}
    if not parsed.get("version"):
        start = answer.body[:80].decode("utf-8", "replace").strip()
        kind = answer.headers.get("content-type", "no content type")
        raise TaskError("not_a_feed", f"{answer.url} is no feed: it is {len(answer.body)} bytes of {kind} beginning {start!r}")
    return {
        "format": parsed.version,
        "title": parsed.feed.get("title"),
        "language": parsed.feed.get("language"),
        "ttl": parsed.feed.get("ttl"),
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
    """(identity, hash of the content, entry). Identity: guid → link → title and date. Parameters that track readers are no part of either."""
    name = entry.get("id") or entry.get("link") or f"{entry.get('title')}\x1f{entry.get('published') or entry.get('updated')}"
    key = hashlib.sha256(untracked(str(name)).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    content = {n: untracked(value) if isinstance(value, str) else value for n, value in entry.items() if n != "links"}
    return key, hashlib.sha256(canonical(content)[0]).hexdigest()[:16], entry


def untracked(text: str) -> str:
    """An address without the parameters that only say where a reader came from."""
    page, mark, rest = text.partition("?")
    query, hash_, fragment = rest.partition("#")
    kept = "&".join(part for part in query.split("&") if not _TRACKING.match(part))
    return f"{page}{mark if kept else ''}{kept}{hash_}{fragment}"


_TRACKING = re.compile(r"(?:utm_\w+|fbclid|gclid|mc_[ce]id|cmpid|igshid|ref_src)=")
