"""JSON Feed 1.0 and 1.1, as feedparser would have read it: feedparser reads XML only."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from shared.messages.base import Json
from shared.messages.serialization import exact_decoder

# Half of a letter, as where a text was cut in the middle of it.
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
)
_BOM = b"\xef\xbb\xbf"


def parse(body: bytes) -> Json | None:
    """A feed's title and entries; None for what is not a JSON Feed.

    Items that are no objects are left out, and a note counts them.
    """
    feed = _decoded(body)
    if not _is_feed(feed):
        return None
    items = [item for item in feed["items"] if isinstance(item, dict)]
    odd = len(feed["items"]) - len(items)
    return {
        "format": "json1",
        "title": _text(feed.get("title")),
        "language": _text(feed.get("language")),
        "ttl": None,
        "entries": list(map(_entry, items)),
        "notes": [f"{odd} items of the feed are no objects"]
        if odd
        else [],
        "is_whole": True,
    }


def _decoded(body: bytes) -> Any:
    """A JSON object; None for anything else."""
    text = body.lstrip(b" \t\r\n").removeprefix(_BOM).lstrip()
    if not text.startswith(b"{"):
        return None
    whole = _LONE_SURROGATE.sub(rb"\1\\ufffd", text)
    try:
        return exact_decoder.decode(whole)
    except (ValueError, RecursionError):
        return None


def _is_feed(feed: Any) -> bool:
    if not isinstance(feed, dict):
        return False
    version = str(feed.get("version"))
    is_named = "jsonfeed.org/version" in version
    return is_named and isinstance(feed.get("items"), list)


def _entry(item: Json) -> Json:
    found: Json = {
        "id": _text(item.get("id")),
        "link": _text(item.get("url") or item.get("external_url")),
        "title": _text(item.get("title")),
        "summary": _text(_content(item)),
        "published": _text(item.get("date_published")),
        "updated": _text(item.get("date_modified")),
        "author": _author(item),
        "tags": _tags(item.get("tags")),
    }
    return {name: value for name, value in found.items() if value}


def _content(item: Json) -> Any:
    return (
        item.get("summary")
        or item.get("content_text")
        or item.get("content_html")
    )


def _author(item: Json) -> str | None:
    authors = item.get("authors") or [item.get("author")]
    if not isinstance(authors, list):
        return None
    names = [
        _text(author.get("name"))
        for author in authors
        if isinstance(author, dict)
    ]
    return next((name for name in names if name), None)


def _tags(tags: Any) -> list[Json] | None:
    if not isinstance(tags, list):
        return None
    return [{"term": tag} for tag in tags if isinstance(tag, str)]


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int | float | Decimal)
    is_number = is_number and not isinstance(value, bool)
    return str(value) if is_number else None
