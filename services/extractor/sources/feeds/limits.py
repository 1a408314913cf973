"""What no feed needs and a parser would choke on: looked for in the bytes, before parsing."""

from __future__ import annotations

import re

from shared.errors import TaskError

MAX_ENTRIES = 5_000
SLASH = ord("/")
MAX_TAG = 64 * 1024  # bytes of one with its attributes
MAX_TAGS = 10_000  # of an entry, or before the first
MAX_DEPTH = 2_000  # of elements within an entry; text that was not escaped may leave many open
_ENTRY = re.compile(rb"<(?:\w+:)?(?:item|entry)[\s/>]", re.IGNORECASE)
_TAG = re.compile(rb"<(/?)([a-zA-Z][\w:.-]*+)[^<>]*+>")
# With what ends it, `[` or `>`; neither where it does not end.
_DOCTYPE = re.compile(
    rb"""<!DOCTYPE(?:[^>\["']|"[^"]*"|'[^']*')*+([\[>]?)""", re.IGNORECASE
)
_ENTITY = re.compile(rb"<!ENTITY", re.IGNORECASE)
_NEVER_CLOSED = frozenset(
    (b"br", b"img", b"hr", b"input", b"meta", b"link", b"source", b"wbr")
)


def refuse_what_no_feed_needs(url: str, body: bytes) -> None:
    """`body`: in an encoding in which ASCII is what it is.

    Raises TaskError `unsafe_xml` for a document that declares entities, `limit_exceeded` for too
    many entries, or elements nested too deep.
    """
    _refuse_declarations(url, body)
    refuse_entries(url, len(_ENTRY.findall(body)))
    _refuse_depth(url, body)


def _refuse_declarations(url: str, body: bytes) -> None:
    """Entities may stand for texts without end, or for what lies elsewhere."""
    if _declares_entities(body):
        message = f"{url} has a DOCTYPE that declares entities of its own, which no feed needs"
        raise TaskError("unsafe_xml", message)


def _declares_entities(body: bytes) -> bool:
    end = _end_of_prologue(body)
    return end is None or _ENTITY.search(body, 0, end) is not None


def _end_of_prologue(body: bytes) -> int | None:
    """Where the first element begins; None where a DOCTYPE has more than a name and addresses."""
    at = body.find(b"<")
    while at >= 0:
        if body.startswith(b"<!--", at):
            at = body.find(b"-->", at)
        elif body.startswith(b"<?", at):
            at = body.find(b"?>", at)
        elif (doctype := _DOCTYPE.match(body, at)) is not None:
            if doctype[1] != b">":
                return None
            at = doctype.end()
        elif body[at + 1 : at + 2].isalpha():
            return at
        else:
            at += 1
        at = body.find(b"<", at) if at >= 0 else at
    return len(body)


def refuse_entries(url: str, count: int) -> None:
    """Raises TaskError `limit_exceeded` for more entries than are read."""
    if count > MAX_ENTRIES:
        message = (
            f"{url} has {count} entries, at most {MAX_ENTRIES} are read"
        )
        raise TaskError("limit_exceeded", message)


def _refuse_depth(url: str, body: bytes) -> None:
    depth = 0
    count = 0
    for match in _TAG.finditer(body):
        closes, name = match.groups()
        count += 1
        if match.end() - match.start() > MAX_TAG or count > MAX_TAGS:
            raise _too_much_markup(url)
        is_empty = body[match.end() - 2] == SLASH
        if name.lower() in (b"item", b"entry"):
            depth = 0
            count = 0
        elif closes:
            depth = max(0, depth - 1)
        elif not is_empty and name.lower() not in _NEVER_CLOSED:
            depth += 1
        if depth > MAX_DEPTH:
            message = f"{url} nests more than {MAX_DEPTH} elements in each other: it is not a feed"
            raise TaskError("limit_exceeded", message)


def _too_much_markup(url: str) -> TaskError:
    message = (
        f"{url} has an entry of more than {MAX_TAGS} tags, or a tag of more than {MAX_TAG} bytes: "
        "it is not a feed"
    )
    return TaskError("limit_exceeded", message)
