"""The encoding of feeds that say none, or that say it only by their first bytes.

What names its encoding (in HTTP or in its XML declaration), or is UTF-8, is feedparser's to read.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from charset_normalizer import from_bytes

from services.extractor.sources.http_client import Answer

# Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FIRST_SIGNS = (
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED = re.compile(
    rb"^\s*<\?xml[^>]{0,200}\bencoding\s*=", re.IGNORECASE
)
_DECLARATION = re.compile(
    r"^(\s*<\?xml[^>]{0,200}?)\s+encoding\s*=\s*[\"'][^\"'>]{0,60}[\"']",
    re.IGNORECASE,
)
_LANGUAGE = re.compile(
    rb"<language>\s*([a-z]{2})|xml:lang=[\"']([a-z]{2})", re.IGNORECASE
)
_TAG = re.compile(rb"<[^<>]*>")
# Where letters of other scripts show the encoding. Between the Latin ones only a language does.
_OF_OTHER_SCRIPTS = frozenset(
    "cp1251 koi8_r gb18030 big5 shift_jis euc_jp euc_kr cp1253".split()
)
_TRIED = [*_OF_OTHER_SCRIPTS, "cp1252", "cp1250"]
_CENTRAL_EUROPE = frozenset(
    (b"pl", b"cs", b"sk", b"hu", b"ro", b"hr", b"sl")
)
_SAMPLE = 64 * 1024


@dataclass(frozen=True)
class Readable:
    """A body that feedparser reads rightly. `guessed`: its encoding, where nobody named it."""

    body: bytes
    content_type: str
    guessed: str | None = None


def readable(answer: Answer) -> Readable:
    """The body of an answer, as UTF-8 where its encoding had to be found out."""
    content_type = answer.headers.get("content-type", "")
    body = answer.body
    by_bytes = _by_first_bytes(body)
    if by_bytes is not None:
        return _decoded(body, by_bytes) or Readable(body, content_type)
    if "charset" in content_type.lower() or _DECLARED.match(body[:400]):
        return Readable(body, content_type)
    if _is_utf8(body):
        return Readable(body, content_type)
    guessed = _by_letters(body)
    found = _decoded(body, guessed) if guessed else None
    if found is None:
        return Readable(body, content_type)
    return Readable(found.body, found.content_type, guessed)


def _by_first_bytes(body: bytes) -> str | None:
    for signs in (_MARKS, _FIRST_SIGNS):
        for beginning, encoding in signs:
            if body.startswith(beginning):
                return encoding
    return None


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _by_letters(body: bytes) -> str | None:
    """The encoding in which the text makes sense; None where Windows-1252 may do."""
    language = _LANGUAGE.search(body)
    if language and (language[1] or language[2]).lower() in _CENTRAL_EUROPE:
        return "cp1250"
    text = _TAG.sub(b" ", body)[:_SAMPLE]
    best = from_bytes(text, cp_isolation=_TRIED).best()
    if best is None or best.encoding not in _OF_OTHER_SCRIPTS:
        return None
    return str(best.encoding)


def _decoded(body: bytes, encoding: str) -> Readable | None:
    """As UTF-8, and said to be that."""
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError:
        return None
    bare = _DECLARATION.sub(r"\1", text.lstrip("\ufeff"), count=1)
    utf8 = bare.encode("utf-8", "replace")
    return Readable(utf8, "application/xml; charset=utf-8")
