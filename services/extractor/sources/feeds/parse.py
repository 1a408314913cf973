"""Feeds as plain JSON values: feedparser for XML, our own reader for JSON Feed."""

from __future__ import annotations

import calendar
import dataclasses
import html
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import feedparser

from services.extractor.sources.answer import Answer
from services.extractor.sources.base import clean
from services.extractor.sources.feeds.encoding import Readable, readable
from services.extractor.sources.feeds.json_feed import (
    parse as parse_json_feed,
)
from services.extractor.sources.feeds.limits import (
    refuse_entries,
    refuse_what_no_feed_needs,
)
from shared.errors import TaskError
from shared.messages.base import Json

# What feedparser tells about a body that it read rightly all the same.
_HARMLESS = (
    feedparser.CharacterEncodingOverride,
    feedparser.NonXMLContentType,
)
# What a parser raises over text that it did not expect.
_BROKEN_DOWN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
_LONE_SIGN = re.compile(
    rb"&(?!#\d{1,7};|#[xX][0-9a-fA-F]{1,6};|[a-zA-Z][a-zA-Z0-9]{1,31};)"
)
_NUMBERED = re.compile(rb"&#(?:(\d{1,7})|[xX]([0-9a-fA-F]{1,6}));")
_GUID = re.compile(
    rb"<guid\b[^>]{0,500}>\s{0,100}(?:<!\[CDATA\[)?([^<\]]{1,4000})"
)
MAX_SHOWN = 120  # characters of an error of the XML
MAX_NULS = 100  # slips of a program; what has more is in another encoding


def parse_feed(answer: Answer) -> Json:
    """Format, title, language, ttl, entries and notes of a feed, and whether all of it was read.

    A feed that is not well-formed keeps the entries that could be read (feedparser's `bozo`), and
    a note says so. Raises TaskError `not_a_feed` saying what came, `limit_exceeded` for too many
    entries.
    """
    json_feed = parse_json_feed(answer.body)
    if json_feed is not None:
        refuse_entries(answer.url, len(json_feed["entries"]))
        return json_feed
    found = readable(answer)
    whole = _with_escaped_signs(found.body)
    is_broken = whole != found.body
    found = dataclasses.replace(found, body=whole)
    parsed = _parsed_xml(answer, found)
    if not parsed.get("version"):
        raise _not_a_feed(answer)
    return {
        "format": parsed.version,
        "title": as_json(parsed.feed.get("title")),
        "language": as_json(parsed.feed.get("language")),
        "ttl": parsed.feed.get("ttl"),
        "entries": list(_entries(parsed, found.body)),
        "notes": list(_notes(parsed, found, is_broken=is_broken)),
        "is_whole": _broken(parsed) is None,
    }


def _parsed_xml(answer: Answer, found: Readable) -> Any:
    body = found.body
    refuse_what_no_feed_needs(answer.url, body)
    if not body.strip():
        return {}
    headers = {
        "content-type": found.content_type,
        "content-location": answer.url,
    }
    # Its sanitizer takes seconds over open comments; texts become plain in the normalizer.
    try:
        return feedparser.parse(
            body, response_headers=headers, sanitize_html=False
        )
    except _BROKEN_DOWN as error:
        shown = f"{type(error).__name__}: {error}"[:MAX_SHOWN]
        raise TaskError(
            "not_a_feed",
            f"{answer.url}: feedparser breaks down over it ({shown})",
        ) from error


def _with_escaped_signs(body: bytes) -> bytes:
    """With `&amp;` for an `&` that begins no entity: `S&P 500`, `?id=7&lang=en`.

    References to what is no character, over which feedparser breaks down, become U+FFFD.
    """
    if b"&" not in body or body.count(b"\0") > MAX_NULS:
        return body
    body = body.replace(b"\0", b"\xef\xbf\xbd")
    outside, *sections = body.split(b"<![CDATA[")
    parts = [_mended(outside)]
    for section in sections:
        inside, end, after = section.partition(b"]]>")
        parts.append(inside + end + _mended(after))
    return b"<![CDATA[".join(parts)


def _mended(markup: bytes) -> bytes:
    escaped = _LONE_SIGN.sub(b"&amp;", markup)
    return _NUMBERED.sub(_reference, escaped)


def _reference(found: re.Match[bytes]) -> bytes:
    decimal, hexadecimal = found.groups()
    number = int(decimal) if decimal else int(hexadecimal, 16)
    is_character = 0 < number < 0xD800 or 0xE000 <= number <= 0x10FFFF
    return found[0] if is_character else b"&#xFFFD;"


def _entries(parsed: Any, body: bytes) -> Iterator[Json]:
    """The entries; without addresses that feedparser made of a guid that is none."""
    written = {
        html.unescape(guid.decode("utf-8", "replace")).strip()
        for guid in _GUID.findall(body)
    }
    for entry in parsed.entries:
        value = as_json(entry)
        if value.get("guidislink") and value.get("id") not in written:
            value.pop("link", None)
        yield value


def _notes(
    parsed: Any, found: Readable, *, is_broken: bool
) -> Iterator[str]:
    if found.note:
        yield found.note
    error = _broken(parsed)
    shown = "an & that begins no character" if is_broken else ""
    if error is not None:
        shown = " ".join(str(error).split())[:MAX_SHOWN]
    if shown:
        count = len(parsed.entries)
        yield f"the XML of the feed is broken ({shown}): {count} entries could be read"


def _broken(parsed: Any) -> Exception | None:
    """Why not all of the XML could be read as it is; None where it could."""
    error: Exception | None = parsed.get("bozo_exception")
    is_harmless = isinstance(error, _HARMLESS)
    return error if parsed.get("bozo") and not is_harmless else None


def _not_a_feed(answer: Answer) -> TaskError:
    shown = _shown(answer)
    return TaskError("not_a_feed", f"{answer.url} is not a feed: {shown}")


def _shown(answer: Answer) -> str:
    """What an answer is, for people."""
    start = answer.shown(80)
    kind = answer.headers.get("content-type", "no content type")
    size = len(answer.body)
    return f"it is {size} bytes of {kind} beginning {start!r}"


def as_json(value: Any) -> Any:
    """feedparser's values as JSON: times as ISO 8601 UTC, everything unknown as text.

    Half a character, which a reference such as `&#xD800;` stands for, becomes U+FFFD.
    """
    if isinstance(value, time.struct_time):
        return _time_text(value)
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if value is None or isinstance(value, int | float | bool):
        return value
    text = str(value)
    return text if text.isascii() else clean(text)


def _time_text(value: time.struct_time) -> str | None:
    try:
        moment = datetime.fromtimestamp(calendar.timegm(value), UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
