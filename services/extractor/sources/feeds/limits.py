"""What no feed needs and a parser would choke on: looked for in the bytes, before parsing."""

from __future__ import annotations

import re

from shared.errors import TaskError

MAX_ENTRIES = 5_000
MAX_DEPTH = 2_000  # of elements within an entry; text that was not escaped may leave many open
_ENTRY = re.compile(rb"<(?:\w+:)?(?:item|entry)[\s/>]", re.IGNORECASE)
_TAG = re.compile(rb"<(/?)([a-zA-Z][\w:.-]*)[^<>]*?(/?)>")
_NEVER_CLOSED = frozenset(
    (b"br", b"img", b"hr", b"input", b"meta", b"link", b"source", b"wbr")
)
_ENTITY = re.compile(
    rb"<!ENTITY\s+(?:%\s+)?\S{1,200}\s+"
    rb"""(?:(?:SYSTEM|PUBLIC)\b[^>]*|"(?P<value>[^"]*)"|'(?P<other>[^']*)')\s*>"""
)


def bounded(url: str, body: bytes) -> bytes:
    """The body without entities that could grow or reach out.

    Raises TaskError `limit_exceeded` for too many entries, or elements nested too deep.
    """
    signs = body.replace(b"\0", b"")  # UTF-16 reads alike then
    refuse_entries(url, len(_ENTRY.findall(signs)))
    _refuse_depth(url, signs)
    return _without_entities(body)


def _without_entities(body: bytes) -> bytes:
    return _ENTITY.sub(_harmless, body) if b"<!ENTITY" in body else body


def _harmless(entity: re.Match[bytes]) -> bytes:
    """Nothing in place of an entity that is made of others, or that lies elsewhere."""
    value = (
        entity["value"]
        if entity["value"] is not None
        else entity["other"]
    )
    if value is None or value.replace(b"&#", b"").count(b"&"):
        return b""
    return entity[0]


def refuse_entries(url: str, count: int) -> None:
    """Raises TaskError `limit_exceeded` for more entries than are read."""
    if count > MAX_ENTRIES:
        message = (
            f"{url} has {count} entries, at most {MAX_ENTRIES} are read"
        )
        raise TaskError("limit_exceeded", message)


def _refuse_depth(url: str, body: bytes) -> None:
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
            message = f"{url} nests more than {MAX_DEPTH} elements in each other: it is not a feed"
            raise TaskError("limit_exceeded", message)
