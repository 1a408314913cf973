"""What no feed needs and a parser would choke on: looked for in the bytes, before they are parsed."""

from __future__ import annotations

import re

from services.extractor.sources.http_client import Answer
from shared.errors import TaskError

MAX_ENTRIES = 5_000
MAX_DEPTH = 2_000  # of elements within an entry; text that was not escaped may leave many open
_ENTRY = re.compile(rb"<(?:\w+:)?(?:item|entry)[\s/>]", re.IGNORECASE)
_TAG = re.compile(rb"<(/?)([a-zA-Z][\w:.-]*)[^<>]*?(/?)>")
_NEVER_CLOSED = frozenset((b"br", b"img", b"hr", b"input", b"meta", b"link", b"source", b"wbr"))


# Entities made of other entities, and those that lie elsewhere.
_ENTITY = re.compile(rb"""<!ENTITY\s+(?:%\s+)?\S+\s+(?:(?:SYSTEM|PUBLIC)\b[^>]*|"[^"]*&[^#"][^"]*"|'[^']*&[^#'][^']*')\s*>""")


def bounded(answer: Answer) -> bytes:
    """The body without entities that could grow or reach out. Raises TaskError `limit_exceeded` for too many entries, or elements nested too deep."""
    body = answer.body.replace(b"\0", b"")  # UTF-16 reads alike then
    refuse_entries(answer.url, sum(1 for _ in _ENTRY.finditer(body)))
    depth = 0
    for match in _TAG.finditer(body):
        closes, name, empty = match.groups()
        if name.lower() in (b"item", b"entry"):
            depth = 0
        elif closes:
            depth = max(0, depth - 1)
        elif not empty and name.lower() not in _NEVER_CLOSED:
            depth += 1
            if depth > MAX_DEPTH:
                raise TaskError("limit_exceeded", f"{answer.url} nests more than {MAX_DEPTH} elements in each other: that is no feed")
    return _ENTITY.sub(b"", answer.body) if b"<!ENTITY" in answer.body else answer.body


def refuse_entries(url: str, count: int) -> None:
    """Raises TaskError `limit_exceeded` for more entries than are read."""
    if count > MAX_ENTRIES:
        raise TaskError("limit_exceeded", f"{url} has {count} entries, at most {MAX_ENTRIES} are read")
