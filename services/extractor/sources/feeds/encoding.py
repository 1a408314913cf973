"""The encoding of feeds that say none or a wrong one, or that say it only by their first bytes.

What is in the encoding that it names (in HTTP or in its XML declaration) is feedparser's to read.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from charset_normalizer import from_bytes

from services.extractor.sources.answer import Answer

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
    rb"^\s*<\?xml[^>]{0,200}\bencoding\s*=\s*[\"']([\w.:\-]{1,40})",
    re.IGNORECASE,
)
_CHARSET = re.compile(
    r"charset\s*=\s*[\"']?([\w.:\-]{1,40})", re.IGNORECASE
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
# By the language that a feed says, the encodings that its letters may be in.
_LATIN = "de fr es it pt nl da sv no nb fi id".split()
_CYRILLIC = "ru uk be bg".split()
_BY_LANGUAGE = {
    **dict.fromkeys("pl cs sk hu ro hr sl".split(), ("cp1250",)),
    **dict.fromkeys(_LATIN, ("cp1252",)),
    **dict.fromkeys(_CYRILLIC, ("cp1251", "koi8_r")),
    "tr": ("cp1254",),
    "el": ("cp1253",),
    "he": ("cp1255",),
    "ar": ("cp1256",),
    "th": ("cp874",),
    "ja": ("shift_jis", "euc_jp"),
    "ko": ("cp949",),
    "zh": ("gb18030", "big5"),
}
# Others that Python knows are no encodings of texts: punycode, idna, unicode_escape …
_OF_TEXTS = (
    "ascii",
    "big5",
    "cp",
    "euc",
    "gb",
    "hp-roman8",
    "hz",
    "iso",
    "johab",
    "koi8",
    "kz1048",
    "latin",
    "mac",
    "ptcp",
    "shift_jis",
    "tis",
    "utf",
)
_WITH_SHIFTS = ("utf-7", "hz", "iso2022")
_MARKS_OF_XML = b"<>!?/[]&;\"'=-abcxyzABCXYZ0123456789"
_NOT_ASCII = re.compile(rb"[\x80-\xff]+")
_LONG_RUN = 4  # bytes: letters of Latin scripts stand alone among ASCII
# Of the letters that are not ASCII: more that are broken mean another encoding.
_FEW_BROKEN = 0.2
_SAMPLE = 64 * 1024


@dataclass(frozen=True)
class Readable:
    """A body that feedparser reads rightly. `note`: what was wrong with its encoding."""

    body: bytes
    content_type: str
    note: str | None = None


def readable(answer: Answer) -> Readable:
    """The body of an answer, as UTF-8 where its encoding had to be found out."""
    content_type = answer.headers.get("content-type", "")
    body = answer.body
    by_bytes = _by_first_bytes(body)
    if by_bytes is not None:
        return _decoded(body, by_bytes) or Readable(body, content_type)
    named = list(_named(content_type, body))
    fitting = [name for name in named if _fits(body, name)]
    if not body.isascii() and _name_utf8_among_others(fitting):
        note = (
            f"the feed names {fitting[0]} and {fitting[1]}: read as utf-8"
        )
        return _as_utf8(body.decode(), note)
    if fitting and not _extends_ascii(fitting[0]):
        return _decoded(body, fitting[0]) or Readable(body, content_type)
    if fitting or (not named and _fits(body, "utf-8")):
        # A declaration behind white space is none to feedparser.
        return Readable(body.lstrip() if fitting else body, content_type)
    said = (
        f"says {named[0]} and is not in it"
        if named
        else "says no encoding"
    )
    return _by_evidence(body, said) or Readable(body, content_type)


def _named(content_type: str, body: bytes) -> Iterator[str]:
    """The encodings that HTTP and the XML declaration name."""
    charset = _CHARSET.search(content_type)
    if charset is not None:
        yield charset[1]
    declared = _DECLARED.match(body[:400])
    if declared is not None:
        yield declared[1].decode("ascii", "replace")


def _name_utf8_among_others(fitting: list[str]) -> bool:
    """A text in one of the others is by chance UTF-8 hardly ever."""
    names = {codecs.lookup(name).name for name in fitting}
    return "utf-8" in names and len(names) > 1


def _fits(body: bytes, encoding: str) -> bool:
    """Whether a body is in an encoding that is known; single bytes are not UTF-16."""
    try:
        name = codecs.lookup(encoding).name
        if not name.startswith(_OF_TEXTS):
            return False
        body.decode(name)
    except (LookupError, UnicodeError):
        return False
    return not name.startswith(("utf-16", "utf-32"))


def _extends_ascii(encoding: str) -> bool:
    """Whether marks of XML are the bytes that they are in ASCII, and nothing else is."""
    name = codecs.lookup(encoding).name
    if name.startswith(_WITH_SHIFTS):
        return False
    return _MARKS_OF_XML.decode(name, "replace").encode() == _MARKS_OF_XML


def _by_evidence(body: bytes, said: str) -> Readable | None:
    """By its bytes: UTF-8, also with a few broken letters, else what its letters mean most."""
    note = f"the feed {said}: read as"
    text = body.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    others = sum(letter > "\x7f" for letter in text) - broken
    if broken <= _FEW_BROKEN * others:
        shown = (
            f" ({broken} broken bytes became \ufffd)" if broken else ""
        )
        return _as_utf8(text, f"{note} utf-8{shown}")
    guessed = _by_letters(body) or "cp1252"
    return _decoded(body, guessed, f"{note} {guessed}")


def _by_first_bytes(body: bytes) -> str | None:
    for signs in (_MARKS, _FIRST_SIGNS):
        for beginning, encoding in signs:
            if body.startswith(beginning):
                return encoding
    return None


def _by_letters(body: bytes) -> str | None:
    """The encoding in which the text makes sense; None where Windows-1252 may do."""
    text = _TAG.sub(b" ", body)[:_SAMPLE]
    tried = _BY_LANGUAGE.get(_language(body))
    if tried is not None:
        return (
            tried[0]
            if len(tried) == 1
            else _best(text, tried) or tried[0]
        )
    if not _holds_words(text):
        return None
    best = _best(text, _TRIED)
    if best in _OF_OTHER_SCRIPTS:
        return best
    return _best(text, sorted(_OF_OTHER_SCRIPTS))


def _language(body: bytes) -> str:
    said = _LANGUAGE.search(body)
    return (said[1] or said[2]).decode().lower() if said else ""


def _holds_words(text: bytes) -> bool:
    """Whether letters that are not ASCII stand beside each other, as in words of another script."""
    runs = _NOT_ASCII.findall(text)
    return max(map(len, runs), default=0) >= _LONG_RUN


def _best(text: bytes, tried: Sequence[str]) -> str | None:
    best = from_bytes(text, cp_isolation=list(tried)).best()
    return str(best.encoding) if best else None


def _decoded(
    body: bytes, encoding: str, note: str | None = None
) -> Readable | None:
    """As UTF-8, and said to be that."""
    try:
        return _as_utf8(body.decode(encoding), note)
    except UnicodeDecodeError:
        return None


def _as_utf8(text: str, note: str | None = None) -> Readable:
    text = text.lstrip("\ufeff \t\r\n")
    bare = _DECLARATION.sub(r"\1", text, count=1)
    utf8 = bare.encode("utf-8", "replace")
    return Readable(utf8, "application/xml; charset=utf-8", note)
