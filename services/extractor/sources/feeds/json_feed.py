"""JSON Feed 1.0 and 1.1, as feedparser would have said it: feedparser reads XML only."""

from __future__ import annotations

from typing import Any

from shared.errors import BadValueError
from shared.messages.base import Json
from shared.messages.serialization import exact_decoder
from shared.values.times import iso, timestamp


def parse(body: bytes) -> Json | None:
    """A feed's title and entries; None for what is no JSON Feed. Entries that are none are left out."""
    if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return None
    try:
        feed = exact_decoder.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(feed, dict) or "jsonfeed.org/version" not in str(feed.get("version")) or not isinstance(feed.get("items"), list):
        return None
    entries = [_entry(item) for item in feed["items"] if isinstance(item, dict)]
    return {"format": "json1", "title": _text(feed.get("title")), "language": _text(feed.get("language")), "ttl": None, "entries": entries}


def _entry(item: Json) -> Json:
    authors = item.get("authors") or [item.get("author")]
    names = [_text(author.get("name")) for author in authors if isinstance(author, dict)] if isinstance(authors, list) else []
    tags = item.get("tags")
    found: Json = {
        "id": _text(item.get("id")), "link": _text(item.get("url") or item.get("external_url")), "title": _text(item.get("title")),
        "summary": _text(item.get("summary") or item.get("content_text") or item.get("content_html")),
        "published": _text(item.get("date_published")), "updated": _text(item.get("date_modified")),
        "author": next((name for name in names if name), None),
        "tags": [{"term": tag} for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else None,
    }  # fmt: skip
    for name in ("published", "updated"):
        if found[name]:
            found[f"{name}_parsed"] = _time(found[name])
    return {name: value for name, value in found.items() if value}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _time(text: str) -> str | None:
    try:
        return iso(timestamp("date", text))
    except BadValueError:  # the entry stands without
        return None
