"""Feeds as plain JSON values: feedparser for XML, our own reader for JSON Feed."""

from __future__ import annotations

import calendar
import time
from datetime import UTC, datetime
from typing import Any

import feedparser

from services.extractor.sources.feeds.json_feed import (
    parse as parse_json_feed,
)
from services.extractor.sources.feeds.limits import bounded, refuse_entries
from services.extractor.sources.http_client import Answer
from shared.errors import TaskError
from shared.messages.base import Json


def parse_feed(answer: Answer) -> Json:
    """Format, title, language, ttl and entries of a feed.

    A feed that is not well-formed keeps the entries that could be read (feedparser's `bozo`).
    Raises TaskError `not_a_feed` saying what came, `limit_exceeded` for too many entries.
    """
    json_feed = parse_json_feed(answer.body)
    if json_feed is not None:
        refuse_entries(answer.url, len(json_feed["entries"]))
        return json_feed
    parsed = _parsed_xml(answer)
    if not parsed.get("version"):
        raise _not_a_feed(answer)
    return {
        "format": parsed.version,
        "title": parsed.feed.get("title"),
        "language": parsed.feed.get("language"),
        "ttl": parsed.feed.get("ttl"),
        "entries": [as_json(entry) for entry in parsed.entries],
    }


def _parsed_xml(answer: Answer) -> Any:
    body = bounded(answer)
    if not body.strip():
        return {}
    return feedparser.parse(body, response_headers=_headers(answer))


def _headers(answer: Answer) -> dict[str, str]:
    return {
        "content-type": answer.headers.get("content-type", ""),
        "content-location": answer.url,
    }


def _not_a_feed(answer: Answer) -> TaskError:
    shown = _shown(answer)
    return TaskError("not_a_feed", f"{answer.url} is not a feed: {shown}")


def _shown(answer: Answer) -> str:
    """What an answer is, for people."""
    start = answer.body[:80].decode("utf-8", "replace").strip()
    kind = answer.headers.get("content-type", "no content type")
    size = len(answer.body)
    return f"it is {size} bytes of {kind} beginning {start!r}"


def as_json(value: Any) -> Any:
    """feedparser's values as JSON: times as ISO 8601 UTC, everything unknown as text."""
    if isinstance(value, time.struct_time):
        return _time_text(value)
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def _time_text(value: time.struct_time) -> str | None:
    try:
        moment = datetime.fromtimestamp(calendar.timegm(value), UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
