"""RSS 0.9x–2.0, RDF, Atom and JSON feeds, one stream each. Only new or changed entries count.

Cursor: the answer's validators (for a conditional GET), the hash of each entry seen, newest last,
names that several entries share, and what the feed said about asking again: not before a time, at
another address, never.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Generator, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from services.extractor.settings import Feed
from services.extractor.sources import back_off
from services.extractor.sources.answer import Answer, picked
from services.extractor.sources.base import (
    Slice,
    SourceConnector,
    StreamInfo,
)
from services.extractor.sources.coinpaprika.coin_list import CoinList
from services.extractor.sources.feeds import schedule
from services.extractor.sources.feeds.limits import MAX_ENTRIES
from services.extractor.sources.feeds.read import (
    LIMITS,
    MAX_BYTES,
    FeedHead,
    FeedPage,
    read_feed,
)
from services.extractor.sources.http_client import HttpClient, http_date
from shared.configuration.effective import Effective
from shared.errors import TaskError
from shared.messages.asked import Asked, AskedOutcome, asked_now
from shared.messages.base import Json, Source
from shared.runtime.confined import Confined

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
        self._feeds = {feed.name: feed.url for feed in feeds}
        self._coins = coins
        self._confined = Confined([read_feed.__module__])
        self._turn = asyncio.Lock()

    def configure(self, effective: Effective) -> None:
        self._feeds = effective.feeds()

    async def streams(self) -> list[StreamInfo]:
        return [
            StreamInfo(f"{self.name}/{name}", name)
            for name in self._feeds
        ]

    def cursor_to_keep(self, cursor: Json) -> Json:
        """What was seen, and the validators; not the address that the feed has moved to."""
        seen = cursor.get("seen")
        shared = cursor.get("shared")
        return {
            **back_off.without_failures(cursor),
            "seen": seen if isinstance(seen, dict) else {},
            "shared": list(filter(_is_text, shared))
            if isinstance(shared, list)
            else [],
            "moved": None,
        }

    def asked_in_vain(
        self, _info: StreamInfo, _cursor: Any | None, reason: str
    ) -> list[Asked]:
        return [asked_now(AskedOutcome.FAILED, reason)]

    def nothing_configured(self) -> str:
        return "RSS_FEEDS is empty"

    async def fetch(
        self,
        info: StreamInfo,
        cursor: Any | None,
        *,
        resumed: bool = False,
    ) -> AsyncIterator[Slice]:
        url = self._feeds[info.dataset]
        known = schedule.of_address(
            cursor if isinstance(cursor, dict) else {}, url
        )
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
                [],
                position,
                note="the feed has not changed (304)",
                asked=[asked_now()],
            )
            return
        async with self._turn:
            pieces = self._read(answer, known)
            slices = self._slices(answer, known, pieces)
            try:
                while (
                    piece := await asyncio.to_thread(next, slices, None)
                ) is not None:
                    yield piece
            finally:
                await asyncio.to_thread(slices.close)
                # An error holds what was read in a circle, and circles are looked for rarely.
                gc.collect()

    async def _ask(self, known: Json, url: str) -> Answer:
        conditions = {
            header: str(known[name])
            for name, header in VALIDATORS.items()
            if _can_be_sent(known.get(name))
        }
        address = schedule.address(known, url)
        return await self._http.get(
            address,
            headers=conditions,
            accept=_ACCEPT,
            max_bytes=MAX_BYTES,
        )

    def _read(self, answer: Answer, known: Json) -> Iterator[Any]:
        """A FeedHead, then FeedPages: what a child process makes of the answer."""
        seen = dict(known.get("seen") or {})
        shared = list(known.get("shared") or ())
        return self._confined.run(
            answer.url, LIMITS, read_feed, answer, seen, shared
        )

    def _slices(
        self,
        answer: Answer,
        known: Json,
        pieces: Iterator[Any],
    ) -> Generator[Slice, None, None]:
        """Pages of new entries; what the answer says of itself only with the last of them.

        Else a 304 would hide what a crash left behind.
        """
        head: FeedHead = next(pieces)
        seen: dict[str, str] = dict(known.get("seen") or {})
        shared = {"shared": head.shared[:REMEMBERED]}
        last = {
            **_validators(
                answer,
                head,
                known,
            ),
            **shared,
        }
        for note in head.notes:
            yield Slice([], {"seen": seen}, note=note)
        is_over = False
        for page in pieces:
            is_over = page.is_last
            yield self._page(answer, head, page, seen, last)
        if not is_over:
            note = NO_ENTRIES if head.is_empty else NOTHING_NEW
            yield Slice(
                [], {"seen": seen, **last}, note=note, asked=[asked_now()]
            )

    def _page(
        self,
        answer: Answer,
        head: FeedHead,
        page: FeedPage,
        seen: dict[str, str],
        last: Json,
    ) -> Slice:
        for key, digest in page.digests.items():
            seen.pop(key, None)
            seen[key] = digest
        position: Json = {"seen": dict(list(seen.items())[-REMEMBERED:])}
        if page.is_last:
            position |= last
        context = self._context(head, page.records)
        return Slice(
            page.records,
            position,
            context,
            answer.origin(),
            page.rejections,
            asked=[asked_now()] if page.is_last else [],
        )

    def _context(self, head: FeedHead, records: list[Json]) -> Json:
        context = dict(head.context)
        mentioned = (
            self._coins.mentioned(_texts(records)) if self._coins else []
        )
        if mentioned:
            context["coins"] = mentioned
        return context


def build(parts: SourceParts) -> Rss:
    return Rss(parts.http, parts.settings.rss_feeds, parts.coins)


def _can_be_sent(validator: Any) -> bool:
    """Whether a header may hold what a server, or a checkpoint that was set, gave for one."""
    if not isinstance(validator, str) or not validator:
        return False
    return validator.isascii() and validator.isprintable()


def _validators(answer: Answer, head: FeedHead, known: Json) -> Json:
    """None of an answer that broke off: a 304 would hide the rest of it for good."""
    validators = (
        picked(answer.headers, VALIDATORS) if head.is_whole else {}
    )
    if _is_future(validators.get("last-modified")):
        # Sent back, it would be answered by 304 until then.
        del validators["last-modified"]
    return {
        **validators,
        "asked": known["asked"],
        "moved": known["moved"],
        "not_before": schedule.fresh_until(answer, head.ttl),
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
