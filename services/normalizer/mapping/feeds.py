"""Feed entries: one `news` point each, with the coins that it names and its sentiment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from services.normalizer.coins.tagger import coins_named
from services.normalizer.mapping.base import (
    MapRecord,
    Outcome,
    PageInfo,
    data_point,
    own_values,
)
from services.normalizer.mapping.text import plain_text
from services.normalizer.sentiment import score
from shared.errors import BadValueError
from shared.identity.ids import value_hash
from shared.messages.base import Json
from shared.messages.pages import DatedBy, Rejection
from shared.messages.points import TimestampIs
from shared.values.times import iso, timestamp

MAX_TITLE = 500
MAX_SUMMARY = 4000
MAX_URL = 2000
MAX_AUTHOR = 200
MAX_TAGS = 20
MAX_DATE = 100
_HTTP = re.compile(r"^https?://[^/\s]", re.IGNORECASE)
_LINE_END = re.compile(r"(?<!\s)[^\S\t\r\n]*+[\t\r\n]\s*")
_RELATED = (None, "alternate", "via", "related", "enclosure")
_TIMES = ("published", "updated", "created")
_CST = re.compile(r" CST$")
_SPACE = re.compile(r"\s+")


def compile_mapping(info: PageInfo) -> MapRecord:
    def map_record(index: int, entry: Any) -> Outcome:
        return _news(info, index, entry)

    return map_record


def _news(info: PageInfo, index: int, entry: Json) -> Outcome:
    title = plain_text(entry.get("title"), MAX_TITLE)
    summary = _summary(entry)
    moment, dated = _time(info, entry)
    if title is None and summary is None:
        message = "the entry has neither a title nor a text"
        said = moment if dated["dated_by"] in _TIMES else None
        return Rejection(
            reason="empty_entry", message=message, event_time=said
        )
    sentiment = score(title or "", summary or "")
    symbols = coins_named(
        f"{title or ''}. {summary or ''}", info.context.get("coins") or ()
    )
    values: Json = {
        "kind": "news",
        "timestamp": moment,
        "symbol": symbols[0] if symbols else None,
        "symbols": symbols or None,
        "title": title,
        "url": _url(entry),
        "summary": summary,
        "sentiment": sentiment.score,
        "attributes": {
            **dated,
            "sentiment": sentiment.explained(),
            **_extras(entry),
        },
        "timestamp_is": TimestampIs.MOMENT,
    }
    key = ("news", str(entry.get("key")))
    point = data_point(info, index, key, **values)
    if dated["dated_by"] not in _TIMES:
        # The time of a fetch is no value of its own: another fetch changes nothing.
        own = {**values, "timestamp": None}
        digest = value_hash(*own_values(own))
        point = msgspec.structs.replace(point, value_hash=digest)
    return [point]


def _summary(entry: Json) -> str | None:
    """The summary; the content where that shows no text."""
    own = plain_text(entry.get("summary"), MAX_SUMMARY)
    return (
        plain_text(_content(entry), MAX_SUMMARY) if own is None else own
    )


def _content(entry: Json) -> Any:
    contents = entry.get("content")
    if not isinstance(contents, list) or not contents:
        return None
    first = contents[0]
    is_text = isinstance(first, dict) and "image" not in str(
        first.get("type")
    )
    return first.get("value") if is_text else None


def _time(info: PageInfo, entry: Json) -> tuple[str, Json]:
    """The entry's own time, else that of the first sight, and which of them it is.

    The text of a date that is there and not understood is kept.
    """
    unreadable = None
    for name in _TIMES:
        text = entry.get(name)
        if not isinstance(text, str) or not text.strip():
            continue
        moment = _read_time(text)
        if moment is not None:
            return moment, {"dated_by": name}
        unreadable = unreadable or text.strip()[:MAX_DATE]
    fetched = iso(timestamp("fetched_at", info.fetched_at))
    if unreadable is None:
        return fetched, {"dated_by": DatedBy.FETCHED}
    said = {"dated_by": DatedBy.UNREADABLE_DATE, "date_text": unreadable}
    return fetched, said


def _read_time(text: str) -> str | None:
    # RFC 822 says which of the zones called CST a feed means.
    plain = _CST.sub(" -0600", _SPACE.sub(" ", text.strip()))
    try:
        return iso(timestamp("date", plain))
    except BadValueError:
        return None


def _url(entry: Json) -> str | None:
    """The first link that is http or https; nothing else reaches a reader's browser."""
    for link in _links(entry):
        if isinstance(link, str) and _HTTP.match(link.strip()):
            url = _LINE_END.sub("", link).strip().replace(" ", "%20")
            return url if len(url) <= MAX_URL else None
    return None


def _links(entry: Json) -> Iterator[Any]:
    yield entry.get("link")
    for link in entry.get("links") or []:
        if isinstance(link, dict) and link.get("rel") in _RELATED:
            yield link.get("href")


def _extras(entry: Json) -> Json:
    found: Json = {}
    author = plain_text(entry.get("author"), MAX_AUTHOR)
    if author:
        found["author"] = author
    tags = [
        tag["term"] for tag in entry.get("tags") or [] if _is_tag(tag)
    ]
    if tags:
        found["tags"] = tags[:MAX_TAGS]
    return found


def _is_tag(tag: Any) -> bool:
    return isinstance(tag, dict) and isinstance(tag.get("term"), str)
