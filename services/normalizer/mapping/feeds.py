"""Feed entries: one `news` point each, with the coins that it names and the sentiment of title and summary."""

from __future__ import annotations

import re
from typing import Any

from services.normalizer.coins.tagger import coins_named
from services.normalizer.mapping.base import MapRecord, Outcome, PageInfo, data_point
from services.normalizer.mapping.text import plain_text
from services.normalizer.sentiment import score
from shared.errors import BadValueError
from shared.messages.base import Json
from shared.messages.pages import Rejection
from shared.values.times import iso, timestamp

MAX_TITLE, MAX_SUMMARY, MAX_URL = 500, 4000, 2000


def compile_mapping(info: PageInfo) -> MapRecord:
    def map_record(index: int, entry: Any) -> Outcome:
        return _news(info, index, entry)

    return map_record


def _news(info: PageInfo, index: int, entry: Json) -> Outcome:
    title = plain_text(entry.get("title"), MAX_TITLE)
    summary = plain_text(entry.get("summary") or _content(entry), MAX_SUMMARY)
    if title is None and summary is None:
        return Rejection(reason="empty_entry", message="the entry has neither a title nor a text")
    moment, dated_by = _time(info, entry)
    text = f"{title or ''}. {summary or ''}"
    sentiment = score(title or "", summary or "")
    symbols = coins_named(text, info.context.get("coins") or ())
    return [data_point(
        info, index, ("news", str(entry.get("key"))),
        kind="news", timestamp=moment, symbol=symbols[0] if symbols else None, symbols=symbols or None, title=title, url=_url(entry), summary=summary,
        sentiment=sentiment.score, attributes={"dated_by": dated_by, "sentiment": sentiment.explained(), **_extras(entry)},
    )]  # fmt: skip


def _content(entry: Json) -> Any:
    contents = entry.get("content")
    return contents[0].get("value") if isinstance(contents, list) and contents and isinstance(contents[0], dict) else None


def _time(info: PageInfo, entry: Json) -> tuple[str, str]:
    """The entry's own time, else the time at which it was fetched, and which of them it is."""
    for name in ("published_parsed", "updated_parsed", "created_parsed"):
        if entry.get(name):
            try:
                return iso(timestamp(name, entry[name])), name.removesuffix("_parsed")
            except BadValueError:
                continue
    return iso(timestamp("fetched_at", info.fetched_at)), "fetched"


def _url(entry: Json) -> str | None:
    """The first link that is http or https; nothing else reaches a reader's browser."""
    links = [entry.get("link"), *(link.get("href") for link in entry.get("links") or [] if isinstance(link, dict)), entry.get("id")]
    for link in links:
        if isinstance(link, str) and re.match(r"^https?://[^/\s]", link.strip(), re.IGNORECASE):
            return re.sub(r"\s", "", link)[:MAX_URL]
    return None


def _extras(entry: Json) -> Json:
    author = plain_text(entry.get("author"), 200)
    tags = [tag["term"] for tag in entry.get("tags") or [] if isinstance(tag, dict) and isinstance(tag.get("term"), str)][:20]
    return {**({"author": author} if author else {}), **({"tags": tags} if tags else {})}
