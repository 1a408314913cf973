"""The feeds that a page names, and what one of them is like. Done in a confined child process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import islice
from urllib.parse import urljoin, urlsplit

from services.extractor.sources.answer import Answer
from services.extractor.sources.feeds.encoding import readable
from services.extractor.sources.feeds.parse import parse_feed
from shared.runtime.confined import Meter

MAX_LINKS = 8
MAX_SHOWN = 5  # titles
MAX_TITLE = 200  # characters
MAX_ADDRESS = 1_000
TYPES = frozenset(
    {
        "application/rss+xml",
        "application/atom+xml",
        "application/feed+json",
        "application/json",
    }
)
# Where sites have one that their pages do not name.
USUAL = ("/feed", "/rss", "/rss.xml", "/atom.xml", "/feed.xml")


@dataclass(frozen=True)
class FeedLook:
    """A feed as somebody sees it who is asked whether it is to be read."""

    title: str
    format: str
    language: str
    entries: int
    newest: str | None
    sample: list[str] = field(default_factory=list)


def look_at(meter: Meter, answer: Answer) -> Iterator[FeedLook]:
    """One look. Raises TaskError `not_a_feed`."""
    meter(len(answer.body))
    feed = parse_feed(answer)
    entries = feed["entries"]
    times = [each.get("published") or "" for each in entries]
    titles = (str(each.get("title") or "") for each in entries)
    yield FeedLook(
        title=str(feed["title"] or "")[:MAX_TITLE],
        format=str(feed["format"] or ""),
        language=str(feed["language"] or ""),
        entries=len(entries),
        newest=max(times, default="") or None,
        sample=[each[:MAX_TITLE] for each in islice(titles, MAX_SHOWN)],
    )


def links(meter: Meter, answer: Answer, address: str) -> Iterator[str]:
    """The addresses that a page names as its feeds, else where they usually are."""
    meter(len(answer.body))
    page = _Page()
    page.feed(readable(answer).body.decode("utf-8", "replace"))
    named = [urljoin(address, each) for each in page.found]
    known = [each for each in named if _can_be_asked(each)]
    usual = [urljoin(address, each) for each in USUAL]
    yield from list(dict.fromkeys(known or usual))[:MAX_LINKS]


def _can_be_asked(address: str) -> bool:
    if len(address) > MAX_ADDRESS:
        return False
    return urlsplit(address).scheme in ("http", "https")


class _Page(HTMLParser):
    """`<link rel="alternate" type="application/rss+xml" href="…">`"""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        if tag != "link" or len(self.found) >= MAX_LINKS:
            return
        given = {name: value or "" for name, value in attrs}
        is_alternate = "alternate" in given.get("rel", "").lower().split()
        kind = given.get("type", "").lower().partition(";")[0].strip()
        if is_alternate and kind in TYPES and given.get("href"):
            self.found.append(given["href"].strip())
