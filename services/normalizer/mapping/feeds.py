"""Feed entries: one `news` point each, with the coins that it names and its sentiment."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from services.normalizer.coins.tagger import coins_named
from services.normalizer.mapping.base import (
    MapRecord,
    Outcome,
    PageInfo,
    data_point,
)
from services.normalizer.mapping.text import plain_text
from services.normalizer.sentiment import score
from shared.errors import BadValueError
from shared.messages.base import Json
from shared.messages.pages import Rejection
from shared.values.times import iso, timestamp

MAX_TITLE = 500
MAX_SUMMARY = 4000
MAX_URL = 2000
MAX_AUTHOR = 200
MAX_TAGS = 20
_HTTP = re.compile(r"^https?://[^/\s]", re.IGNORECASE)
_TIMES = ("published_parsed", "updated_parsed", "created_parsed")

_SPACE = re.compile(r"\s")


def compile_mapping(info: PageInfo) -> MapRecord:
    def map_record(index: int, entry: Any) -> Outcome:
        return _news(info, index, entry)

    return map_record


def _news(info: PageInfo, index: int, entry: Json) -> Outcome:
    title = plain_text(entry.get("title"), MAX_TITLE)
    summary = plain_text(
        entry.get("summary") or _content(entry), MAX_SUMMARY
    )
    if title is None and summary is None:
        message = "the entry has neither a title nor a text"
        return Rejection(reason="empty_entry", message=message)
    moment, dated_by = _time(info, entry)
    sentiment = score(title or "", summary or "")
    symbols = coins_named(
        f"{title or ''}. {summary or ''}", info.context.get("coins") or ()
    )
    attributes = {
        "dated_by": dated_by,
        "sentiment": sentiment.explained(),
        **_extras(entry),
    }
    point = data_point(
        info,
        index,
        ("news", str(entry.get("key"))),
        kind="news",
        timestamp=moment,
        symbol=symbols[0] if symbols else None,
        symbols=symbols or None,
        title=title,
        url=_url(entry),
        summary=summary,
        sentiment=sentiment.score,
        attributes=attributes,
    )
    return [point]


def _content(entry: Json) -> Any:
    contents = entry.get("content")
    if not isinstance(contents, list) or not contents:
        return None
    first = contents[0]
    return first.get("value") if isinstance(first, dict) else None


def _time(info: PageInfo, entry: Json) -> tuple[str, str]:
    """The entry's own time, else the time at which it was fetched, and which of them it is."""
    for name in _TIMES:
        if entry.get(name):
            with contextlib.suppress(BadValueError):
                own = iso(timestamp(name, entry[name]))
                return own, name.removesuffix("_parsed")
    return iso(timestamp("fetched_at", info.fetched_at)), "fetched"


def _url(entry: Json) -> str | None:
    """The first link that is http or https; nothing else reaches a reader's browser."""
    for link in _links(entry):
        if isinstance(link, str) and _HTTP.match(link.strip()):
            return _SPACE.sub("", link)[:MAX_URL]
    return None


def _links(entry: Json) -> Iterator[Any]:
    yield entry.get("link")
    for link in entry.get("links") or []:
        if isinstance(link, dict):
            yield link.get("href")
    yield entry.get("id")


def _extras(entry: Json) -> Json:
    found: Json = {}
    author = plain_text(entry.get("author"), MAX_AUTHOR)
    if author:
        found["author"] = author
    tags = [tag["term"] for tag in entry.get("tags") or [] if _is_tag(tag)]
    if tags:
        found["tags"] = tags[:MAX_TAGS]
    return found


def _is_tag(tag: Any) -> bool:
    return isinstance(tag, dict) and isinstance(tag.get("term"), str)
